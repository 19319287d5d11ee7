"""Light curves of simulated time series, and fits of their transits."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.dq import DO_NOT_USE
from deflicker.simulation.exposures import SimulatedExposure
from deflicker.simulation.quality import rate_variance
from deflicker.simulation.series import transit_shape
from support.runs import exposure_of

__all__ = [
    "TransitFit",
    "column_excess",
    "fit_transit",
    "noise_limit",
    "target_box",
    "white_light",
]

BOX_EDGE = 0.003  # fraction of the light of the brightest pixel; fainter pixels are not summed


@dataclass(frozen=True)
class TransitFit:
    """A transit fitted to a light curve.

    Parameters
    ----------
    depth : float
        Fraction of the light outside the transit.
    error : float
        Error of the depth, from the scatter.
    scatter : float
        Standard deviation of the residuals.
    """

    depth: float
    error: float
    scatter: float


def target_box(truth: SimulatedExposure) -> NDArray[np.bool_]:
    """Pixels that are summed.

    Parameters
    ----------
    truth : SimulatedExposure
        A series.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        Pixels with much light of the target that PIXELDQ allows to use.
    """
    bright = truth.target > BOX_EDGE * truth.target.max()
    return bright & ((truth.pixel_dq & DO_NOT_USE) == 0)


def white_light(truth: SimulatedExposure, ramps: NDArray) -> NDArray[np.float64]:
    """Light of the target in each integration.

    Parameters
    ----------
    truth : SimulatedExposure
        A series.
    ramps : ndarray of float, shape (n_integrations, n_groups, ny, nx)
        Its ramps, cleaned or not, in DN.

    Returns
    -------
    ndarray of float64, shape (n_integrations,)
        Sum of the mean valid group differences in the box, without other light, divided by the
        light of the target; pixels without a value in some integration are left out.
    """
    rates = _box_rates(truth, ramps)
    return _summed(truth, rates, np.zeros(rates.shape[1], dtype=int))[:, 0]


def column_excess(truth: SimulatedExposure, ramps: NDArray) -> float:
    """Scatter of the light curves of single columns, the spectrum's finest channels.

    Parameters
    ----------
    truth : SimulatedExposure
        A series of a spectrum.
    ramps : ndarray of float, shape (n_integrations, n_groups, ny, nx)
        Its ramps, cleaned or not, in DN.

    Returns
    -------
    float
        Median over the columns, divided by the limit due to photon and white noise.
    """
    box = target_box(truth)
    columns = np.unique(np.nonzero(box)[1], return_inverse=True)[1]
    curves = _summed(truth, _box_rates(truth, ramps), columns)
    variance = np.bincount(columns, rate_variance(truth.scenario, truth.scene[box].astype(float)))
    limit = np.sqrt(variance) / np.bincount(columns, truth.target[box])
    return float(np.median([fit_transit(curve).scatter for curve in curves.T] / limit))


def _box_rates(truth: SimulatedExposure, ramps: NDArray) -> NDArray[np.float64]:
    """Mean valid differences of the pixels of the box, (n_integrations, n_pixels)."""
    exposure = exposure_of(replace(truth, data=ramps))
    to_science, box = exposure.readout.to_science, target_box(truth)
    rates = np.empty((exposure.n_integrations, np.count_nonzero(box)))
    for integration, rate in enumerate(rates):
        total, number = np.zeros(rate.shape), np.zeros(rate.shape)
        for j in range(exposure.n_differences):
            values = to_science(exposure.difference(integration, j))[box]
            valid = to_science(exposure.good_differences(integration, j))[box]
            valid &= np.isfinite(values)
            total[valid] += values[valid]
            number += valid
        with np.errstate(invalid="ignore"):
            rate[:] = total / number
    return rates


def _summed(
    truth: SimulatedExposure, rates: NDArray[np.float64], channels: NDArray[np.int_]
) -> NDArray[np.float64]:
    """Light of the target in each channel, of shape (n_integrations, n_channels)."""
    box = target_box(truth)
    whole = np.isfinite(rates).all(axis=0)
    number = channels.max() + 1

    def total(values: NDArray) -> NDArray[np.float64]:
        return np.bincount(channels[whole], values[whole].astype(float), minlength=number)

    target = total(truth.target[box])
    others = total(truth.scene[box]) - target
    return np.array([(total(rate) - others) / target for rate in rates])


def fit_transit(curve: NDArray[np.float64]) -> TransitFit:
    """Fit a level, a slope and a transit of known shape to a light curve.

    Parameters
    ----------
    curve : ndarray of float64, shape (n_integrations,)
        Light of each integration.

    Returns
    -------
    TransitFit
        Least-squares fit with equal weights.
    """
    number = len(curve)
    design = np.column_stack([np.ones(number), np.linspace(-1, 1, number), -transit_shape(number)])
    values, *_ = np.linalg.lstsq(design, curve)
    residual = curve - design @ values
    variance = residual @ residual / (number - design.shape[1])
    covariance = variance * np.linalg.inv(design.T @ design)
    return TransitFit(float(values[2]), float(covariance[2, 2] ** 0.5), float(variance**0.5))


def noise_limit(truth: SimulatedExposure) -> float:
    """Scatter of the light curve due to white and photon noise only.

    Parameters
    ----------
    truth : SimulatedExposure
        A series.

    Returns
    -------
    float
        Fraction of the target's light.
    """
    box = target_box(truth)
    variance = rate_variance(truth.scenario, truth.scene[box].astype(float))
    return float(variance.sum() ** 0.5 / truth.target[box].sum(dtype=float))
