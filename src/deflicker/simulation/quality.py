"""Quality of a cleaning, compared with the truth of a simulated exposure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2

from deflicker.detector.dq import DO_NOT_USE
from deflicker.simulation.exposures import DETECTORS, Scenario, SimulatedExposure

__all__ = [
    "LightQuality",
    "Quality",
    "mean_difference",
    "measure_light",
    "measure_quality",
    "rate_variance",
]

BRIGHTEST = 99.9  # percentile of the scene; brighter pixels count as if they were as bright


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Figures of merit of a cleaning.

    Parameters
    ----------
    removed_differences, removed_rate : float
        Percentage of the variance of the correlated noise that was removed from the
        differences, and from their mean, which is the image for science. It is negative if
        noise was added.
    removed_integration : float
        The same for the mean difference of each integration, averaged over integrations.
    level : float
        Mean residual of the rate in DN per group: the error of the level of the sky.
    flux_eaten : float
        Percentage of extended light that was taken for noise.
    new_nan : int
        Number of finite values that became non-finite.
    """

    removed_differences: float
    removed_rate: float
    removed_integration: float
    level: float
    flux_eaten: float
    new_nan: int


def measure_quality(truth: SimulatedExposure, cleaned: NDArray) -> Quality:
    """Compare a cleaned exposure with the truth.

    Parameters
    ----------
    truth : SimulatedExposure
        The simulated exposure.
    cleaned : ndarray of float, shape (n_integrations, n_groups, ny, nx)
        Its cleaned data in DN.

    Returns
    -------
    Quality
        Figures of merit over the pixels that are not DO_NOT_USE in PIXELDQ.

    Notes
    -----
    The residual of a difference is the correlated noise minus what was removed,
    ``(corr[j+1] - corr[j]) - (input difference - output difference)``.

    Examples
    --------
    A cleaning that does nothing removes nothing:

    >>> from deflicker.simulation.quality import measure_quality
    >>> from deflicker.simulation.exposures import Scenario, simulate
    >>> exposure = simulate(Scenario(shape=(64, 64), n_outputs=1))
    >>> measure_quality(exposure, exposure.data).removed_rate
    0.0
    """
    good = (truth.pixel_dq & DO_NOT_USE) == 0
    shape = truth.scenario.shape
    noise_rate, residual_rate = np.zeros(shape), np.zeros(shape)
    noise_variance = residual_variance = 0.0
    number = 0
    integrations = []
    for before, after, noise in zip(truth.data, cleaned, truth.correlated, strict=True):
        removed = before - after
        noise_sum, residual_sum = np.zeros(shape), np.zeros(shape)
        for j in range(len(noise) - 1):
            correlated = noise[j + 1].astype(np.float64) - noise[j]
            residual = correlated - (removed[j + 1].astype(np.float64) - removed[j])
            noise_variance += _variance(correlated[good])
            residual_variance += _variance(residual[good])
            noise_sum += correlated
            residual_sum += residual
            number += 1
        integrations.append(_percent(_variance(residual_sum[good]), _variance(noise_sum[good])))
        noise_rate += noise_sum
        residual_rate += residual_sum
    residual = residual_rate[good] / number
    return Quality(
        removed_differences=_percent(residual_variance, noise_variance),
        removed_rate=_percent(_variance(residual_rate[good]), _variance(noise_rate[good])),
        removed_integration=float(np.mean(integrations)),
        level=float(np.nanmean(residual)),
        flux_eaten=-100 * _slope(truth.scene[good], residual),
        new_nan=int(np.count_nonzero(np.isfinite(truth.data) & ~np.isfinite(cleaned))),
    )


@dataclass(frozen=True, kw_only=True)
class LightQuality:
    """What a cleaning did to the noise and to the light of any shape.

    Parameters
    ----------
    removed_differences, removed_rate : float
        As of `Quality`.
    eaten : float
        Percentage of the light that was taken for noise.
    eaten_error : float
        Its standard error, due to the noise that remains in the rate.
    """

    removed_differences: float
    removed_rate: float
    eaten: float
    eaten_error: float


