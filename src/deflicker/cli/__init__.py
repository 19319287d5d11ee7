"""The ``deflicker`` command; nothing of it is for other programs."""
