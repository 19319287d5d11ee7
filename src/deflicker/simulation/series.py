"""Time series of targets with a transit and a drift.

The light curve is a trapezoid: constant in the first third of the series, a linear ingress,
constant, a linear egress, and constant in the last third. Only the light of the target varies.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deflicker.simulation.scenarios import Scenario

__all__ = ["SOSS_ORDERS", "drifts", "light_curve", "spectra", "target_light", "transit_shape"]

FIRST_CONTACT = 1 / 3
INGRESS = 1 / 15


@dataclass(frozen=True)
class _Order:
    """A spectral order: its rows are a parabola of the column, in units of the image."""

    start: float
    slope: float
    bend: float
    light: float


# Similar to NIRISS SUBSTRIP256: the first two orders meet at the red end, and the others leave
# the image at the blue end.
SOSS_ORDERS: Final = (
    _Order(start=0.322, slope=-0.54, bend=0.45, light=1.0),
    _Order(start=0.36, slope=0.1, bend=0.5, light=0.3),
    _Order(start=0.57, slope=0.5, bend=0.4, light=0.03),
)


def transit_shape(n_integrations: int) -> NDArray[np.float64]:
    """Depth of the transit in each integration, relative to its maximum.

    Parameters
    ----------
    n_integrations : int
        Number of integrations of the series.

    Returns
    -------
    ndarray of float64, shape (n_integrations,)
        0 outside the transit and 1 between ingress and egress.

    Examples
    --------
    >>> from deflicker.simulation.series import transit_shape
    >>> transit_shape(9).round(2)
    array([0.  , 0.  , 0.  , 0.83, 1.  , 0.83, 0.  , 0.  , 0.  ])
    """
    time = (np.arange(n_integrations) + 0.5) / n_integrations
    inside = np.minimum(time, 1 - time) - FIRST_CONTACT
    return np.clip(inside / INGRESS, 0.0, 1.0)


def light_curve(scenario: Scenario) -> NDArray[np.float64]:
    """Light of the target in each integration.

    Parameters
    ----------
    scenario : Scenario
        Parameters of the simulation.

    Returns
    -------
    ndarray of float64, shape (n_integrations,)
        Relative light, 1 outside the transit.
    """
    return 1 - scenario.transit_depth * transit_shape(scenario.n_integrations)


def drifts(scenario: Scenario) -> NDArray[np.float64]:
    """Offset of the target from its mean position in each integration.

    Parameters
    ----------
    scenario : Scenario
        Parameters of the simulation.

    Returns
    -------
    ndarray of float64, shape (n_integrations,)
        Pixels along y, linear over the series.
    """
    if scenario.n_integrations == 1:
        return np.zeros(1)
    return scenario.drift * np.linspace(-0.5, 0.5, scenario.n_integrations)


def target_light(scenario: Scenario, *, shift: float = 0.0) -> NDArray[np.float32]:
    """Light of the target outside its transit.

    Parameters
    ----------
    scenario : Scenario
        Parameters of the simulation, with a target.
    shift : float, optional
        Offset of the target from its mean position along y in pixels.

    Returns
    -------
    ndarray of float32, shape (ny, nx)
        Electrons per group.

    Raises
    ------
    ValueError
        If the scenario has no target.
    """
    if scenario.target is None:
        msg = f"the recipe has no target; it may be one of {', '.join(_TARGETS)}"
        raise ValueError(msg)
    light = _TARGETS[scenario.target](scenario, shift)
    return (light * scenario.group_time).astype(np.float32)


def spectra(scenario: Scenario, shift: float = 0.0) -> NDArray[np.float32]:
    """Spectra along x, slightly slanted and curved.

    Parameters
    ----------
    scenario : Scenario
        Number, brightness and height of the spectra.
    shift : float, optional
        Offset of the spectra from their mean position along y in pixels.

    Returns
    -------
    ndarray of float32, shape (ny, nx)
        Electrons per second.
    """
    ny, nx = scenario.shape
    along = np.linspace(-1, 1, nx, dtype=np.float32)
    bow = 0.02 * ny * (along**2 - 0.5) + 0.01 * ny * along
    light = np.zeros(scenario.shape, dtype=np.float32)
    for k in range(scenario.traces):
        center = ny * (k + 0.5) / scenario.traces + bow + shift
        light += _spectrum(scenario, center)
    return light


def _soss(scenario: Scenario, shift: float) -> NDArray[np.float32]:
    """Three curved orders in electrons per second."""
    ny, nx = scenario.shape
    along = np.linspace(0, 1, nx, dtype=np.float32)
    light = np.zeros(scenario.shape, dtype=np.float32)
    for order in SOSS_ORDERS:
        center = ny * (order.start + order.slope * along + order.bend * along**2) + shift
        light += np.float32(order.light) * _spectrum(scenario, center)
    return light


def _spectrum(scenario: Scenario, center: NDArray[np.floating]) -> NDArray[np.float32]:
    """One spectrum with a given central row in each column, in electrons per second."""
    along = np.linspace(-1, 1, len(center), dtype=np.float32)
    brightness = scenario.trace_light * (0.3 + 0.7 * np.cos(0.5 * np.pi * along) ** 2)
    rows = np.arange(scenario.shape[0], dtype=np.float32)[:, np.newaxis]
    return brightness * np.exp(-(((rows - center) / scenario.trace_height) ** 4))


def _star(scenario: Scenario, shift: float) -> NDArray[np.float32]:
    """A defocused star in the middle of the image, in electrons per second."""
    ny, nx = scenario.shape
    y, x = np.ogrid[:ny, :nx]
    radius = np.hypot(y - (0.5 * (ny - 1) + shift), x - 0.5 * (nx - 1))
    light = scenario.trace_light * np.exp(-((radius / scenario.trace_height) ** 4))
    return light.astype(np.float32)


_TARGETS: Final[Mapping[str, Callable[[Scenario, float], NDArray[np.float32]]]] = MappingProxyType(
    {"trace": spectra, "soss": _soss, "star": _star}
)
