"""Power of the light of stars too faint to be detected."""

import numpy as np
from numpy.typing import NDArray

from deflicker.noise.wiener.light import Waves

__all__ = ["star_power"]


def star_power(waves: Waves, *, sigma: float) -> NDArray[np.float32]:
    """Power spectrum of a star, a Gaussian point spread function, at the frequencies of records.

    Parameters
    ----------
    waves : Waves
        The waves of the records.
    sigma : float
        Standard deviation of the point spread function in pixels.

    Returns
    -------
    ndarray of float32, shape of ``waves.frequency``
        The power, 1 at frequency 0.

    Notes
    -----
    Fast noise within single rows stays noise; a signal that continues over several rows is left to
    the stars. The power that stars are given (``WienerTuning.star_power``) is just large enough
    that stars at the detection limit keep their flux to a tenth of its error
    (``benchmarks.photometry``).
    """
    power: NDArray[np.float32] = np.exp(-((2 * np.pi * sigma * waves.frequency) ** 2))
    return power.astype(np.float32)
