"""Noise of differences one by one: background, clips, and a noise model of rows."""

from deflicker.noise.rowwise.method import RowMethod

__all__ = [
    "RowMethod",
]
