"""Reading of reference files, masks and templates into arrays."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stdatamodels.exceptions import NoTypeWarning
from stdatamodels.jwst import datamodels

from deflicker.detector.dq import DO_NOT_USE, NON_SCIENCE
from deflicker.errors import CannotClean
from deflicker.models.exposure import series_keywords
from deflicker.models.files import existing_file
from deflicker.models.round_trip import reason_of
from deflicker.ramps.flat import fill_flat
from deflicker.series.template import Template
from deflicker.storage.fits_structure import check_file

__all__ = ["read_flat", "read_template", "read_user_mask"]


def read_flat(
    flat: str | Path | datamodels.JwstDataModel, model: datamodels.JwstDataModel
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Flat field of an exposure.

    Parameters
    ----------
    flat : str, pathlib.Path or FlatModel
        Reference file.
    model : JwstDataModel
        The exposure; its sub-array is cut out of the flat field.

    Returns
    -------
    flat : ndarray of float32, shape (ny, nx)
        Flat field, finite and positive everywhere.
    non_science : ndarray of bool, shape (ny, nx)
        True where the DQ of the flat field is DO_NOT_USE or NON_SCIENCE.

    Raises
    ------
    CannotClean
        If the file cannot be read or does not cover the exposure.
    """
    name = flat if isinstance(flat, str | Path) else "override_flat"
    try:
        if isinstance(flat, str | Path):
            check_file(existing_file(flat, what="flat field"))
        with datamodels.FlatModel(flat) as reference:
            region = _cut_out(reference, model, name=str(name))
            data = fill_flat(np.asarray(reference.data)[region])
            dq = reference.dq
            flags = np.zeros(data.shape, np.uint32) if dq is None else np.asarray(dq)[region]
    except CannotClean:
        raise
    except Exception as error:
        msg = (
            f"flat field {name} cannot be read: {reason_of(error)}; give another with override_flat"
        )
        raise CannotClean(msg) from error
    return data, (flags & np.uint32(DO_NOT_USE | NON_SCIENCE)) != 0


def _cut_out(
    reference: datamodels.JwstDataModel, model: datamodels.JwstDataModel, *, name: str
) -> tuple[slice, slice]:
    """Rows and columns of a reference image that an exposure covers."""
    shape = np.shape(model.data)[-2:]
    size = np.shape(reference.data)
    if size == shape:
        return slice(None), slice(None)
    parts = []
    for axis, length, available in zip("yx", shape, size, strict=True):
        first = getattr(model.meta.subarray, f"{axis}start") or 1
        start = first - (getattr(reference.meta.subarray, f"{axis}start") or 1)
        if start < 0 or start + length > available:
            msg = f"flat field {name} of shape {size} does not cover the exposure's sub-array"
            raise CannotClean(msg)
        parts.append(slice(start, start + length))
    return parts[0], parts[1]


def read_user_mask(path: str | Path) -> NDArray[np.bool_]:
    """Read a scene mask.

    Parameters
    ----------
    path : str or pathlib.Path
        File of an ImageModel or CubeModel.

    Returns
    -------
    ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx)
        True where the value is finite and not zero, which means that the pixel may be used.

    Raises
    ------
    CannotClean
        If the file cannot be read or has no image.
    """
    data, _ = _read_model(path, parameter="user_mask")
    return np.isfinite(data) & (data != 0)


def read_template(path: str | Path) -> Template:
    """Read the template of a series.

    Parameters
    ----------
    path : str or pathlib.Path
        File that ``save_template`` wrote: a ramp of one integration, or an image.

    Returns
    -------
    Template
        The template, with the keywords of its series.

    Raises
    ------
    CannotClean
        If the file cannot be read or contains no template.
    """
    data, keywords = _read_model(path, parameter="template")
    if data.ndim == 4 and len(data) == 1:
        return Template(groups=data[0], keywords=keywords)
    if data.ndim == 2:
        return Template(groups=data[np.newaxis], keywords=keywords)
    msg = f"template {path} must be a ramp of one integration or an image, not {data.shape}"
    raise CannotClean(msg)


def _read_model(path: str | Path, *, parameter: str) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Read the science data of a file that a parameter names, and the keywords of its series."""
    try:
        check_file(existing_file(path, what=parameter))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoTypeWarning)
            model = datamodels.open(path)
        with model, np.errstate(over="ignore"):
            image = getattr(model, "data", None)
            data = None if image is None else np.array(image, dtype=np.float32)
            keywords = series_keywords(model)
    except FileNotFoundError as error:
        raise CannotClean(str(error)) from error
    except Exception as error:
        msg = f"{parameter} {path} cannot be read: {reason_of(error)}"
        raise CannotClean(msg) from error
    if data is None:
        msg = f"{parameter} {path} has no image in an extension named SCI; put it there"
        raise CannotClean(msg)
    return data, keywords
