"""Simulated exposures with known correlated noise, for demos, tests and benchmarks.

Noise amplitudes are electrons rms of one read after Rauscher (2015, PASP 127, 1144,
NGHXRG). The gain is 1 electron per DN. Noise is made in the detector frame, in clock order,
and converted to the science frame.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import gaussian_filter

from deflicker.detector.dq import DO_NOT_USE, JUMP_DET, REFERENCE_PIXEL, SATURATED
from deflicker.detector.facts import ROW_OVERHEAD
from deflicker.simulation.scenarios import DETECTORS, EXPOSURES, SERIES, Scenario, SimulatedNoise
from deflicker.simulation.series import drifts, light_curve, spectra, target_light

__all__ = [
    "DETECTORS",
    "EXPOSURES",
    "SERIES",
    "Scenario",
    "SimulatedExposure",
    "SimulatedNoise",
    "field_of",
    "simulate",
]


@dataclass(frozen=True, kw_only=True)
class SimulatedExposure:
    """A simulated exposure and its truth.

    Parameters
    ----------
    scenario : Scenario
        Parameters of the simulation.
    data : ndarray of float32, shape (n_integrations, n_groups, ny, nx)
        Ramps in DN, in the science frame.
    pixel_dq : ndarray of uint32, shape (ny, nx)
        Data quality of the pixels.
    group_dq : ndarray of uint8, shape of ``data``
        Data quality of the groups.
    correlated : ndarray of float32, shape of ``data``
        Correlated noise of each read in DN, without white and photon noise.
    scene : ndarray of float32, shape (ny, nx)
        Light in DN per group; for a time series, outside the transit.
    light_curve : ndarray of float64, shape (n_integrations,)
        Relative light of the target in each integration, 1 outside the transit.
    target : ndarray of float32, shape (ny, nx), or None
        Light of the target, which is part of the scene, at its mean position.
    """

    scenario: Scenario
    data: NDArray[np.float32]
    pixel_dq: NDArray[np.uint32]
    group_dq: NDArray[np.uint8]
    correlated: NDArray[np.float32]
    scene: NDArray[np.float32]
    light_curve: NDArray[np.float64]
    target: NDArray[np.float32] | None = None


def simulate(
    scenario: Scenario, *, seed: int = 1, field: NDArray[np.float32] | None = None
) -> SimulatedExposure:
    """Simulate an exposure.

    Parameters
    ----------
    scenario : Scenario
        Parameters of the simulation; `EXPOSURES` and `SERIES` contain examples.
    seed : int, optional
        Seed of the random numbers.
    field : ndarray of float32, shape (ny, nx), optional
        Light of everything except the target, in electrons per group; `field_of` the scenario by
        default.

    Returns
    -------
    SimulatedExposure
        Arrays and truth.

    Examples
    --------
    >>> from deflicker.simulation.exposures import Scenario, simulate
    >>> exposure = simulate(Scenario(shape=(64, 64), n_outputs=1, n_stars=3))
    >>> exposure.data.shape
    (1, 5, 64, 64)
    """
    rng = np.random.default_rng(seed)
    field = field_of(scenario, rng) if field is None else field
    curve, shifts = light_curve(scenario), drifts(scenario)
    shape = (scenario.n_integrations, scenario.n_groups, *scenario.shape)
    correlated = np.empty(shape, dtype=np.float32)
    data = np.empty(shape, dtype=np.float32)
    group_dq = np.zeros(shape, dtype=np.uint8)
    border = _border(scenario)
    noise = scenario.noise or DETECTORS[scenario.instrument]
    for integration in range(scenario.n_integrations):
        scene = field
        if scenario.target:
            light = target_light(scenario, shift=shifts[integration])
            scene = field + np.float32(curve[integration]) * light
        charge = np.zeros(scenario.shape, dtype=np.float32)
        for group in range(scenario.n_groups):
            index = (integration, group)
            charge += rng.poisson(scene) if scenario.photon_noise else scene
            _hit(charge, group_dq[index], scenario, first=group == 0, rng=rng)
            correlated[index] = _correlated(scenario, noise, rng)
            white = rng.standard_normal(scenario.shape, dtype=np.float32)
            data[index] = np.where(border, 0, charge) + correlated[index] + noise.white * white
        full = data[integration] >= scenario.saturation
        np.minimum(data[integration], np.float32(scenario.saturation), out=data[integration])
        full = np.logical_or.accumulate(full, axis=0)
        group_dq[integration][full] |= np.uint8(SATURATED)
    group_dq[:, :, border] = 0
    target = None
    if scenario.target:
        target = np.where(border, np.float32(0), target_light(scenario))
        field = field + target
    return SimulatedExposure(
        scenario=scenario,
        data=data,
        pixel_dq=_pixel_dq(scenario, border, data, rng),
        group_dq=group_dq,
        correlated=correlated,
        scene=np.where(border, np.float32(0), field),
        light_curve=curve,
        target=target,
    )


def field_of(scenario: Scenario, rng: np.random.Generator) -> NDArray[np.float32]:
    """Light of everything except the target.

    Parameters
    ----------
    scenario : Scenario
        Parameters of the simulation.
    rng : numpy.random.Generator
        Source of the places of the stars.

    Returns
    -------
    ndarray of float32, shape (ny, nx)
        In electrons per group.
    """
    ny, nx = scenario.shape
    points = np.zeros(scenario.shape, dtype=np.float32)
    flux = np.minimum(3.0 * rng.random(scenario.n_stars) ** -1.25, scenario.brightest_star)
    np.add.at(
        points, (rng.integers(0, ny, scenario.n_stars), rng.integers(0, nx, scenario.n_stars)), flux
    )
    light = 0.8 * gaussian_filter(points, 1.1) + 0.15 * gaussian_filter(points, 8.0)
    light += 0.05 * gaussian_filter(points, 40.0)
    if scenario.galaxy:
        y, x = np.ogrid[:ny, :nx]
        across, along = (y - 0.5 * ny) / 0.6, x - 0.5 * nx
        radius = np.hypot(across, along) / (min(ny, nx) / 8)
        light += scenario.galaxy * np.exp(-radius)
    if scenario.traces and scenario.target != "trace":
        light += spectra(scenario)
    for extended in scenario.light:
        light += extended.image(scenario.shape, rng)
    return ((light + scenario.sky) * scenario.group_time).astype(np.float32)


def _border(scenario: Scenario) -> NDArray[np.bool_]:
    """Mask of the reference pixels."""
    border = np.ones(scenario.shape, dtype=bool)
    width = scenario.border
    border[width : scenario.shape[0] - width, width : scenario.shape[1] - width] = False
    return border


def _hit(
    charge: NDArray[np.float32],
    dq: NDArray[np.uint8],
    scenario: Scenario,
    *,
    first: bool,
    rng: np.random.Generator,
) -> None:
    """Add cosmic rays to the charge, and flag 95 % of them, in place."""
    number = 0 if first else rng.poisson(scenario.cosmic_rays * charge.size)
    hits = rng.choice(charge.size, number, replace=False)
    charge.flat[hits] += rng.exponential(500.0, number).astype(np.float32) + 30
    dq.flat[hits[rng.random(number) < 0.95]] |= np.uint8(JUMP_DET)


def _pixel_dq(
    scenario: Scenario,
    border: NDArray[np.bool_],
    data: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.uint32]:
    """Flag reference and bad pixels; a tenth of the bad ones become NaN in ``data``."""
    dq = np.where(border, np.uint32(REFERENCE_PIXEL | DO_NOT_USE), np.uint32(0))
    chance = rng.random(scenario.shape)
    dq[(chance < scenario.bad_pixels) & ~border] |= np.uint32(DO_NOT_USE)
    data[:, :, (chance < 0.1 * scenario.bad_pixels) & ~border] = np.nan
    return dq


def _correlated(
    scenario: Scenario, noise: SimulatedNoise, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Correlated noise of one read in the science frame."""
    ny, nx = scenario.shape
    if noise.columns:
        columns = noise.columns * _coloured(nx, 0.5, rng)
        return np.broadcast_to(columns, scenario.shape)
    n_slow, n_fast = (ny, nx) if abs(scenario.fast_axis) == 1 else (nx, ny)
    image = np.empty((n_slow, n_fast), dtype=np.float32)
    outputs = scenario.readout.output_slices(n_fast)
    width = outputs[0].stop

    def record() -> NDArray[np.float32]:
        ticks = (n_slow, width + ROW_OVERHEAD)
        pink = _coloured(ticks[0] * ticks[1], noise.slope, rng, low_cut=noise.low_cut)
        return pink.reshape(ticks)[:, :width]

    shared = noise.common * record()
    even, odd = noise.alternating * record(), noise.alternating * record()
    shared[:, 0::2] += even[:, 0::2]
    shared[:, 1::2] += odd[:, 1::2]
    for k, output in enumerate(outputs):
        record_of_output = shared + noise.per_output * record()
        image[:, output] = record_of_output[:, ::-1] if k % 2 else record_of_output
    return scenario.readout.to_science(image)


def _coloured(
    n: int, slope: float, rng: np.random.Generator, *, low_cut: float = 0.0
) -> NDArray[np.float32]:
    """Noise of unit rms whose power is proportional to frequency to the power ``-slope``.

    The power is 0 below ``low_cut`` cycles per ``n`` samples.
    """
    size = next_fast_len(n, real=True)
    frequency = np.arange(size // 2 + 1, dtype=np.float32)
    frequency[0] = np.inf
    amplitude = frequency ** np.float32(-slope / 2)
    amplitude[frequency * n < low_cut * size] = 0
    spectrum = rfft(rng.standard_normal(size, dtype=np.float32)) * amplitude
    rms = np.sqrt(2 * np.sum(amplitude.astype(np.float64) ** 2) / size)
    return (irfft(spectrum, size)[:n] / np.float32(rms)).astype(np.float32)
