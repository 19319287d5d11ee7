"""Noise methods: one module or folder each, one protocol for all (`deflicker.noise.method`).

A method that is new is one more folder here, and one more line in `deflicker.noise.registry`.
"""

from deflicker.noise.median import median_noise
from deflicker.noise.nsclean.fourier import fourier_noise
from deflicker.noise.rows import RowNoise

__all__ = ["RowNoise", "fourier_noise", "median_noise"]
