"""Fourier noise: the method of NSClean (Rauscher 2024, PASP 136, 015001)."""

from deflicker.noise.nsclean.fourier import fourier_noise, full_frame_noise
from deflicker.noise.nsclean.tuning import NscleanTuning
from deflicker.noise.nsclean.windows import subarray_noise

__all__ = [
    "NscleanTuning",
    "fourier_noise",
    "full_frame_noise",
    "subarray_noise",
]
