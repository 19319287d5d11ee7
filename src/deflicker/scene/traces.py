"""Positions of the spectra of slitless spectroscopy through GR700XD (NIRISS SOSS)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["HALF_WIDTH", "Trace", "trace_centres", "trace_region"]

HALF_WIDTH = 16.0


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Centre of the spectrum of one order, at the commanded position of the pupil wheel.

    Parameters
    ----------
    order : int
        Spectral order.
    x, y : ndarray of float64, shape (n_points,)
        Points along the centre, in pixels counted from 0, in any order along x.
    pivot_x, pivot_y : float
        Point about which the pupil wheel rotates the spectrum, in pixels.

    Raises
    ------
    ValueError
        If x and y do not make at least two finite points, or the pivot is not finite.
    """

    order: int
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    pivot_x: float
    pivot_y: float

    def __post_init__(self) -> None:
        if self.x.ndim != 1 or self.x.shape != self.y.shape or self.x.size < 2:
            msg = f"order {self.order} needs two points or more, x and y of one length each"
            raise ValueError(msg)
        numbers = (self.x, self.y, self.pivot_x, self.pivot_y)
        if not all(np.isfinite(number).all() for number in numbers):
            msg = f"points and pivot of order {self.order} must be finite"
            raise ValueError(msg)


def trace_centres(trace: Trace, n_columns: int, *, rotation: float = 0.0) -> NDArray[np.float64]:
    """Row of the centre of a rotated trace in each column.

    Parameters
    ----------
    trace : Trace
        The trace before the rotation.
    n_columns : int
        Columns 0 to ``n_columns`` - 1 are wanted.
    rotation : float, optional
        Degrees by which the trace is rotated about its pivot; positive from +x to +y.

    Returns
    -------
    ndarray of float64, shape (n_columns,)
        Row, linearly interpolated between the points; NaN in columns beyond the trace.

    Notes
    -----
    The model is that of PASTASOSS (Baines et al. 2023, arXiv:2311.07769): a small offset of the
    pupil wheel from its commanded position rotates the spectra rigidly.

    Examples
    --------
    >>> import numpy as np
    >>> from deflicker.scene.traces import Trace, trace_centres
    >>> x = np.array([1.0, 3.0])
    >>> trace = Trace(order=1, x=x, y=np.array([5.0, 7.0]), pivot_x=2.0, pivot_y=6.0)
    >>> trace_centres(trace, 5).tolist()
    [nan, 5.0, 6.0, 7.0, nan]
    """
    cosine, sine = math.cos(math.radians(rotation)), math.sin(math.radians(rotation))
    right, up = trace.x - trace.pivot_x, trace.y - trace.pivot_y
    x = trace.pivot_x + cosine * right - sine * up
    y = trace.pivot_y + sine * right + cosine * up
    ascending = np.argsort(x)
    columns = np.arange(n_columns)
    centres = np.interp(columns, x[ascending], y[ascending])
    # The rotation moves the ends of the trace by about a pixel along x. Columns that are beyond an
    # end only for this reason still have light; the row of the end is used there.
    first, last = min(x.min(), trace.x.min()), max(x.max(), trace.x.max())
    centres[(columns < first) | (columns > last)] = np.nan
    return centres


def trace_region(
    traces: Iterable[Trace],
    shape: tuple[int, int],
    *,
    rotation: float = 0.0,
    first_row: int = 0,
    half_width: float = HALF_WIDTH,
) -> NDArray[np.bool_]:
    """Pixels near the centre of any trace.

    Parameters
    ----------
    traces : iterable of Trace
        The traces of all orders.
    shape : tuple of int
        (ny, nx) of the image.
    rotation : float, optional
        Degrees, as in `trace_centres`.
    first_row : int, optional
        Row, in the frame of the traces, of the first row of the image; may be negative.
    half_width : float, optional
        Largest distance from the centre, in pixels along the column.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        True within the half width of a trace; parts outside the image are left out.
    """
    ny, nx = shape
    rows = np.arange(first_row, first_row + ny)[:, np.newaxis]
    region = np.zeros(shape, dtype=bool)
    for trace in traces:
        centres = trace_centres(trace, nx, rotation=rotation)
        # Comparisons with NaN are False, so that columns without a trace stay unmasked.
        region |= (rows >= centres - half_width) & (rows <= centres + half_width)
    return region
