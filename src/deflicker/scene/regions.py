"""Regions that NIRSpec illuminates, from the world coordinate system of the exposure."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.dq import MSA_FAILED_OPEN
from deflicker.detector.facts import FIXED_SLIT_QUADRANT, FIXED_SLIT_ROWS, FULL_FRAME
from deflicker.errors import CannotClean

if TYPE_CHECKING:
    from gwcs import WCS

__all__ = [
    "failed_open",
    "fixed_slit_region",
    "has_fixed_slits",
    "ifu_slices",
    "open_slits",
    "slit_footprints",
]


def ifu_slices(wcs: "WCS", shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels inside the slices of the IFU.

    Parameters
    ----------
    wcs : gwcs.WCS
        World coordinate system with a transform whose label mapper is an image of slice
        numbers, 0 outside; or, from older versions of the pipeline, with a bounding box for
        each slice and a transform from detector to slice.
    shape : tuple of int
        (ny, nx) of the image.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        True inside a slice, where the slice number is not 0 or the wavelength is finite.

    Raises
    ------
    CannotClean
        If the WCS has no slices, or slices of a different exposure.
    """
    for step in wcs.pipeline:
        mapper = getattr(getattr(step.transform, "label_mapper", None), "mapper", None)
        if isinstance(mapper, np.ndarray):
            if mapper.shape != shape:
                msg = f"the WCS maps slices of {mapper.shape} pixels, the exposure has {shape}"
                raise CannotClean(msg)
            return np.asarray(mapper) > 0
    slices = [item for item in _apertures(wcs) if not _is_slit(item)]
    if not slices:
        msg = "the WCS has no IFU slices: assign it anew, or give user_mask"
        raise CannotClean(msg)
    to_slice = wcs.get_transform("detector", "slit_frame")
    inside = np.zeros(shape, dtype=bool)
    boxes = [_box(wcs, number, shape, name=f"slice {number}") for number in slices]
    _check_overlap(boxes, shape)
    for number, (rows, columns) in zip(slices, boxes, strict=True):
        y, x = np.mgrid[rows, columns].astype(np.float64)
        _, _, _, wavelength = to_slice(x, y, number)
        inside[rows, columns] |= np.isfinite(wavelength)
    return inside


def slit_footprints(wcs: "WCS", shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels inside the open slits or slitlets.

    Parameters
    ----------
    wcs : gwcs.WCS
        World coordinate system with a bounding box for each slit and a transform from
        detector to slit.
    shape : tuple of int
        (ny, nx) of the image.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        True where the wavelength is finite and the position lies within the slit: the
        exact footprint, which is smaller than the bounding box of a slanted spectrum.

    Raises
    ------
    CannotClean
        If the WCS has no slits, or all of them outside the image.
    """
    slits = open_slits(wcs)
    if not slits:
        msg = "the WCS has no open slits: assign it anew, or give user_mask"
        raise CannotClean(msg)
    to_slit = wcs.get_transform("detector", "slit_frame")
    inside = np.zeros(shape, dtype=bool)
    boxes = [_box(wcs, slit.slit_id, shape, name=f"slit {slit.name}") for slit in slits]
    _check_overlap(boxes, shape)
    for slit, (rows, columns) in zip(slits, boxes, strict=True):
        y, x = np.mgrid[rows, columns].astype(np.float64)
        _, _, position, wavelength = to_slit(x, y, slit.slit_id)
        with np.errstate(invalid="ignore"):
            within = (position >= slit.ymin) & (position <= slit.ymax)
        inside[rows, columns] |= within & np.isfinite(wavelength)
    return inside


def open_slits(wcs: "WCS") -> list[Any]:
    """Open slits of a WCS.

    Parameters
    ----------
    wcs : gwcs.WCS
        World coordinate system.

    Returns
    -------
    list of Slit
        Slits with identifier, quadrant and extent; empty if the WCS has none.
    """
    return [item for item in _apertures(wcs) if _is_slit(item)]


def has_fixed_slits(wcs: "WCS") -> bool:
    """Whether the open slits include a fixed slit.

    Parameters
    ----------
    wcs : gwcs.WCS
        World coordinate system.

    Returns
    -------
    bool
        True if one lies in quadrant 5.
    """
    return any(slit.quadrant == FIXED_SLIT_QUADRANT for slit in open_slits(wcs))


def _apertures(wcs: "WCS") -> list[Any]:
    """Apertures of a WCS: slits, or numbers of IFU slices."""
    if not {"gwa", "slit_frame"} <= set(wcs.available_frames):
        return []
    return list(getattr(wcs.get_transform("gwa", "slit_frame"), "slits", []))


def _is_slit(aperture: Any) -> bool:
    return hasattr(aperture, "quadrant")


def _box(
    wcs: "WCS", aperture: int | str, shape: tuple[int, int], *, name: str
) -> tuple[slice, slice]:
    """Rows and columns of an image inside the bounding box of a slit or slice."""
    try:
        across, along = (wcs.bounding_box[aperture].intervals[axis] for axis in (0, 1))
        limits = [float(edge) for axis in (along, across) for edge in (axis.lower, axis.upper)]
    except (AttributeError, KeyError, RuntimeError, TypeError):
        limits = [np.nan]
    if not np.isfinite(limits).all():
        msg = f"the WCS has no finite bounding box for {name}: assign it anew, or give user_mask"
        raise CannotClean(msg)
    # Boxes have margins that may extend beyond a sub-array; the box of a slit outside is empty.
    edges = np.clip(limits, -0.5, np.repeat(shape, 2) - 0.5)
    bottom, left = (int(np.ceil(edge)) for edge in edges[::2])
    top, right = (int(np.floor(edge)) + 1 for edge in edges[1::2])
    return slice(bottom, max(bottom, top)), slice(left, max(left, right))


def _check_overlap(boxes: list[tuple[slice, slice]], shape: tuple[int, int]) -> None:
    """Raise if all slits or slices of a WCS lie outside the image."""
    if not any(rows.stop > rows.start and columns.stop > columns.start for rows, columns in boxes):
        msg = f"all slits or slices of the WCS lie outside the image of {shape} pixels"
        raise CannotClean(msg)


def failed_open(pixel_dq: NDArray) -> NDArray[np.bool_]:
    """Pixels that light from failed-open MSA shutters may reach.

    Parameters
    ----------
    pixel_dq : ndarray of uint32, shape (ny, nx) or (n_integrations, ny, nx)
        Data quality.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        True where MSA_FAILED_OPEN is set in any integration.
    """
    flagged = (pixel_dq & np.uint32(MSA_FAILED_OPEN)) != 0
    return flagged.any(axis=0) if flagged.ndim == 3 else flagged


def fixed_slit_region(shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Region of the fixed slits, which are always open, in a full frame.

    Parameters
    ----------
    shape : tuple of int
        (ny, nx) of the image.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        True in the region; False everywhere for sub-arrays.
    """
    region = np.zeros(shape, dtype=bool)
    if shape == FULL_FRAME:
        region[FIXED_SLIT_ROWS] = True
    return region
