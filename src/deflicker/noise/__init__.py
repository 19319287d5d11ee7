"""Noise methods: one module or folder each, one protocol for all (`NoiseMethod`).

A new method needs one more folder here, and one more line in `deflicker.noise.registry`.
"""

from deflicker.noise.fit import DifferenceFit
from deflicker.noise.median import median_noise
from deflicker.noise.method import Job, NoiseMethod, Plan
from deflicker.noise.noise_image import NoiseImage
from deflicker.noise.registry import METHODS
from deflicker.noise.spectrum import NoiseSpectrum

__all__ = [
    "METHODS",
    "DifferenceFit",
    "Job",
    "NoiseImage",
    "NoiseMethod",
    "NoiseSpectrum",
    "Plan",
    "median_noise",
]
