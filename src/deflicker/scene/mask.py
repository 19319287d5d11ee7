"""Scene masks: the pixels that contain only background."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.measured import is_measured
from deflicker.detector.readout import Readout
from deflicker.stats.clipping import SortedValues, outlier_limits
from deflicker.stats.row_medians import row_stripes

__all__ = ["scene_mask"]


def scene_mask(
    rate: NDArray[np.floating],
    *,
    n_sigma: float,
    fit_histogram: bool = False,
    science: NDArray[np.bool_] | None = None,
    readout: Readout | None = None,
) -> NDArray[np.bool_]:
    """Pixels of a rate image that contain only background.

    Science regions, missing data (NaN, exactly zero, or beyond the range of a detector) and
    outliers are masked, in this order.

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
    readout : Readout, optional
        Direction of the stripes. If given, the limits are relative to the stripes of the rate;
        otherwise the mask keeps rows with low noise and excludes rows with high noise.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        True where the pixel may be used.

    Examples
    --------
    >>> import numpy as np
    >>> from deflicker.scene.mask import scene_mask
    >>> rate = np.tile(np.array([0.9, 1.1], np.float32), (4, 8))
    >>> rate[0, 0] = 50
    >>> bool(scene_mask(rate, n_sigma=2.0)[0, 0]), int(scene_mask(rate, n_sigma=2.0).sum())
    (False, 63)
    """
    usable = is_measured(rate)
    usable &= rate != 0
    if science is not None:
        usable &= ~science
    if n_sigma <= 0 or not usable.any():
        return usable
    find_limits = partial(outlier_limits, n_sigma=n_sigma, fit_histogram=fit_histogram)
    limits = find_limits(SortedValues.of(rate, usable))
    clipped = usable & limits.accept(rate)
    if readout is None or not clipped.any():
        return clipped
    rows = row_stripes(readout.to_detector(rate), readout.to_detector(clipped), sigma=limits.sigma)
    stripes = readout.to_science(rows)
    limits = find_limits(SortedValues.of(rate - stripes, usable, overwrite_image=True))
    return usable & limits.accept(rate - stripes)
