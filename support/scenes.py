"""Scenes with known noise, whose light needs different parameters."""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from deflicker.detector.dq import SATURATED
from deflicker.simulation.exposures import EXPOSURES, Scenario, SimulatedExposure, simulate

__all__ = ["NIRCAM", "NIRISS", "SCENES", "Scene", "Setting", "make_flat", "observe", "settings"]

NIRCAM, NIRISS = EXPOSURES["nircam"], EXPOSURES["niriss"]
STARS_PER_PIXEL = NIRCAM.n_stars / (2048 * 2048)

Setting = tuple[str, bool, bool]  # background method, by channel, flat field


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Light of a scene, and the detector that observes it.

    Parameters
    ----------
    base : Scenario, optional
        Detector and sky.
    stars : float, optional
        Number of stars relative to that in `EXPOSURES`.
    galaxy : float, optional
        Peak of the galaxy in electrons per second.
    galaxy_size : float, optional
        Size of the galaxy relative to that in `EXPOSURES`.
    gradient : tuple of float, optional
        Light that increases from one side to the other along y and x, in units of the sky.
    offsets : float, optional
        Rms of the level of each output in each read, in electrons.
    flat : tuple of float, optional
        Scatter of the flat field between pixels, and amplitude of its smooth pattern.
    flat_in_data : bool, optional
        Whether the light went through the flat field.
    """

    base: Scenario = NIRCAM
    stars: float = 0.0
    galaxy: float = 0.0
    galaxy_size: float = 1.0
    gradient: tuple[float, float] = (0.0, 0.0)
    offsets: float = 0.0
    flat: tuple[float, float] | None = None
    flat_in_data: bool = True


SCENES = {
    "blank": Scene(),
    "few stars": Scene(stars=0.1),
    "crowded stars": Scene(stars=10.0),
    "galaxy": Scene(galaxy=6.0, stars=1.0),
    "large galaxy": Scene(galaxy=6.0, galaxy_size=3.0, stars=0.3),
    "gradient": Scene(gradient=(1.0, 0.5)),
    "weak gradient": Scene(gradient=(0.25, 0.1)),
    "gradient + stars": Scene(gradient=(0.5, 0.5), stars=1.0),
    "offsets": Scene(offsets=10.0),
    "offsets + stars": Scene(offsets=4.0, stars=1.0),
    "flat": Scene(flat=(0.02, 0.1), stars=0.3),
    "20 groups, gradient": Scene(base=replace(NIRCAM, n_groups=20), gradient=(0.1, 0.1), stars=0.3),
    "2 groups, stars": Scene(base=replace(NIRCAM, n_groups=2), stars=1.0),
    "flat, bright sky": Scene(flat=(0.02, 0.1), stars=0.3, base=replace(NIRCAM, sky=8.0)),
    "flat not in the data": Scene(flat=(0.05, 0.1), flat_in_data=False),
    "niriss stars": Scene(base=NIRISS, stars=1.0),
    "niriss gradient": Scene(base=NIRISS, gradient=(0.5, 1.0), stars=0.3),
    "niriss offsets": Scene(base=NIRISS, offsets=8.0, stars=0.3),
    "niriss flat": Scene(base=NIRISS, flat=(0.02, 0.1), stars=0.3),
}


def settings(*, flat: bool) -> list[Setting]:
    """All fixed settings: background method, by channel or not, with or without flat field."""
    return list(product(("median", "model"), (False, True), (False, True) if flat else (False,)))


def observe(
    scene: Scene, *, size: int = 2048, seed: int = 1
) -> tuple[SimulatedExposure, NDArray[np.float32] | None]:
    """Simulate a scene.

    Parameters
    ----------
    scene : Scene
        The scene.
    size : int, optional
        Rows and columns.
    seed : int, optional
        Seed of the random numbers.

    Returns
    -------
    truth : SimulatedExposure
        The exposure.
    flat : ndarray of float32, shape (ny, nx), or None
        Its flat field, if the scene has one.
    """
    scenario = replace(
        scene.base,
        shape=(size, size),
        n_stars=int(scene.stars * STARS_PER_PIXEL * size**2),
    )
    dark = simulate(replace(scenario, sky=0.0, n_stars=0), seed=seed)
    light = simulate(replace(scenario, n_groups=1), seed=seed).scene.astype(np.float64)
    rng = np.random.default_rng([seed, 1])
    sky = scenario.sky * scenario.group_time
    inside = light > 0
    y, x = (np.linspace(0, 1, size)[shape] for shape in ((..., None), (None, ...)))
    light += sky * (scene.gradient[0] * y + scene.gradient[1] * x)
    if scene.galaxy:
        radius = np.hypot((y - 0.5) / 0.6, x - 0.5) * 8 / scene.galaxy_size
        light += scene.galaxy * scenario.group_time * np.exp(-radius)
    light *= inside
    flat = None if scene.flat is None else make_flat(*scene.flat, size=size, rng=rng)
    if flat is not None and scene.flat_in_data:
        light *= flat
    truth = replace(dark, scene=light.astype(np.float32))
    _expose(truth, rng)
    _shift_outputs(truth, scene.offsets, rng)
    return truth, flat


def make_flat(
    scatter: float, pattern: float, *, size: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Flat field with scatter between pixels, and a smooth pattern of a few waves."""
    smooth = gaussian_filter(rng.standard_normal((size, size)), size / 10, mode="reflect")
    smooth *= pattern / smooth.std()
    return (1 + smooth + scatter * rng.standard_normal((size, size))).astype(np.float32)


def _expose(truth: SimulatedExposure, rng: np.random.Generator) -> None:
    """Add the light to the ramp of a dark exposure, in place."""
    full = truth.scenario.saturation
    for ramp, dq in zip(truth.data, truth.group_dq, strict=True):
        charge = np.zeros(truth.scenario.shape, dtype=np.float32)
        saturated = np.zeros(truth.scenario.shape, dtype=bool)
        for j, flags in enumerate(dq):
            charge += rng.poisson(truth.scene)
            ramp[j] += charge
            saturated |= ramp[j] >= full
            np.minimum(ramp[j], np.float32(full), out=ramp[j])
            flags[saturated] |= np.uint8(SATURATED)


def _shift_outputs(truth: SimulatedExposure, offsets: float, rng: np.random.Generator) -> None:
    """Shift each output of each read, in place."""
    turn = truth.scenario.readout.to_detector
    data, noise = turn(truth.data), turn(truth.correlated)
    for output in truth.scenario.readout.output_slices(data.shape[-1]):
        shift = offsets * rng.standard_normal((*data.shape[:2], 1, 1)).astype(np.float32)
        data[..., output] += shift
        noise[..., output] += shift