def measure_light(truth: SimulatedExposure, cleaned: NDArray) -> LightQuality:
    """Compare the light of a cleaned exposure with the truth, whatever its shape.

    Parameters
    ----------
    truth : SimulatedExposure
        The simulated exposure.
    cleaned : ndarray of float, shape (n_integrations, n_groups, ny, nx)
        Its cleaned data in DN.

    Returns
    -------
    LightQuality
        Figures of merit over the pixels that are not DO_NOT_USE in PIXELDQ.

    Notes
    -----
    The light that was eaten is the projection of what was removed too much from the rate on the
    scene, of which pixels above the 99.9th percentile count as if they had that brightness: stars
    would otherwise hide what happens to extended light. Its error is the standard deviation of
    the same projection over all cyclic shifts of the scene.

    Examples
    --------
    >>> from deflicker.simulation.quality import measure_light
    >>> from deflicker.simulation.exposures import Scenario, simulate
    >>> exposure = simulate(Scenario(shape=(64, 64), n_outputs=1))
    >>> measure_light(exposure, exposure.data).removed_rate
    0.0
    """
    quality = measure_quality(truth, cleaned)
    noise = truth.correlated[:, -1] - truth.correlated[:, 0]
    removed = (truth.data[:, -1] - truth.data[:, 0]) - (cleaned[:, -1] - cleaned[:, 0])
    n_differences = truth.correlated.shape[1] - 1
    residual = (noise - removed).mean(axis=0, dtype=np.float64) / n_differences
    good = ((truth.pixel_dq & DO_NOT_USE) == 0) & np.isfinite(residual)
    residual = np.where(good, residual - residual[good].mean(), 0)
    scene = np.minimum(truth.scene, np.percentile(truth.scene[good], BRIGHTEST)).astype(np.float64)
    scene = np.where(good, scene - scene[good].mean(), 0)
    power = float(np.sum(scene**2))
    if power == 0:
        return LightQuality(
            removed_differences=quality.removed_differences,
            removed_rate=quality.removed_rate,
            eaten=0.0,
            eaten_error=0.0,
        )
    shifted = irfft2(rfft2(residual) * np.conj(rfft2(scene)), s=residual.shape)
    return LightQuality(
        removed_differences=quality.removed_differences,
        removed_rate=quality.removed_rate,
        eaten=-100 * float(shifted[0, 0]) / power,
        eaten_error=100 * float(shifted.std()) / power,
    )


def mean_difference(ramps: NDArray) -> NDArray[np.float64]:
    """Mean group difference of the first integration, which is the image for science.

    Parameters
    ----------
    ramps : ndarray of float, shape (n_integrations, n_groups, ny, nx)
        Ramps in DN.

    Returns
    -------
    ndarray of float64, shape (ny, nx)
        In DN per group.
    """
    return (ramps[0, -1].astype(np.float64) - ramps[0, 0]) / (ramps.shape[1] - 1)


def rate_variance(scenario: Scenario, light: NDArray) -> NDArray:
    """Variance of the mean difference of one integration due to white and photon noise.

    Parameters
    ----------
    scenario : Scenario
        Detector and number of groups.
    light : ndarray of float
        Light in electrons per group.

    Returns
    -------
    ndarray of float, shape of ``light``
        In (DN per group) squared.

    Notes
    -----
    ``2 white**2 / n**2 + light / n`` with n differences: all reads except the first and the last
    cancel, and the gain is 1.
    """
    noise = scenario.noise or DETECTORS[scenario.instrument]
    n = scenario.n_groups - 1
    return 2 * noise.white**2 / n**2 + light / n


def _variance(values: NDArray[np.floating]) -> float:
    return float(np.nanvar(values))


def _percent(residual: float, noise: float) -> float:
    return 100 * (1 - residual / noise)


def _slope(scene: NDArray[np.floating], residual: NDArray[np.floating]) -> float:
    """Slope of the residual against the scene, without the darkest and brightest 2 %."""
    low, high = np.percentile(scene, (2, 98))
    some = (scene >= low) & (scene <= high) & np.isfinite(residual)
    x = scene[some].astype(np.float64)
    x -= x.mean()
    return float(x @ residual[some] / (x @ x)) if np.any(x) else 0.0
