"""Noise models: one module each, one signature for all.

A noise model is a function ``fit(values, usable, outputs)`` of the detector frame:
``values`` (n_slow, n_fast) float32 is a background-subtracted difference in DN,
``usable`` tells where it may be measured, and ``outputs`` are the slices of the
fast axis that are fitted on their own. It returns a `RowNoise` in DN, finite
everywhere.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from deflicker.noise.fourier import fourier_noise
from deflicker.noise.median import median_noise
from deflicker.noise.rows import RowNoise

__all__ = ["NOISE_MODELS", "NoiseModel", "RowNoise", "fourier_noise", "median_noise"]

NoiseModel = Callable[[NDArray[np.float32], NDArray[np.bool_], Sequence[slice]], RowNoise]

NOISE_MODELS: Mapping[str, NoiseModel] = MappingProxyType(
    {"median": median_noise, "fft": fourier_noise}
)
