"""Background of one difference: what is removed before the noise is fitted."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

__all__ = ["default_box_size", "model_background", "no_box_warnings"]

LARGEST_BOX = 32


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
    5 x 5 boxes and a clip at 3 sigma with 5 rounds.
    """
    from astropy.stats import SigmaClip
    from photutils.background import Background2D, MedianBackground

    fitted = Background2D(
        image,
        box_size or default_box_size(image.shape),
        filter_size=5,
        mask=~usable,
        sigma_clip=SigmaClip(sigma=3.0, maxiters=5),
        bkg_estimator=MedianBackground(),
    ).background
    if not np.isfinite(fitted).all():
        msg = "the background model is not finite"
        raise ValueError(msg)
    return np.asarray(fitted, dtype=np.float32)
