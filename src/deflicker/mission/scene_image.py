"""Light of an exposure that a mosaic of the field shows."""

import logging
from pathlib import Path

import numpy as np
from stdatamodels.jwst import datamodels

from deflicker.detector.pixel_map import pixel_map
from deflicker.errors import CannotClean
from deflicker.models.mosaics import Mosaic, celestial_wcs, read_mosaic
from deflicker.ramps.exposure import Exposure
from deflicker.scene.draft_masks import integration_rate
from deflicker.scene.known_light import KnownLight
from deflicker.scene.registration import register
from deflicker.scene.scene_image import SceneImage

__all__ = ["known_light"]

log = logging.getLogger(__name__)

LEAST_COVERED = 0.01  # fraction of the pixels
# What a registration must reach: errors in pixels, and relative to the factor.
MOST_SHIFT_ERROR, MOST_FACTOR_ERROR = 0.2, 0.05


def known_light(
    model: datamodels.JwstDataModel,
    exposure: Exposure,
    *,
    mosaic: str | Path,
    wcs: str | Path | None,
) -> KnownLight | None:
    """Bring a mosaic to the pixels and the unit of an exposure.

    Parameters
    ----------
    model : JwstDataModel
        The exposure.
    exposure : Exposure
        Its arrays.
    mosaic : str or pathlib.Path
        Image of the sky.
    wcs : str, pathlib.Path or None
        File with the WCS of the exposure; its own by default.

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
    _check_filter(model, image)
    geometry = celestial_wcs(model, wcs)
    try:
        y, x = pixel_map(exposure.image_shape, geometry, image.wcs.world_to_pixel_values)
    except Exception as error:
        msg = f"the WCS of the exposure cannot be evaluated ({error}): give another with scene_wcs"
        raise CannotClean(msg) from error
    scene = SceneImage(image.image, image.error, y=y, x=x)
    covered = float(scene.covered().mean())
    if covered < LEAST_COVERED:
        msg = (
            f"scene_image {mosaic} covers {100 * covered:.2g} % of the exposure: give a mosaic of "
            "the same field, and check scene_wcs"
        )
        raise CannotClean(msg)
    rate = integration_rate(exposure, 0).rate
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
    return scene.known(found.factor, found.shift)


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
