"""Pixels of another image at which the pixels of an exposure lie."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

__all__ = ["Transform", "pixel_map"]

Transform = Callable[[NDArray[np.float64], NDArray[np.float64]], tuple[NDArray, NDArray]]

GRID = 32  # pixels between the nodes on which a WCS is evaluated


def pixel_map(
    shape: tuple[int, int], to_sky: Transform, to_pixel: Transform
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixels of another image at which the pixels of an exposure lie.

    Parameters
    ----------
    shape : tuple of int
        (ny, nx) of the exposure.
    to_sky : callable
        World coordinates of pixels (x, y) of the exposure.
    to_pixel : callable
        Pixels (x, y) of the image at world coordinates.

    Returns
    -------
    y, x : ndarray of float64, shape (ny, nx)
        Coordinates in the image.

    Notes
    -----
    Both transforms are evaluated on a grid of every 32 pixels, and interpolated by bicubic
    splines: distortions of telescopes are polynomials of low order.
    """
    nodes = [np.linspace(0, n - 1, max(-(-n // GRID) + 1, 4)) for n in shape]
    rows, columns = np.meshgrid(*nodes, indexing="ij")
    x, y = to_pixel(*to_sky(columns, rows))
    pixels = [np.arange(n, dtype=np.float64) for n in shape]
    coordinates = []
    for values in (y, x):
        if not np.isfinite(values).all():
            msg = "the WCS has no finite coordinates for some pixels"
            raise ValueError(msg)
        coordinates.append(RectBivariateSpline(*nodes, values)(*pixels))
    return coordinates[0], coordinates[1]
