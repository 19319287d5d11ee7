"""Background of one difference, which is subtracted before the noise is fitted."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import spline_filter, zoom
from scipy.sparse import csr_array

from deflicker.scene.photutils_seam import filled_and_filtered
from deflicker.stats.row_medians import row_medians

__all__ = ["BoxBackground", "default_box_size", "model_background", "no_box_warnings"]

BLOCK_ROWS = 64  # their arrays fit into a processor's cache
LARGEST_BOX = 32
FILTER_BOXES = 5
LEAST_FRACTION = 0.9  # fraction of a box that must be usable, the default of photutils


def default_box_size(shape: tuple[int, int]) -> tuple[int, int]:
    """Largest box up to 32 pixels that divides the image.

    Parameters
    ----------
    shape : tuple of int
        (ny, nx) of the image.

    Returns
    -------
    tuple of int
        (ny, nx) of the box.

    Examples
    --------
    >>> from deflicker.scene.background import default_box_size
    >>> default_box_size((2048, 1032))
    (32, 24)
    """
    ny, nx = (
        max(size for size in range(1, LARGEST_BOX + 1) if length % size == 0) for length in shape
    )
    return ny, nx


@contextmanager
def no_box_warnings() -> Iterator[None]:
    """Silence the warnings of astropy and numpy about boxes without usable pixels.

    Warning filters apply to the whole process, so that this context must enclose the threads
    that call `model_background` and not be entered in each of them.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"astropy\.")
        warnings.filterwarnings("ignore", "Input data contains invalid values")
        warnings.filterwarnings("ignore", "All-NaN slice|Degrees of freedom|Mean of empty")
        yield


@dataclass(frozen=True, eq=False)
class BoxBackground:
    """Background as a bicubic spline through the boxes of an image, evaluated on demand.

    Parameters
    ----------
    along_y : csr_array of float, shape (ny, n_boxes_y)
        Splines of the boxes, evaluated at each row of the image.
    along_x : ndarray of float, shape (n_boxes_y, nx)
        The boxes, interpolated along x.
    low, high : float
        Range of the boxes, to which the spline is clipped.
    """

    along_y: csr_array
    along_x: NDArray[np.float64]
    low: float
    high: float

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Background of some rows.

        Parameters
        ----------
        start, stop : int
            First row, and the row after the last one.

        Returns
        -------
        ndarray of float32, shape (stop - start, nx)
            In DN.
        """
        values = (self.along_y[start:stop] @ self.along_x).astype(np.float32)
        return np.clip(values, self.low, self.high, out=values)

    def subtract_from(self, image: NDArray[np.float32]) -> None:
        """Subtract the background from an image, in place.

        Parameters
        ----------
        image : ndarray of float32, shape (ny, nx)
            Image in DN; overwritten.
        """
        for start in range(0, len(image), BLOCK_ROWS):
            block = image[start : start + BLOCK_ROWS]
            block -= self.rows(start, start + len(block))


def model_background(
    image: NDArray[np.float32],
    usable: NDArray[np.bool_],
    *,
    box_size: tuple[int, int] | None = None,
) -> BoxBackground:
    """Low-resolution background of an image.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        A difference in DN.
    usable : ndarray of bool, shape (ny, nx)
        True where the background may be measured.
    box_size : tuple of int, optional
        (ny, nx) of the boxes; `default_box_size` by default.

    Returns
    -------
    BoxBackground
        In DN, finite everywhere.

    Raises
    ------
    ValueError
        If the background cannot be modelled, because too few boxes hold enough
        usable pixels.

    Notes
    -----
    Equivalent to `photutils.background.Background2D` with a median estimator, a median filter
    of 5 x 5 boxes and 5 rounds of clipping at 3 sigma. Here, the rows of boxes are processed
    one after the other, which needs a tenth of the memory of an image instead of four times it.
    """
    box = box_size or default_box_size(image.shape)
    mesh, number = _box_medians(image, usable, box)
    good = number > LEAST_FRACTION * box[0] * box[1]
    if not good.any():
        msg = "no box of the background model holds enough usable pixels"
        raise ValueError(msg)
    coarse = filled_and_filtered(mesh, good, n_boxes=FILTER_BOXES)
    if not np.isfinite(coarse).all():
        msg = "the background model is not finite"
        raise ValueError(msg)
    splines = spline_filter(coarse, order=3, mode="reflect")
    along_y, along_x = (
        _splines(boxes, size, length)
        for boxes, size, length in zip(mesh.shape, box, image.shape, strict=True)
    )
    return BoxBackground(
        along_y=along_y,
        along_x=(along_x @ splines.T).T,
        low=float(coarse.min()),
        high=float(coarse.max()),
    )


@lru_cache(maxsize=16)
def _splines(n_boxes: int, size: int, length: int) -> csr_array:
    """Cubic splines (length, n_boxes) around the centres of boxes of a given size."""
    shapes = [
        zoom(box, size, order=3, mode="reflect", grid_mode=True, prefilter=False)[:length]
        for box in np.eye(n_boxes)
    ]
    return csr_array(np.stack(shapes, axis=1))


def _box_medians(
    image: NDArray[np.float32], usable: NDArray[np.bool_], box: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.int_]]:
    """Clipped median of each box, and the number of pixels that are left in it."""
    from astropy.stats import SigmaClip

    clip = SigmaClip(sigma=3.0, maxiters=5)
    ny, nx = image.shape
    shape = ceil(ny / box[0]), ceil(nx / box[1])
    mesh = np.empty(shape, dtype=np.float32)
    number = np.empty(shape, dtype=np.int_)
    for row in range(shape[0]):
        rows = slice(row * box[0], min((row + 1) * box[0], ny))
        # Boxes at the edge have the full size, and are empty outside the image.
        strip = np.full((box[0], shape[1] * box[1]), np.nan, dtype=np.float32)
        np.copyto(strip[: rows.stop - rows.start, :nx], image[rows], where=usable[rows])
        boxes = strip.reshape(box[0], shape[1], box[1]).swapaxes(0, 1).reshape(shape[1], -1)
        boxes = clip(boxes, axis=1, masked=False, copy=False)
        kept = ~np.isnan(boxes)
        mesh[row] = row_medians(boxes, kept)
        number[row] = np.count_nonzero(kept, axis=1)
    return mesh, number
