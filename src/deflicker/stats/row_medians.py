"""Medians of the usable values of rows, and stripes of single rows."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from deflicker.stats.constants import MAD_TO_SIGMA, MEDIAN_VARIANCE

__all__ = ["BLOCK_ROWS", "row_medians", "row_medians_and_deviations", "row_stripes"]

# Sigma in rows of the Gaussian over which light is smooth and noise is not.
STRIPE_ROWS = 8.0
STRIPE_OUTLIERS = 4.0
BLOCK_ROWS = 256  # their arrays fit into a processor's cache


def row_medians(
    values: NDArray[np.float32],
    usable: NDArray[np.bool_],
    *,
    number: NDArray[np.int_] | None = None,
) -> NDArray[np.float32]:
    """Median of the usable values of each row.

    Parameters
    ----------
    values : ndarray of float32, shape (n_rows, n)
        Values, finite where usable.
    usable : ndarray of bool, shape (n_rows, n)
        True where a value may be used.
    number : ndarray of int, shape (n_rows,), optional
        Number of usable values of each row, if it is already known.

    Returns
    -------
    ndarray of float32, shape (n_rows,)
        Medians in the unit of the values; 0 for a row without usable values.
    """
    if number is None:
        number = np.count_nonzero(usable, axis=1)
    medians = np.empty(len(values), dtype=np.float32)
    for start in range(0, len(values), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        medians[block] = _medians(_sorted_rows(values[block], usable[block]), number[block])
    return medians


def row_medians_and_deviations(
    values: NDArray[np.float32], usable: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Median and median absolute deviation of the usable values of each row.

    Parameters
    ----------
    values : ndarray of float32, shape (n_rows, n)
        Values, finite where usable.
    usable : ndarray of bool, shape (n_rows, n)
        True where a value may be used.

    Returns
    -------
    medians, deviations : ndarray of float32, shape (n_rows,)
        In the unit of the values; 0 for a row without usable values.

    Notes
    -----
    Both need only one sort, because the values nearest to the median are adjacent in it.
    """
    number = np.count_nonzero(usable, axis=1)
    ordered = _sorted_rows(values, usable)
    medians = _medians(ordered, number)
    filled = np.maximum(number, 1)
    lower, upper = (
        _nearest(ordered, medians, filled, count)
        for count in ((filled - 1) // 2 + 1, filled // 2 + 1)
    )
    deviations = np.zeros(len(values), dtype=np.float32)
    return medians, np.divide(lower + upper, 2, out=deviations, where=number > 0)


def _sorted_rows(values: NDArray[np.float32], usable: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Rows in ascending order; unusable values are replaced by infinity, at their ends."""
    ordered = np.where(usable, values, np.float32(np.inf))
    ordered.sort(axis=1)
    return ordered


def _medians(ordered: NDArray[np.float32], number: NDArray[np.int_]) -> NDArray[np.float32]:
    """Medians of the first ``number`` values of sorted rows."""
    rows = np.arange(len(ordered))
    lower = ordered[rows, np.maximum(number - 1, 0) // 2]
    upper = ordered[rows, np.minimum(number // 2, ordered.shape[1] - 1)]
    medians = np.zeros(len(ordered), dtype=np.float32)
    return np.divide(lower + upper, 2, out=medians, where=number > 0)


def _nearest(
    ordered: NDArray[np.float32],
    centers: NDArray[np.float32],
    number: NDArray[np.int_],
    count: NDArray[np.int_],
) -> NDArray[np.float32]:
    """Distance from the centre to the count-th nearest value of each sorted row.

    The nearest values are adjacent. Their window starts at the first value that is at most as
    far from the centre as the last value of the window, or at the value before it.
    """
    rows = np.arange(len(ordered))
    last = np.minimum(number, ordered.shape[1]) - count
    low, high = np.zeros_like(last), last.copy()
    while np.any(low < high):
        middle = (low + high) // 2
        sums = ordered[rows, middle].astype(np.float64) + ordered[rows, middle + count - 1]
        enough = (sums >= 2.0 * centers) | (low >= high)
        high = np.where(enough, np.where(low < high, middle, high), high)
        low = np.where(enough, low, middle + 1)
    farthest = [
        np.maximum(centers - ordered[rows, start], ordered[rows, start + count - 1] - centers)
        for start in (low, np.maximum(low - 1, 0))
    ]
    return np.minimum(*farthest)


def row_stripes(
    values: NDArray[np.float32], usable: NDArray[np.bool_], *, sigma: float
) -> NDArray[np.float32]:
    """Levels of rows relative to the smooth variation over their neighbours.

    Parameters
    ----------
    values : ndarray of float32, shape (n_slow, n_fast)
        Image in the detector frame.
    usable : ndarray of bool, shape (n_slow, n_fast)
        True where a value may be used.
    sigma : float
        Standard deviation of the usable values.

    Returns
    -------
    ndarray of float32, shape (n_slow, 1)
        Row medians minus their smoothed values, shrunk according to their errors; 0 for
        outlying rows, which contain light.

    Notes
    -----
    Used for clipping. With the same limits for all rows, a row that noise has raised loses
    its highest values, and its median contains only a fraction ``1 - exp(-n_sigma**2 / 2)``
    of the noise, 86.5 % for 2 sigma. Limits that follow the stripes, but not the light that
    many rows share, preserve the noise. The variance of a median of n values is
    ``pi sigma**2 / (2 n)``.
    """
    number = np.count_nonzero(usable, axis=1)
    filled = number > 0
    if not filled.any():
        return np.zeros((len(values), 1), dtype=np.float32)
    levels = row_medians(values, usable)
    # Rows without usable pixels have no level, and must not count as 0.
    weight = gaussian_filter1d(filled.astype(np.float64), STRIPE_ROWS)
    smooth = gaussian_filter1d(levels.astype(np.float64), STRIPE_ROWS) / np.maximum(weight, 1e-6)
    stripes = np.where(filled, levels - smooth, 0.0)

    smallest = np.finfo(np.float32).tiny
    error = np.maximum(MEDIAN_VARIANCE * sigma**2 / np.maximum(number, 1), smallest)
    excess = float(np.mean(stripes[filled] ** 2 - error[filled]))
    # Where errors are larger than the stripes, limits that follow them only add noise.
    trust = np.zeros(len(values))
    np.divide(excess, excess + error, out=trust, where=excess > error)
    # A row far outside the scatter of the stripes contains light, as of a spectrum or a spike.
    scatter = MAD_TO_SIGMA * float(np.median(np.abs(stripes[filled])))
    trust[np.abs(stripes) > STRIPE_OUTLIERS * scatter] = 0.0
    return (stripes * trust).astype(np.float32)[:, np.newaxis]
