"""Noise methods: one module or folder each, one protocol for all (`deflicker.noise.method`).

A method that is new is one more folder here, and one more line in `deflicker.noise.registry`.
"""

from deflicker.noise.median import median_noise
from deflicker.noise.noise_image import NoiseImage
from deflicker.noise.nsclean.fourier import fourier_noise

__all__ = ["NoiseImage", "fourier_noise", "median_noise"]
