"""Scene masks: which pixels see only background."""

import numpy as np
from numpy.typing import NDArray

from deflicker.scene.clipping import SortedValues, outlier_limits

__all__ = ["scene_mask"]


def scene_mask(
    rate: NDArray[np.floating],
    *,
    n_sigma: float,
    fit_histogram: bool = False,
    science: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Pixels of a rate image that see only background.

    Masked are, in this order, science regions, missing data (NaN, infinite or
    exactly zero) and outliers.

    Parameters
    ----------
    rate : ndarray of float, shape (ny, nx)
        Rate image, any linear unit.
    n_sigma : float
        Clipping level for signal; 0 turns the rejection of outliers off.
    fit_histogram : bool, optional
        Take centre and sigma from a Gaussian fitted to a histogram.
    science : ndarray of bool, shape (ny, nx), optional
        True where science regions are to be masked.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        True where the pixel may be used.

    Examples
    --------
    >>> import numpy as np
    >>> from deflicker.scene import scene_mask
    >>> rate = np.tile(np.array([0.9, 1.1], np.float32), (4, 8))
    >>> rate[0, 0] = 50
    >>> bool(scene_mask(rate, n_sigma=2.0)[0, 0]), int(scene_mask(rate, n_sigma=2.0).sum())
    (False, 63)
    """
    usable = np.isfinite(rate) & (rate != 0)
    if science is not None:
        usable &= ~science
    if n_sigma > 0 and usable.any():
        values = rate[usable]
        values.sort()
        limits = outlier_limits(SortedValues(values), n_sigma=n_sigma, fit_histogram=fit_histogram)
        usable &= limits.accept(rate)
    return usable
