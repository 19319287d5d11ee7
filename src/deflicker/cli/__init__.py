"""The ``deflicker`` command."""
