"""Exceptions that stop a cleaning; their messages contain the reason."""

__all__ = ["CannotClean", "NothingToClean"]


class CannotClean(Exception):
    """A cleaning failed that should be possible; the message says what to change."""


class NothingToClean(CannotClean):
    """The exposure is of a kind, or in a state, for which there is nothing to clean."""
