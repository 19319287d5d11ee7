"""Noise of single differences: background, clipping, and a noise model of rows."""

from deflicker.noise.rowwise.method import RowMethod

__all__ = [
    "RowMethod",
]
