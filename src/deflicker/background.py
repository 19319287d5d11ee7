"""Background of one difference: what is removed before the noise is fitted."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom

__all__ = ["default_box_size", "model_background", "no_box_warnings"]

LARGEST_BOX = 32
FILTER_BOXES = 5
LEAST_FRACTION = 0.9  # of a box must be usable, photutils' default


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
    >>> from deflicker.background import default_box_size
    >>> default_box_size((2048, 1032))
    (32, 24)
    """
    ny, nx = (
        max(size for size in range(1, LARGEST_BOX + 1) if length % size == 0) for length in shape
    )
    return ny, nx


@contextmanager
def no_box_warnings() -> Iterator[None]:
    """Silence what astropy and numpy say of boxes without usable pixels.

    Warning filters belong to the process, so this goes around the threads that call
    `model_background`, not into them.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"astropy\.")
        warnings.filterwarnings("ignore", "Input data contains invalid values")
        warnings.filterwarnings("ignore", "All-NaN slice|Degrees of freedom|Mean of empty")
        yield


def model_background(
    image: NDArray[np.float32],
    usable: NDArray[np.bool_],
    *,
    box_size: tuple[int, int] | None = None,
) -> NDArray[np.float32]:
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
    ndarray of float32, shape (ny, nx)
        Background in DN, finite everywhere.

    Raises
    ------
    ValueError
        If the background cannot be modelled, because too few boxes hold enough
        usable pixels.

    Notes
    -----
    `photutils.background.Background2D` with a median estimator, a median filter of
    5 x 5 boxes and a clip at 3 sigma with 5 rounds; its steps are taken one row of boxes
    after the other, which needs a tenth of an image where it needs four.
    """
    from photutils.background import Background2D, MedianBackground

    box = box_size or default_box_size(image.shape)
    mesh, number = _box_medians(image, usable, box)
    good = number > LEAST_FRACTION * box[0] * box[1]
    if not good.any():
        msg = "no box of the background model holds enough usable pixels"
        raise ValueError(msg)
    coarse = Background2D(
        mesh,
        box_size=1,
        filter_size=FILTER_BOXES,
        mask=~good,
        sigma_clip=None,
        bkg_estimator=MedianBackground(),
    ).background_mesh.astype(np.float32)
    fitted = zoom(coarse, box, order=3, mode="reflect", grid_mode=True)
    fitted = fitted[: image.shape[0], : image.shape[1]]
    return np.clip(fitted, coarse.min(), coarse.max(), out=fitted)


def _box_medians(
    image: NDArray[np.float32], usable: NDArray[np.bool_], box: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.int_]]:
    """Clipped median of each box, and the number of pixels behind it."""
    from astropy.stats import SigmaClip
    from photutils.background import MedianBackground

    clip, estimate = SigmaClip(sigma=3.0, maxiters=5), MedianBackground()
    ny, nx = image.shape
    shape = ceil(ny / box[0]), ceil(nx / box[1])
    mesh = np.empty(shape, dtype=np.float32)
    number = np.empty(shape, dtype=np.int_)
    for row in range(shape[0]):
        rows = slice(row * box[0], min((row + 1) * box[0], ny))
        # Boxes over the edge are whole, and empty where there is no image.
        strip = np.full((box[0], shape[1] * box[1]), np.nan, dtype=np.float32)
        np.copyto(strip[: rows.stop - rows.start, :nx], image[rows], where=usable[rows])
        boxes = strip.reshape(box[0], shape[1], box[1]).swapaxes(0, 1).reshape(shape[1], -1)
        boxes = clip(boxes, axis=1, masked=False, copy=False)
        mesh[row] = estimate(boxes, axis=1)
        number[row] = np.count_nonzero(~np.isnan(boxes), axis=1)
    return mesh, number
