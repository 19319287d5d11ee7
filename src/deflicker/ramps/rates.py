"""Draft rates: slopes of ramps, accurate enough to separate sources and background."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.dq import DO_NOT_USE, JUMP_DET, SATURATED
from deflicker.detector.measured import is_measured
from deflicker.utils.threads import map_in_order

__all__ = ["DraftRate", "combine_rates", "draft_rate"]

# Values of all groups in a block of rows that fits into a processor's cache.
BLOCK_PIXELS = 1 << 18


@dataclass(frozen=True)
class DraftRate:
    """Slopes of one integration.

    Parameters
    ----------
    rate : ndarray of float32, shape (ny, nx)
        Slopes in DN/s; NaN where no difference is valid.
    n_differences : ndarray of uint16, shape (ny, nx)
        Number of valid differences from which each slope was measured.
    """

    rate: NDArray[np.float32]
    n_differences: NDArray[np.uint16]


def draft_rate(
    groups: NDArray,
    group_dq: NDArray[np.uint8],
    *,
    times: NDArray[np.float64],
    n_threads: int = 1,
) -> DraftRate:
    """Slope of each pixel of one integration.

    The least-squares slope with uniform weights over the valid groups before saturation. For a
    pixel with a jump, it is the sum of the valid differences divided by the sum of their
    durations; a difference is valid if both groups are, and the later one has no jump.

    Parameters
    ----------
    groups : ndarray of float, shape (n_groups, ny, nx)
        Ramps in DN. Any byte order.
    group_dq : ndarray of uint8, shape (n_groups, ny, nx)
        Group data quality.
    times : ndarray of float64, shape (n_groups,)
        Time of each group in seconds, ascending.
    n_threads : int, optional
        Threads that share the rows.

    Returns
    -------
    DraftRate
        Slopes in DN/s.

    Examples
    --------
    >>> import numpy as np
    >>> from deflicker.ramps.rates import draft_rate
    >>> ramp = np.arange(4, dtype=np.float32).reshape(4, 1, 1) * 20
    >>> dq = np.zeros((4, 1, 1), np.uint8)
    >>> float(draft_rate(ramp, dq, times=np.arange(4.0) * 10).rate[0, 0])
    2.0
    """
    n_groups, ny, nx = groups.shape
    rate = np.empty((ny, nx), dtype=np.float32)
    count = np.empty((ny, nx), dtype=np.uint16)
    rows = max(1, BLOCK_PIXELS // (n_groups * nx))
    # Times in units of the mean step make the float32 sums below well scaled.
    step = (times[-1] - times[0]) / (n_groups - 1) if n_groups > 1 else 1.0
    scaled = ((times - times[0]) / step).astype(np.float32)

    def fill(start: int) -> None:
        block = slice(start, start + rows)
        block_groups = groups[:, block].reshape(n_groups, -1).astype(np.float32)
        flags = group_dq[:, block].reshape(n_groups, -1)
        slope, number = _slopes(block_groups, flags, scaled)
        rate[block] = (slope / np.float32(step)).reshape(-1, nx)
        count[block] = number.reshape(-1, nx)

    for _ in map_in_order(fill, range(0, ny, rows), n_threads=n_threads):
        pass
    return DraftRate(rate, count)


def combine_rates(rates: Iterable[DraftRate]) -> NDArray[np.float32]:
    """Mean of the rates of several integrations, weighted by their valid differences.

    Parameters
    ----------
    rates : iterable of DraftRate
        Slopes in DN/s, all of the same shape, which are read one after the other.

    Returns
    -------
    ndarray of float32, shape (ny, nx)
        Mean slopes in DN/s; NaN where no integration has a valid difference.
    """
    total: NDArray[np.float32] | None = None
    weight: NDArray[np.float32] | None = None
    rest = iter(rates)
    first = list(islice(rest, 2))
    if len(first) == 1:
        return first[0].rate
    for item in chain(first, rest):
        counts = item.n_differences.astype(np.float32)
        terms = np.where(item.n_differences > 0, item.rate * counts, np.float32(0))
        total = terms if total is None else np.add(total, terms, out=total)
        weight = counts if weight is None else np.add(weight, counts, out=weight)
    if total is None or weight is None:
        msg = "there is no integration to combine"
        raise ValueError(msg)
    with np.errstate(invalid="ignore"):
        return np.divide(total, weight, out=total)


def _slopes(
    groups: NDArray[np.float32], dq: NDArray[np.uint8], times: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """Slopes per mean step and numbers of valid differences of (n_groups, n_pixels)."""
    n_groups, n_pixels = groups.shape
    if n_groups < 2:
        return np.full(n_pixels, np.nan, np.float32), np.zeros(n_pixels, np.uint16)
    # Subtracting the pedestal keeps the float32 sums below accurate enough.
    middle = times - times.mean()
    with np.errstate(invalid="ignore", over="ignore"):
        groups = groups - np.where(is_measured(groups[0]), groups[0], np.float32(0))
        slope = np.einsum("g,gp->p", middle / np.sum(middle * middle), groups)
    count = np.full(n_pixels, n_groups - 1, np.uint16)

    flags = np.bitwise_or.reduce(dq, axis=0) & (DO_NOT_USE | SATURATED | JUMP_DET)
    special = np.flatnonzero((flags != 0) | ~is_measured(slope))
    if special.size:
        slope[special], count[special] = _flagged_slopes(
            groups[:, special], dq[:, special], times[:, np.newaxis]
        )
    return slope, count


def _flagged_slopes(
    groups: NDArray[np.float32], dq: NDArray[np.uint8], times: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """Like _slopes, for pixels with flags or missing values."""
    saturated = np.logical_or.accumulate((dq & SATURATED) != 0, axis=0)
    valid = is_measured(groups) & ((dq & DO_NOT_USE) == 0) & ~saturated
    jump = (dq & JUMP_DET) != 0
    values = np.where(valid, groups, np.float32(0))

    pairs = valid[1:] & valid[:-1] & ~jump[1:]
    count = pairs.sum(axis=0, dtype=np.uint16)
    weights = valid.astype(np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        passed = np.sum(np.diff(times, axis=0) * pairs, axis=0)
        mean_difference = np.sum(np.diff(values, axis=0) * pairs, axis=0) / passed
        centred = (times - (times * weights).sum(axis=0) / weights.sum(axis=0)) * weights
        least_squares = (centred * values).sum(axis=0) / (centred * centred).sum(axis=0)
    slope = np.where((jump & ~saturated).any(axis=0), mean_difference, least_squares)
    return np.where(count > 0, slope, np.float32(np.nan)).astype(np.float32), count
