"""Estimate of how much noise a Wiener cleaning removes, and its report."""

import logging

import numpy as np

from deflicker.noise.method import RemovedNoise
from deflicker.noise.wiener.levels import WienerFit

__all__ = ["removed_noise", "report_fit"]

log = logging.getLogger(__name__)

# Variance that is found beyond the expected one, relative to it, which the few slowest waves of a
# noise reach by chance (``benchmarks.scenes``). More is light, and where the sky is as rough as can
# be, all of it.
MOST_BY_CHANCE = 0.2


def removed_noise(exposure_fit: WienerFit, noise_rms: float) -> RemovedNoise:
    """Estimate how much of the correlated noise was removed.

    Parameters
    ----------
    exposure_fit : WienerFit
        Fit with the spectrum and the noise of the mean.
    noise_rms : float
        Root mean square of what was removed from the differences.

    Returns
    -------
    RemovedNoise
        Fractions of the variance.

    Notes
    -----
    A Wiener filter removes a variance equal to that of its result. Let V be the variance of
    the noise that was found in the mean, A the one that the powers of noise, light and
    white noise and the freedom of the sky let expect, and W that of all its correlated noise on
    average. Most of it is in a few slow waves, whose power differs from exposure to exposure,
    so that the fraction that was removed is not V / W, but V / (V + W - A): W - A remains.
    If V is less than A, the light may also be such that a sky of splines takes more noise than
    the model knows. The rougher the sky, the likelier this is; of A - V, half is then believed.
    What exceeds A by more than chance is light that was taken for noise, and adds as much
    variance as it has.
    """
    spectrum, exposure = exposure_fit.noise.spectrum, exposure_fit.differences.exposure
    whole = spectrum.correlated_variance
    if not whole > 0:
        return RemovedNoise(0.0, 0.0)
    factor = exposure_fit.mean.factor
    found = float(np.var(exposure_fit.noise_of_mean, dtype=np.float64))
    shared, expected = exposure_fit.shared, exposure_fit.removed_variance
    chance = MOST_BY_CHANCE * (1 - exposure_fit.roughness)
    noise = min(shared.found * shared.kept, (1 + chance) * expected)
    of_mean = 2 * noise - found
    reads = 1 if exposure.group_dq is None else 2
    of_differences = (noise_rms**2 - found + of_mean) / (reads * whole)
    missing = expected - noise
    if missing > 0:
        missing *= 1 - exposure_fit.roughness / 2
    # The noise has at least the variance that was found: A may reach W where nothing is masked.
    in_rate = max(whole * factor - missing, noise)
    return RemovedNoise(
        differences=min(of_differences, 1.0),
        rate=min(of_mean / in_rate, 1.0) if in_rate > 0 else 0.0,
    )


def report_fit(exposure_fit: WienerFit, noise_rms: float) -> RemovedNoise:
    """Log the measured noise, and an estimate of how much was removed, in three lines.

    Parameters
    ----------
    exposure_fit : WienerFit
        Fit with the spectrum.
    noise_rms : float
        Root mean square of what was removed from the differences.

    Returns
    -------
    RemovedNoise
        The estimate.
    """
    spectrum = exposure_fit.noise.spectrum
    common = 2 * np.trapezoid(spectrum.common, spectrum.frequency)
    per_output = 2 * np.trapezoid(spectrum.per_output, spectrum.frequency)
    log.info(
        "Noise of one read: rms %.3g common to the outputs, %.3g per output, %.3g white",
        max(common, 0.0) ** 0.5,
        max(per_output, 0.0) ** 0.5,
        spectrum.white**0.5,
    )
    log.info(
        "Correlated noise falls below the white noise at %.3g kHz; the outputs share %.0f %% of it",
        spectrum.knee / 1000,
        100 * spectrum.shared_fraction,
    )
    removed = removed_noise(exposure_fit, noise_rms)
    log.info(
        "Removed about %.0f %% of the variance of the correlated noise from the differences and "
        "%.0f %% from the rate, judged from the powers of noise and light",
        100 * removed.differences,
        100 * removed.rate,
    )
    return removed
