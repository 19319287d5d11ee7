"""Noise that may as well be the light of stars too faint to be detected."""

import numpy as np
from numpy.typing import NDArray

from deflicker.noise.wiener.solver import NoisePrior, Records, Spectra
from deflicker.noise.wiener.tuning import WienerTuning

__all__ = ["spare_faint_stars"]


def spare_faint_stars(
    spectra: Spectra,
    records: Records,
    prior: NoisePrior,
    *,
    used: float,
    mean_weight: float,
    tuning: WienerTuning | None = None,
) -> None:
    """Reduce the noise at frequencies where it may be the light of faint stars, in place.

    Parameters
    ----------
    spectra : ndarray of complex64, shape (n_outputs, records.size // 2 + 1)
        Posterior mean of the noise; changed.
    records : Records
        Order of the pixels.
    prior : NoisePrior
        Covariance S of the noise.
    used : float
        Fraction of the pixels that are used.
    mean_weight : float
        Mean inverse variance w of all pixels, including unused ones (0); positive.
    tuning : WienerTuning, optional
        Tuning constants.

    Notes
    -----
    A frequency of f cycles per tick is a wave in the image with f cycles per pixel along the
    fast axis and the fractional part of f times the ticks of a row along the slow axis.
    Undetected stars have the power spectrum L of their point spread function, and the noise
    is multiplied by its share (S + 1/w) / (S + 1/w + L). Fast noise within single rows stays
    noise; a signal that continues over several rows is left to the stars. L is just large
    enough that stars at the detection limit keep their flux to a tenth of its error
    (``benchmarks.photometry``).
    """
    tuning = tuning or WienerTuning()
    for block in records.blocks():
        light = _star_power(records, block, tuning.star_sigma)
        light *= np.float32(tuning.star_power * used / mean_weight)
        spectra[:, block] = prior.noise_gain(spectra[:, block], light, block, weight=mean_weight)


def _star_power(records: Records, block: slice, sigma: float) -> NDArray[np.float32]:
    """Power spectrum of a Gaussian point spread function, 1 at frequency 0."""
    along = np.arange(records.size // 2 + 1, dtype=np.float64)[block] / records.size
    across = along * records.clock.row_ticks
    across -= np.round(across)
    power = np.exp(-((2 * np.pi * sigma) ** 2) * (along**2 + across**2))
    return power.astype(np.float32)
