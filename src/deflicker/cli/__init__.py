"""The ``deflicker`` command; nothing here is for other programs."""
