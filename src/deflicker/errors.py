"""What stops a cleaning, as exceptions that carry the reason."""

__all__ = ["CannotClean", "NothingToClean"]


class CannotClean(Exception):
    """A cleaning that should have worked did not; the message names what to change."""


class NothingToClean(CannotClean):
    """The exposure is of a kind, or in a state, that the step does not clean."""
