"""Files of images of the sky, and of the WCS of an exposure."""

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
from deflicker.storage.unfinished import written_whole

__all__ = ["Mosaic", "read_mosaic", "read_wcs", "write_mosaic"]


@dataclass(frozen=True, kw_only=True)
class Mosaic:
    """An image of the sky.

    Parameters
    ----------
    image : ndarray of float32, shape (my, mx)
        Brightness in any unit; not finite where there is none.
    error : ndarray of float32, shape (my, mx), or None
        Its standard deviation, from the extension ERR.
    wcs : astropy.wcs.WCS or None
        Celestial WCS, if it has one.
    filter : str, optional
        Filter of the image; empty if it is not recorded.
    unit : str, optional
        Unit of the image; empty if it is not recorded.
    members : tuple of str, optional
        Names of the exposures that it was made of, if they are recorded.
    """

    image: NDArray[np.float32]
    error: NDArray[np.float32] | None
    wcs: Any
    filter: str = ""
    unit: str = ""
    members: tuple[str, ...] = ()


def read_mosaic(path: str | Path) -> Mosaic:
    """Read an image of the sky.

    Parameters
    ----------
    path : str or pathlib.Path
        FITS file with an image in the extension SCI, or in the first one with an image.

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
            heavy = [hdu.data for hdu in hdus if hdu.name == "WHT" and hdu.data is not None]
            band = str(header.get("FILTER", hdus[0].header.get("FILTER", "")))
            members = _members(hdus)
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
    error = None
    if noise and noise[0].shape == image.shape:
        error = np.array(noise[0], dtype=np.float32)
        image[(image == 0) & ~(error > 0)] = np.nan
    elif heavy and heavy[0].shape == image.shape:
        image[~(heavy[0] > 0)] = np.nan
    if not np.isfinite(image).any():
        msg = f"scene_image {path} contains no finite value: give a mosaic with data"
        raise CannotClean(msg)
    return Mosaic(
        image=image,
        error=error,
        wcs=wcs.celestial if wcs.has_celestial else None,
        filter=band,
        unit=str(header.get("BUNIT", "")),
        members=members,
    )


def _members(hdus: Any) -> tuple[str, ...]:
    """Names of exposures in the table in which the pipeline lists their headers."""
    tables = [hdu for hdu in hdus if hdu.name == "HDRTAB" and hdu.data is not None]
    if not tables or "FILENAME" not in tables[0].columns.names:
        return ()
    return tuple(str(name) for name in tables[0].data["FILENAME"])


def write_mosaic(mosaic: Mosaic, path: Path) -> None:
    """Write an image of the sky, in a form that `read_mosaic` reads.

    Parameters
    ----------
    mosaic : Mosaic
        The image; NaN where there is none.
    path : pathlib.Path
        FITS file, which is written as a whole or not at all.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    from astropy.io import fits

    header = mosaic.wcs.to_header()
    header["BUNIT"] = mosaic.unit
    header["FILTER"] = mosaic.filter
    names = fits.Column(name="FILENAME", format="A80", array=list(mosaic.members))
    hdus = [
        fits.PrimaryHDU(),
        fits.ImageHDU(mosaic.image, header, name="SCI"),
        fits.ImageHDU(mosaic.error, header, name="ERR"),
        fits.BinTableHDU.from_columns([names], name="HDRTAB"),
    ]
    with written_whole(path) as unfinished:
        fits.HDUList(hdus).writeto(unfinished)


def read_wcs(path: str | Path, shape: tuple[int, ...]) -> Any:
    """WCS in the file of an exposure.

    Parameters
    ----------
    path : str or pathlib.Path
        File of a data model, such as a _cal file.
    shape : tuple of int
        (ny, nx) of the exposure.

    Returns
    -------
    gwcs.WCS or None
        From pixels to the sky, if it has one.

    Raises
    ------
    CannotClean
        If the file cannot be read, or is of another shape.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoTypeWarning)
            other = datamodels.open(existing_file(path, what="scene_wcs"))
        with other:
            wcs = other.meta.wcs
            found = np.shape(other.data)[-2:]
    except FileNotFoundError as error:
        raise CannotClean(str(error)) from error
    except Exception as error:
        msg = f"scene_wcs {path} cannot be read: {reason_of(error)}"
        raise CannotClean(msg) from error
    if not callable(wcs):
        return None
    if found != tuple(shape):
        msg = f"scene_wcs {path} is of an exposure of another shape, {found}: give its own file"
        raise CannotClean(msg)
    return wcs
