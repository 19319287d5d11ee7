"""Dithered sets of exposures of one field, with the WCS of each."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, spline_filter

from deflicker.detector.pixel_map import pixel_map
from deflicker.simulation.exposures import Scenario, SimulatedExposure, field_of, simulate

__all__ = ["DitheredExposure", "DitheredSet", "Pointing", "dithered_set", "gwcs_of", "sky_wcs"]

SCALE = 0.063 / 3600  # degrees per pixel
CENTRE = (150.1, 2.2)  # right ascension and declination of the field in degrees
# Distortion: the second-order terms move the corners of a full frame by some pixels.
DISTORTION = ((1.5e-6, -0.8e-6, 0.6e-6), (-0.7e-6, 1.1e-6, 1.3e-6))  # x^2, x y, y^2
SPLINE = 3


@dataclass(frozen=True, kw_only=True)
class Pointing:
    """Where an exposure of a set points.

    Parameters
    ----------
    offset : tuple of float
        Pixels from the centre of the field, along the declination and against the right ascension.
    roll : float, optional
        Position angle in degrees.
    background : float, optional
        Light of the sky in electrons per second beside that of the scenario.
    error : tuple of float, optional
        Pixels by which the WCS of the exposure is wrong, in the same directions as ``offset``.
    """

    offset: tuple[float, float]
    roll: float = 0.0
    background: float = 0.0
    error: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class DitheredExposure:
    """One exposure of a set.

    Parameters
    ----------
    truth : SimulatedExposure
        Arrays and truth.
    wcs : gwcs.WCS
        Its WCS, with the error of the pointing.
    pointing : Pointing
        Where it points.
    """

    truth: SimulatedExposure
    wcs: Any
    pointing: Pointing


@dataclass(frozen=True, kw_only=True)
class DitheredSet:
    """Exposures of one field.

    Parameters
    ----------
    exposures : tuple of DitheredExposure
        The exposures.
    sky : ndarray of float32, shape (my, mx)
        The field without the uniform light of the sky, in electrons per second.
    wcs : astropy.wcs.WCS
        WCS of the field.
    """

    exposures: tuple[DitheredExposure, ...]
    sky: NDArray[np.float32]
    wcs: Any


def sky_wcs(shape: tuple[int, int], *, scale: float = 1.0, roll: float = 0.0) -> Any:
    """Celestial WCS of an image around the centre of the field.

    Parameters
    ----------
    shape : tuple of int
        (ny, nx) of the image.
    scale : float, optional
        Size of its pixels relative to those of the detector.
    roll : float, optional
        Position angle in degrees.

    Returns
    -------
    astropy.wcs.WCS
        Tangential projection.
    """
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = list(CENTRE)
    wcs.wcs.crpix = [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    angle = np.deg2rad(roll)
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wcs.wcs.cd = scale * SCALE * np.diag([-1.0, 1.0]) @ turned
    wcs.wcs.set()
    return wcs


def gwcs_of(
    shape: tuple[int, int], pointing: Pointing, *, error: tuple[float, float] = (0.0, 0.0)
) -> Any:
    """WCS of an exposure, with distortion.

    Parameters
    ----------
    shape : tuple of int
        (ny, nx) of the exposure.
    pointing : Pointing
        Where it points.
    error : tuple of float, optional
        Pixels that are added to the offset.

    Returns
    -------
    gwcs.WCS
        From pixels to right ascension and declination in degrees.
    """
    import gwcs
    from astropy import coordinates, units
    from astropy.modeling import models
    from gwcs import coordinate_frames as frames

    middle = models.Shift(-(shape[1] - 1) / 2) & models.Shift(-(shape[0] - 1) / 2)
    terms = [
        models.Polynomial2D(2, c1_0=float(k == 0), c0_1=float(k == 1), c2_0=a, c1_1=b, c0_2=c)
        for k, (a, b, c) in enumerate(DISTORTION)
    ]
    distortion = models.Mapping((0, 1, 0, 1)) | terms[0] & terms[1]
    offset = [one + more for one, more in zip(pointing.offset, error, strict=True)]
    plane = (
        models.Rotation2D(pointing.roll)
        | models.Shift(offset[1]) & models.Shift(offset[0])
        | models.Scale(-SCALE) & models.Scale(SCALE)
    )
    to_sky = models.Pix2Sky_TAN() | models.RotateNative2Celestial(*CENTRE, 180.0)
    detector = frames.Frame2D(name="detector", axes_order=(0, 1), unit=(units.pix, units.pix))
    world = frames.CelestialFrame(
        name="world", reference_frame=coordinates.ICRS(), unit=(units.deg, units.deg)
    )
    return gwcs.WCS([(detector, middle | distortion | plane | to_sky), (world, None)])


def dithered_set(
    scenario: Scenario, pointings: tuple[Pointing, ...], *, seed: int = 1
) -> DitheredSet:
    """Simulate exposures of one field.

    Parameters
    ----------
    scenario : Scenario
        Parameters of each exposure; its stars and light fill the whole field.
    pointings : tuple of Pointing
        Where the exposures point.
    seed : int, optional
        Seed of the field; the noise of each exposure has one of its own.

    Returns
    -------
    DitheredSet
        The exposures, and the field without noise.
    """
    ny, nx = scenario.shape
    half = np.hypot(ny, nx) / 2 + 16 + max(np.hypot(*one.offset) for one in pointings)
    shape = (2 * int(np.ceil(half)),) * 2
    wide = replace(
        scenario, shape=shape, sky=0.0, n_stars=scenario.n_stars * shape[0] ** 2 // (ny * nx)
    )
    sky = field_of(wide, np.random.default_rng(seed)) / np.float32(scenario.group_time)
    wcs = sky_wcs(shape)
    spline = spline_filter(sky, order=SPLINE, output=np.float32)
    exposures = []
    for number, pointing in enumerate(pointings):
        true = gwcs_of(scenario.shape, pointing)
        y, x = pixel_map(scenario.shape, true, wcs.world_to_pixel_values)
        light = map_coordinates(spline, [y, x], order=SPLINE, prefilter=False, output=np.float32)
        light = np.maximum(light, 0) + np.float32(scenario.sky + pointing.background)
        truth = simulate(
            scenario, seed=1000 * seed + number, field=light * np.float32(scenario.group_time)
        )
        exposures.append(
            DitheredExposure(
                truth=truth,
                wcs=gwcs_of(scenario.shape, pointing, error=pointing.error),
                pointing=pointing,
            )
        )
    return DitheredSet(exposures=tuple(exposures), sky=sky, wcs=wcs)
