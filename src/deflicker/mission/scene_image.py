"""Light of an exposure that a mosaic of the field shows."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stdatamodels.jwst import datamodels

from deflicker.detector.pixel_map import pixel_map
from deflicker.errors import CannotClean
from deflicker.mission.names import remove_suffix
from deflicker.models.mosaics import Mosaic, read_mosaic
from deflicker.ramps.exposure import Exposure
from deflicker.scene.draft_masks import integration_rate
from deflicker.scene.known_light import KnownLight
from deflicker.scene.registration import Registration, register, shared_stripes
from deflicker.scene.scene_image import SceneImage

__all__ = ["known_light"]

log = logging.getLogger(__name__)

Box = tuple[slice, slice]

BESIDE = 32  # pixels of a mosaic beside an exposure
LEAST_COVERED = 0.01  # fraction of the pixels
# Part of the exposure's stripes in a mosaic: none if it was not made of it, one if of it alone.
MOST_OWN_STRIPES, SOME_OWN_STRIPES, SURE = 0.4, 0.1, 5.0
ENOUGH_PIXELS = 512  # of each line
OTHERS = "give a mosaic of other exposures, such as `deflicker field` makes"
RATES = {"dn/s", "dn*s**-1", "dns-1"}
# What a registration must reach: errors in pixels, and relative to the factor.
MOST_SHIFT_ERROR, MOST_FACTOR_ERROR = 0.2, 0.05


def known_light(
    model: datamodels.JwstDataModel,
    exposure: Exposure,
    *,
    mosaic: str | Path,
    find_wcs: Callable[[], Any],
    flat: NDArray[np.float32] | None = None,
    n_threads: int = 1,
) -> KnownLight | None:
    """Bring a mosaic to the pixels and the unit of an exposure.

    Parameters
    ----------
    model : JwstDataModel
        The exposure.
    exposure : Exposure
        Its arrays.
    mosaic : str or pathlib.Path
        Image of the sky; without a WCS, an image of the same pixels in DN/s.
    find_wcs : callable
        Returns the WCS of the exposure, see `exposure_wcs`; only called if it is needed.
    flat : ndarray of float32, shape (ny, nx), optional
        Flat field through which the exposure sees the light.
    n_threads : int, optional
        Threads to use.

    Returns
    -------
    KnownLight or None
        The light in DN/s; None if the mosaic has no structure that the exposure shows.

    Raises
    ------
    CannotClean
        If a file cannot be used, or the mosaic does not cover the exposure.
    """
    image = read_mosaic(mosaic)
    _check_members(model, image, mosaic)
    _check_filter(model, image)
    if image.wcs is None:
        return _same_pixels(image, exposure.image_shape, mosaic)
    geometry = find_wcs()
    try:
        y, x = pixel_map(exposure.image_shape, geometry, image.wcs.world_to_pixel_values)
    except Exception as error:
        msg = f"the WCS of the exposure cannot be evaluated ({error}): give another with scene_wcs"
        raise CannotClean(msg) from error
    box = _box(y, x, image.image.shape)
    scene = SceneImage(
        image.image[box],
        None if image.error is None else image.error[box],
        y=y - box[0].start,
        x=x - box[1].start,
        n_threads=n_threads,
    )
    del image
    covered = float(scene.covered().mean())
    if covered < LEAST_COVERED:
        msg = (
            f"scene_image {mosaic} covers {100 * covered:.2g} % of the exposure: give a mosaic of "
            "the same field, and check scene_wcs"
        )
        raise CannotClean(msg)
    rate = integration_rate(exposure, 0, n_threads=n_threads).rate
    if flat is not None:
        rate = np.divide(rate, flat, out=np.full_like(rate, np.nan), where=flat > 0)
    stripes = 1 if abs(exposure.readout.fast_axis) == 1 else 0
    found = register(rate, np.isfinite(rate), scene, stripes=stripes)
    if not (
        found.shift_error < MOST_SHIFT_ERROR
        and found.factor > 0
        and found.factor_error < MOST_FACTOR_ERROR * found.factor
    ):
        log.warning(
            "The exposure does not show the structure of scene_image %s: it is cleaned without it",
            mosaic,
        )
        return None
    log.info(
        "Scene image: covers %.1f %% of the pixels, lies %.2f and %.2f pixels (y, x) beside the "
        "WCS (+- %.2f), factor %.4g DN/s per unit (+- %.2g)",
        100 * covered,
        *found.shift,
        found.shift_error,
        found.factor,
        found.factor_error,
    )
    _check_unit(model, found.factor)
    _check_stripes(rate, scene, found, stripes=stripes, mosaic=mosaic)
    known = scene.known(found.factor, found.shift)
    return known if flat is None else known.through(flat)


def _box(y: NDArray[np.float64], x: NDArray[np.float64], shape: tuple[int, ...]) -> Box:
    """Part of a mosaic around an exposure, since mosaics may be much larger; at least a pixel."""
    sides = []
    for places, size in ((y, shape[0]), (x, shape[1])):
        start = int(np.clip(np.floor(places.min()) - BESIDE, 0, size - 1))
        sides.append(slice(start, int(np.clip(np.ceil(places.max()) + BESIDE, start + 1, size))))
    return sides[0], sides[1]


def _same_pixels(image: Mosaic, shape: tuple[int, int], path: str | Path) -> KnownLight:
    """Light in an image of the same pixels, such as an imprint or leakage exposure."""
    if image.image.shape != shape:
        msg = (
            f"scene_image {path} has no celestial WCS, and its shape {image.image.shape} is not "
            f"that of the exposure, {shape}: give a mosaic of the sky, such as an _i2d file of the "
            "pipeline"
        )
        raise CannotClean(msg)
    unit = image.unit.replace(" ", "").lower()
    if unit and unit not in RATES:
        msg = (
            f"scene_image {path} has no celestial WCS, and its unit {image.unit} is not DN/s: give "
            "a _rate file of the same detector"
        )
        raise CannotClean(msg)
    valid = np.isfinite(image.image)
    level = np.float32(np.median(image.image[valid]))
    light = np.where(valid, image.image - level, np.float32(0))
    error = None if image.error is None else np.where(valid, image.error, np.float32(0))
    log.info("Scene image: %s is subtracted pixel by pixel", path)
    return KnownLight(light=light, error=np.zeros_like(light) if error is None else error)


def _check_members(model: datamodels.JwstDataModel, image: Mosaic, path: str | Path) -> None:
    """Refuse a mosaic of the exposure alone, in which its own stripes are light."""
    own = remove_suffix(Path(model.meta.filename or "").stem)[0]
    roots = {remove_suffix(Path(name).stem)[0] for name in image.members}
    if own and roots == {own}:
        msg = f"scene_image {path} was made of this exposure alone: {OTHERS}"
        raise CannotClean(msg)


def _check_stripes(
    rate: NDArray[np.float32],
    scene: SceneImage,
    found: Registration,
    *,
    stripes: int,
    mosaic: str | Path,
) -> None:
    """Refuse a mosaic that has the stripes of the exposure itself."""
    every = slice(None)
    some = slice(None, None, max(1, rate.shape[stripes] // ENOUGH_PIXELS))
    pixels = (every, some) if stripes == 1 else (some, every)
    light = np.float32(found.factor) * scene.light(found.shift, pixels)
    known = scene.covered(found.shift, pixels)
    part, error = shared_stripes(rate[pixels], light, known, stripes=stripes)
    if part > MOST_OWN_STRIPES and part > SURE * error:
        msg = f"scene_image {mosaic} has the stripes of this exposure itself: {OTHERS}"
        raise CannotClean(msg)
    if part > SOME_OWN_STRIPES and part > SURE * error:
        log.warning(
            "scene_image %s has %.0f %% of the stripes of this exposure itself, which stay: %s",
            mosaic,
            100 * part,
            OTHERS,
        )


def _check_filter(model: datamodels.JwstDataModel, mosaic: Mosaic) -> None:
    """Warn of a mosaic in another filter, whose light is not that of the exposure."""
    own = str(model.meta.instrument.filter or "")
    if own and mosaic.filter and own.upper() != mosaic.filter.upper():
        log.warning(
            "scene_image is in filter %s and the exposure in %s: light of another colour is left",
            mosaic.filter,
            own,
        )


def _check_unit(model: datamodels.JwstDataModel, factor: float) -> None:
    """Tell how far the fitted factor is from the one that the flux calibration gives."""
    calibration = model.meta.photometry.conversion_megajanskys
    if calibration:
        log.info(
            "The flux calibration gives %.4g DN/s per MJy/sr, %.1f %% of the fitted factor",
            1 / calibration,
            100 / (calibration * factor),
        )
