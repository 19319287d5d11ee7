"""A noise method: the mean of each row of each output."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.facts import ALL_INSTRUMENTS
from deflicker.noise.noise_image import NoiseImage
from deflicker.noise.rowwise.method import RowMethod

__all__ = ["MEAN"]


def mean_noise(
    values: NDArray[np.float32], usable: NDArray[np.bool_], outputs: Sequence[slice]
) -> NoiseImage:
    """Fit one number per detector row of each output: the mean of its usable pixels."""
    levels = np.zeros((len(values), len(outputs)), dtype=np.float32)
    shapes = np.zeros((len(outputs), values.shape[1]), dtype=np.float32)
    for k, output in enumerate(outputs):
        number = np.count_nonzero(usable[:, output], axis=1)
        sums = np.where(usable[:, output], values[:, output], 0).sum(axis=1)
        levels[:, k] = sums / np.maximum(number, 1)
        shapes[k, output] = 1
    return NoiseImage(levels, shapes)


MEAN: Final = RowMethod(
    name="mean", fit=mean_noise, instruments=ALL_INSTRUMENTS, detectors="all detectors"
)
