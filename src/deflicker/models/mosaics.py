"""Reading of images of the sky, and of the WCS of an exposure."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stdatamodels.exceptions import NoTypeWarning
from stdatamodels.jwst import datamodels

from deflicker.errors import CannotClean
from deflicker.models.files import existing_file
from deflicker.models.round_trip import reason_of

__all__ = ["Mosaic", "celestial_wcs", "read_mosaic"]


@dataclass(frozen=True, kw_only=True)
class Mosaic:
    """An image of the sky.

    Parameters
    ----------
    image : ndarray of float32, shape (my, mx)
        Brightness in any unit; not finite where there is none.
    error : ndarray of float32, shape (my, mx), or None
        Its standard deviation, from the extension ERR.
    wcs : astropy.wcs.WCS
        Celestial WCS.
    filter : str
        Filter of the image; empty if it is not recorded.
    """

    image: NDArray[np.float32]
    error: NDArray[np.float32] | None
    wcs: Any
    filter: str


def read_mosaic(path: str | Path) -> Mosaic:
    """Read an image of the sky.

    Parameters
    ----------
    path : str or pathlib.Path
        FITS file with an image that has a celestial WCS, in the extension SCI or in the first one
        with an image.

    Returns
    -------
    Mosaic
        The image. Values of exactly 0 where the error is not finite or 0 are no data.

    Raises
    ------
    CannotClean
        If the file cannot be read, or has no such image.
    """
    from astropy.io import fits
    from astropy.wcs import WCS

    try:
        with fits.open(existing_file(path, what="scene_image"), memmap=False) as hdus:
            images = [hdu for hdu in hdus if hdu.is_image and hdu.header.get("NAXIS", 0) == 2]
            named = [hdu for hdu in images if hdu.name == "SCI"] or images
            header = named[0].header if named else fits.Header()
            image = np.array(named[0].data if named else np.zeros((0, 0)), dtype=np.float32)
            noise = [hdu.data for hdu in hdus if hdu.name == "ERR" and hdu.data is not None]
            band = str(header.get("FILTER", hdus[0].header.get("FILTER", "")))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                wcs = WCS(header)
    except FileNotFoundError as reason:
        raise CannotClean(str(reason)) from reason
    except Exception as reason:
        msg = f"scene_image {path} cannot be read: {reason_of(reason)}"
        raise CannotClean(msg) from reason
    if not image.size:
        msg = f"scene_image {path} has no image: give a mosaic with an extension SCI"
        raise CannotClean(msg)
    if not wcs.has_celestial:
        msg = (
            f"scene_image {path} has no celestial WCS in its header: give a mosaic of the sky, "
            "such as an _i2d file of the pipeline"
        )
        raise CannotClean(msg)
    error = None
    if noise and noise[0].shape == image.shape:
        error = np.array(noise[0], dtype=np.float32)
        image[(image == 0) & ~(error > 0)] = np.nan
    if not np.isfinite(image).any():
        msg = f"scene_image {path} contains no finite value: give a mosaic with data"
        raise CannotClean(msg)
    return Mosaic(image=image, error=error, wcs=wcs.celestial, filter=band)


def celestial_wcs(model: datamodels.JwstDataModel, path: str | Path | None) -> Any:
    """WCS of an exposure, from a file or its own.

    Parameters
    ----------
    model : JwstDataModel
        The exposure.
    path : str, pathlib.Path or None
        File of a model with the WCS of the same exposure, such as a _cal file.

    Returns
    -------
    gwcs.WCS
        From pixels to the sky.

    Raises
    ------
    CannotClean
        If there is none.
    """
    wcs = model.meta.wcs
    if path is not None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NoTypeWarning)
                other = datamodels.open(existing_file(path, what="scene_wcs"))
            with other:
                wcs = other.meta.wcs
                shape = np.shape(other.data)[-2:]
        except FileNotFoundError as error:
            raise CannotClean(str(error)) from error
        except Exception as error:
            msg = f"scene_wcs {path} cannot be read: {reason_of(error)}"
            raise CannotClean(msg) from error
        if shape != np.shape(model.data)[-2:]:
            msg = f"scene_wcs {path} is of an exposure of another shape, {shape}: give its own file"
            raise CannotClean(msg)
    if wcs is None or not callable(wcs):
        place = "the exposure" if path is None else f"scene_wcs {path}"
        msg = (
            f"scene_image needs a WCS, and {place} has none: give scene_wcs, a file of the same "
            "exposure that has one (_cal, _rate after assign_wcs, _crf or _tweakreg), or run "
            "assign_wcs first"
        )
        raise CannotClean(msg)
    return wcs
