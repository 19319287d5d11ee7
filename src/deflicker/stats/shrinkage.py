"""Shrinkage of the levels of detector rows according to their errors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deflicker.stats.constants import MAD_TO_SIGMA, VARIANCE_WITHIN_3_SIGMA
from deflicker.utils.tunable import tunable

__all__ = ["PixelScatter", "ShrinkageTuning", "median_variances", "pixel_scatter", "shrunk_levels"]

# Pixels from which the scatter is measured: the error of its square is then 1.5 percent.
ENOUGH_PIXELS = 20_000
OUTLIERS = 3.0  # standard deviations of a pair
ROUNDS = 5
FRAGILE = 2  # pixels, up to which a single outlier can move the median arbitrarily far


@dataclass(frozen=True, kw_only=True)
class ShrinkageTuning:
    """Constants of the method ``median``; `tunables` lists their units, meanings and ranges."""

    farthest: float = tunable(
        4.0,
        "deviation from the others beyond which a level counts as an outlier",
        unit="sigma",
        between=(2, 8),
    )
    error_weight: float = tunable(
        2.0,
        "weight of the squared variance of the error of a level, relative to that of the levels: "
        "errors due to photons add up over a ramp",
        between=(1, 4),
    )


@dataclass(frozen=True)
class PixelScatter:
    """Variance of the pixels of a row about its level, and the number of pairs behind it.

    Parameters
    ----------
    variance : float
        In the squared unit of the values.
    n_pairs : int
        Number of pairs of pixels from which it was measured.
    """

    variance: float
    n_pairs: int


def median_variances(number: NDArray[np.int_]) -> NDArray[np.float64]:
    """Variance of the median of Gaussian values of unit variance.

    Parameters
    ----------
    number : ndarray of int
        Number of values.

    Returns
    -------
    ndarray of float64, shape of ``number``
        Infinite where there are no values.

    Notes
    -----
    ``pi / (2 n)`` for many values n. The terms added to 2 n make it exact for one and two
    values, and accurate to 3 % for other numbers; they differ because the median of an even
    number of values is a mean of two and has a smaller error.

    Examples
    --------
    >>> import numpy as np
    >>> from deflicker.stats.shrinkage import median_variances
    >>> median_variances(np.array([0, 1, 2, 1000])).round(5).tolist()
    [inf, 1.0, 0.5, 0.00157]
    """
    more = np.where(number % 2 == 1, math.pi - 2, 2 * math.pi - 4)
    return np.where(number > 0, math.pi / (2 * number + more), np.inf)


def pixel_scatter(
    values: NDArray[np.float32], usable: NDArray[np.bool_], outputs: Sequence[slice]
) -> PixelScatter:
    """Variance of single pixels about the level of their row.

    Parameters
    ----------
    values : ndarray of float32, shape (n_slow, n_fast)
        Image in the detector frame; finite where usable.
    usable : ndarray of bool, shape (n_slow, n_fast)
        True where a value may be used.
    outputs : sequence of slice
        Fast-axis slices whose rows have separate levels.

    Returns
    -------
    PixelScatter
        Variance and number of pairs; 0 if there is no pair.

    Notes
    -----
    Measured in pairs of successive usable pixels of a row. Noise that both share is part of
    the level and not of its error. If few pixels are usable, they are far apart, and slow
    noise that they do not share contributes to the error, as it should. If no row has two
    usable pixels, pixels of neighbouring rows form the pairs.
    """
    total = int(np.count_nonzero(usable))
    step = max(total // ENOUGH_PIXELS, 1)
    found = [
        (part[observed], np.count_nonzero(observed, axis=1))
        for part, observed in ((values[::step, o], usable[::step, o]) for o in outputs)
    ]
    pairs = np.concatenate([_pairs_of_rows(some, number) for some, number in found])
    if not len(pairs):
        pairs = np.concatenate([np.diff(some) for some, _ in found])
    if not len(pairs):
        return PixelScatter(0.0, 0)
    pairs = pairs.astype(np.float64)
    limit = OUTLIERS * MAD_TO_SIGMA * float(np.median(np.abs(pairs)))
    kept = pairs[np.abs(pairs) <= limit]
    return PixelScatter(float(np.mean(kept**2)) / (2 * VARIANCE_WITHIN_3_SIGMA), len(pairs))


def _pairs_of_rows(values: NDArray[np.float32], number: NDArray[np.int_]) -> NDArray[np.float32]:
    """Differences of the first and second, third and fourth value and so on of each row."""
    half = number // 2
    # Start of each pair: two values after the previous one, skipping unpaired values.
    odd = np.cumsum(number % 2) - number % 2
    first = 2 * np.arange(int(half.sum())) + np.repeat(odd, half)
    return values[first + 1] - values[first]


def shrunk_levels(
    levels: NDArray[np.float32],
    number: NDArray[np.int_],
    scatter: PixelScatter,
    *,
    tuning: ShrinkageTuning | None = None,
) -> NDArray[np.float32]:
    """Shrink medians of rows, or of rows of each output, according to their errors.

    Parameters
    ----------
    levels : ndarray of float32, shape (n_rows, n_outputs)
        Medians.
    number : ndarray of int, shape (n_rows, n_outputs)
        Number of pixels from which each was measured.
    scatter : PixelScatter
        Scatter of these pixels.
    tuning : ShrinkageTuning, optional
        Tuning constants.

    Returns
    -------
    ndarray of float32, shape (n_rows, n_outputs)
        Shrunk levels in the same unit; 0 for a row without usable pixels.

    Notes
    -----
    A level is modelled as the sum of the mean of its output, a part of variance A that all
    outputs of the row share, a part of variance B of its own, and an error of known variance
    (`median_variances`). For Gaussian parts, the best estimate is linear in the levels. A and B
    are measured from moments of the levels, and reduced where these are not significant.

    Levels with large errors are shrunk more than that (`_trust`).

    A level that deviates from this model by many times its error is a stripe that is stronger
    than the others, and is not shrunk. Medians of one or two values are not robust against
    outliers, and are clipped at 4 standard deviations.
    """
    tuning = tuning or ShrinkageTuning()
    farthest = tuning.farthest
    filled = number > 0
    y = np.where(filled, levels, 0.0).astype(np.float64)
    if not filled.any() or not scatter.variance > 0:
        return y.astype(np.float32)
    error = scatter.variance * median_variances(number)
    center, shared, per_output = _moments(y, error, scatter, tuning)
    y = np.where(filled, y - center, 0.0)
    reach = farthest * np.sqrt(shared + per_output + error)
    np.clip(y, -reach, reach, out=y, where=number <= FRAGILE)
    weight = 1 / (per_output + error)  # of each output, for the part that the row shares
    total = weight.sum(axis=1)
    mean = np.divide((weight * y).sum(axis=1), total, out=np.zeros_like(total), where=total > 0)
    row = (_trust(shared * total, tuning) * mean)[:, np.newaxis]
    rest = y - row
    certain = farthest**2 / np.maximum(rest**2 / error, farthest**2)
    trust = np.maximum(_trust(per_output / error, tuning), 1 - certain**2)
    guess = center + row + trust * rest
    guess[~filled.any(axis=1)] = 0
    return guess.astype(np.float32)


def _trust(signal: NDArray[np.float64], tuning: ShrinkageTuning) -> NDArray[np.float64]:
    """Factor of shrinkage, given the variance of the signal relative to that of the error.

    For a single difference, ``1 / (1 + 1 / signal)`` would be best (Wiener). If errors are
    small, clipping has already shrunk the levels, because its limits do not fully follow the
    level of a row. If errors are large, a smaller factor is better: the row noise of a rate is
    only that of the last minus that of the first read, whereas errors due to photons add up
    over the ramp.
    """
    return signal**2 / (signal**2 + tuning.error_weight)


def _moments(
    y: NDArray[np.float64],
    error: NDArray[np.float64],
    scatter: PixelScatter,
    tuning: ShrinkageTuning,
) -> tuple[NDArray[np.float64], float, float]:
    """Mean of each output, and variances of the parts that rows share and that they do not."""
    filled = np.isfinite(error)
    error = np.where(filled, error, 0.0)
    center = np.array(
        [np.median(c[f]) if f.any() else 0.0 for c, f in zip(y.T, filled.T, strict=True)]
    )
    total = (MAD_TO_SIGMA * float(np.median(np.abs(y - center)[filled]))) ** 2
    for _ in range(ROUNDS):
        variance = total + error
        weight = np.divide(1.0, variance, out=np.zeros_like(y), where=filled)
        reach = tuning.farthest * np.sqrt(variance)
        observed = weight.sum(axis=0)
        moved = (weight * np.clip(y - center, -reach, reach)).sum(axis=0)
        center = center + np.divide(moved, observed, out=np.zeros_like(moved), where=observed > 0)
        distance = np.clip(y - center, -reach, reach)
        excess = float(np.average(distance**2 - error, weights=weight**2))
        total = max(excess, 0.0)
    # The variance is reduced where its error is comparable to it.
    chance = math.hypot(
        math.sqrt(2 / float(np.sum(weight**2))),
        math.sqrt(2 / scatter.n_pairs) * float(np.average(error, weights=weight**2)),
    )
    believed = total * (1 - min(chance / total, 1.0) ** 2) if total > 0 else 0.0
    distance *= weight
    products = distance.sum(axis=1) ** 2 - (distance**2).sum(axis=1)
    pairs = float(np.sum(weight.sum(axis=1) ** 2 - (weight**2).sum(axis=1)))
    shared = min(max(float(products.sum()) / pairs, 0.0), believed) if pairs else 0.0
    return _believed_means(center, weight.sum(axis=0), tuning), shared, believed - shared


def _believed_means(
    center: NDArray[np.float64], weight: NDArray[np.float64], tuning: ShrinkageTuning
) -> NDArray[np.float64]:
    """Means of outputs, whose differences are shrunk by their errors, 1 / ``weight``."""
    mean = np.average(center, weights=weight)
    offset = np.where(weight > 0, center - mean, 0.0)
    error = float(np.mean(np.divide(1.0, weight, out=np.zeros_like(weight), where=weight > 0)))
    variance = max(float(np.mean(offset**2)) - error, 0.0)
    return mean + _trust(variance * weight, tuning) * offset
