"""Noise that may as well be the light of stars too faint to be found."""

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
    """Leave to faint stars what of the noise looks like them, in place.

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
        Mean inverse variance w of all pixels, those that are not used among them; positive.
    tuning : WienerTuning, optional
        Numbers that were chosen.

    Notes
    -----
    A frequency of a record is a wave in the image: f cycles per tick are f along the fast
    axis and the fractional part of f times the ticks of a row along the slow axis. Stars
    that nobody found are a light whose power L is that of their point spread function, and
    the share of the noise in what both could be is (S + 1/w) / (S + 1/w + L). Fast noise of
    single rows stays noise, and what goes on over some rows becomes a star. The power is as
    large as it must be for stars at the limit of detection to keep their flux to a tenth of
    its error (``benchmarks.photometry``).
    """
    tuning = tuning or WienerTuning()
    for block in records.blocks():
        light = _star_power(records, block, tuning.star_sigma)
        light *= np.float32(tuning.star_power * used / mean_weight)
        spectra[:, block] = prior.noise_gain(spectra[:, block], light, block, weight=mean_weight)


def _star_power(records: Records, block: slice, sigma: float) -> NDArray[np.float32]:
    """Power of a point spread function at some frequencies, 1 at 0."""
    along = np.arange(records.size // 2 + 1, dtype=np.float64)[block] / records.size
    across = along * records.clock.row_ticks
    across -= np.round(across)
    power = np.exp(-((2 * np.pi * sigma) ** 2) * (along**2 + across**2))
    return power.astype(np.float32)
