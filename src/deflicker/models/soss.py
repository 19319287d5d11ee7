"""Traces of NIRISS SOSS exposures, from the PASTASOSS reference file."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from stdatamodels.jwst import datamodels

from deflicker.errors import CannotClean
from deflicker.scene.traces import Trace, trace_region

__all__ = ["TraceSet", "read_traces", "soss_region"]

# First row in the full frame, counted from 0, and size of the sub-arrays whose place is fixed.
# For all others SUBSTRT1 and SUBSTRT2 give the place.
SUBARRAYS: Final[Mapping[str, tuple[int, tuple[int, int]]]] = MappingProxyType(
    {
        "FULL": (0, (2048, 2048)),
        "SUBSTRIP96": (1802, (96, 2048)),
        "SUBSTRIP256": (1792, (256, 2048)),
    }
)
GRISM: Final = "GR700XD"
ANOTHER: Final = "give another with override_pastasoss"


@dataclass(frozen=True, kw_only=True)
class TraceSet:
    """Contents of a PASTASOSS reference file.

    Parameters
    ----------
    name : str
        Name of the file.
    traces : tuple of Trace
        One for each order.
    commanded : float
        Position of the pupil wheel for these traces, in degrees.
    bounds : tuple of float
        Lowest and highest position to which they may be rotated, in degrees.
    first_row : int
        Row of the full frame, counted from 0, at which the rows of the traces begin.
    pupil : str
        Element of the pupil wheel.
    """

    name: str
    traces: tuple[Trace, ...]
    commanded: float
    bounds: tuple[float, float]
    first_row: int
    pupil: str


def soss_region(
    model: datamodels.JwstDataModel, reference: str | Path | datamodels.PastasossModel
) -> NDArray[np.bool_]:
    """Pixels near the traces of an exposure.

    Parameters
    ----------
    model : RampModel, CubeModel or ImageModel
        The exposure, of type NIS_SOSS.
    reference : str, pathlib.Path or PastasossModel
        Reference file.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        True near a trace.

    Raises
    ------
    CannotClean
        If the file cannot be used, or does not fit the sub-array or the pupil wheel position of
        the exposure.
    """
    ny, nx = model.data.shape[-2:]
    first_row, first_column = _place(model, (ny, nx))
    found = read_traces(reference)
    region = trace_region(
        found.traces,
        (ny, first_column + nx),
        rotation=_pupil_position(model, found) - found.commanded,
        first_row=first_row - found.first_row,
    )[:, first_column:]
    if not region.any():
        name = model.meta.subarray.name or "the sub-array"
        msg = (
            f"all traces of PASTASOSS file {found.name} lie beside {name}, which begins at row "
            f"{first_row + 1} of the detector (SUBSTRT2); {ANOTHER}"
        )
        raise CannotClean(msg)
    return region


def _place(model: datamodels.JwstDataModel, shape: tuple[int, int]) -> tuple[int, int]:
    """First row and column of an exposure in the full frame, counted from 0.

    Sub-arrays whose place is fixed are recognized by name, because simulated files often lack
    the keywords or have the value 1. For cut-outs, and for stripes (SUB17STRIPE_SOSS and
    others), which the pipeline reassembles before this step, the keywords give the place.
    Without keywords, the size determines which of the known sub-arrays it is.
    """
    meta = model.meta.subarray
    name = str(meta.name or "").upper()
    known = SUBARRAYS.get(name)
    if known is not None and shape == known[1]:
        return known[0], 0
    if meta.ystart is not None:
        row, column = meta.ystart - 1, (meta.xstart or 1) - 1
        if min(row, column) < 0:
            msg = (
                f"meta.subarray.xstart and ystart (SUBSTRT1, SUBSTRT2) are {meta.xstart} and "
                f"{meta.ystart}, and count from 1: correct them, or give user_mask"
            )
            raise CannotClean(msg)
        return row, column
    same = [row for row, size in SUBARRAYS.values() if size == shape]
    if known is None and same:
        return same[0], 0
    msg = (
        "meta.subarray.ystart (SUBSTRT2) is missing, and no SOSS sub-array "
        f"{name or 'without name'} (SUBARRAY) of {shape} pixels is known: set it, or give user_mask"
    )
    raise CannotClean(msg)


def read_traces(reference: str | Path | datamodels.PastasossModel) -> TraceSet:
    """Read a PASTASOSS reference file.

    Parameters
    ----------
    reference : str, pathlib.Path or PastasossModel
        The file.

    Returns
    -------
    TraceSet
        The traces, with copies of the arrays.

    Raises
    ------
    CannotClean
        If the file cannot be read, or is not a PASTASOSS file.
    """
    name = str(reference) if isinstance(reference, str | Path) else "override_pastasoss"
    try:
        with datamodels.PastasossModel(reference) as content:
            return _trace_set(content, name)
    except Exception as error:  # files of other kinds break in many ways
        msg = f"PASTASOSS file {name} cannot be read: {error}; {ANOTHER}"
        raise CannotClean(msg) from error


def _trace_set(content: datamodels.PastasossModel, name: str) -> TraceSet:
    """Take the values that are needed from an open reference file; ValueError if one is missing."""
    meta = content.meta
    if not content.hasattr("traces") or not len(content.traces):
        msg = "it has no traces, as a file of another kind"
        raise ValueError(msg)
    low, high = (
        _number(limit, "meta.pwcpos_bounds") for limit in meta.pwcpos_bounds or (None,) * 2
    )
    return TraceSet(
        name=name,
        traces=tuple(_trace(item) for item in content.traces),
        commanded=_number(meta.pwcpos_cmd, "meta.pwcpos_cmd"),
        bounds=(low, high),
        first_row=SUBARRAYS["SUBSTRIP256"][0] if meta.subarray_ymin is None else meta.subarray_ymin,
        pupil=_pupil(content),
    )


def _number(value: Any, name: str) -> float:
    if value is None or not math.isfinite(value):
        msg = f"{name} is {'missing' if value is None else value}"
        raise ValueError(msg)
    return float(value)


def _trace(item: Any) -> Trace:
    points = np.array(item.trace, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        msg = f"a trace must have shape (points, 2), not {points.shape}"
        raise ValueError(msg)
    x, y = points[np.isfinite(points).all(axis=1)].T
    return Trace(
        order=int(item.spectral_order),
        x=x,
        y=y,
        pivot_x=_number(item.pivot_x, "pivot_x of a trace"),
        pivot_y=_number(item.pivot_y, "pivot_y of a trace"),
    )


def _pupil(model: datamodels.JwstDataModel) -> str:
    """Element of the pupil wheel; that of SOSS if the file does not name one."""
    pupil = str(getattr(model.meta.instrument, "pupil", None) or "ANY").upper()
    return GRISM if pupil in {"ANY", "N/A"} else pupil


def _pupil_position(model: datamodels.JwstDataModel, traces: TraceSet) -> float:
    """Position of the pupil wheel in degrees; checks that the traces are valid for it."""
    pupil = _pupil(model)
    if pupil != traces.pupil:
        msg = (
            f"the exposure's meta.instrument.pupil (PUPIL) is {pupil}, and PASTASOSS file "
            f"{traces.name} is for {traces.pupil}; {ANOTHER}"
        )
        raise CannotClean(msg)
    position = model.meta.instrument.pupil_position
    if position is None or not math.isfinite(position):
        msg = (
            "meta.instrument.pupil_position is missing, and the traces depend on it; set it "
            "(FITS keyword PWCPOS) in the input, or give user_mask"
        )
        raise CannotClean(msg)
    low, high = traces.bounds
    if not low <= position <= high:
        msg = (
            f"meta.instrument.pupil_position (PWCPOS) is {position:g} degrees, and PASTASOSS file "
            f"{traces.name} is for {low:g} to {high:g}; {ANOTHER}, or give user_mask"
        )
        raise CannotClean(msg)
    return float(position)
