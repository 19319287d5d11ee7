"""Levels of detector rows, each as far as its own error lets it be believed."""

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
FRAGILE = 2  # pixels, of which one outlier moves the median as far as it likes


@dataclass(frozen=True, kw_only=True)
class ShrinkageTuning:
    """Numbers of the method ``median``; `tunables` lists them with units, meanings and ranges."""

    farthest: float = tunable(
        4.0,
        "levels farther from all others count as so far only, because they see light",
        unit="sigma",
        between=(2, 8),
    )
    error_weight: float = tunable(
        2.0,
        "weight of the square of a level's error, for that of the variance of the levels: errors "
        "of photons add up over a ramp",
        between=(1, 4),
    )


@dataclass(frozen=True)
class PixelScatter:
    """Variance of the pixels of a row about its level, and how well it is known.

    Parameters
    ----------
    variance : float
        In the square of the unit of the values.
    n_pairs : int
        Number of pairs of pixels behind it.
    """

    variance: float
    n_pairs: int


def median_variances(number: NDArray[np.int_]) -> NDArray[np.float64]:
    """Variance of the median of normal values of unit variance.

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
    ``pi / (2 n)`` for many values n. What is added to 2 n makes it exact for one and for
    two values, and right to 3 % for any other number: the median of an even number is a
    mean of two values and has a smaller error.

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
        Fast-axis slices whose rows have a level of their own.

    Returns
    -------
    PixelScatter
        0 where there is no pair of pixels.

    Notes
    -----
    From pairs of pixels of a row that follow each other. Noise that is the same in both is
    no error of the level; where few pixels are usable they are far apart, and what then is
    not the same is one. Where no row has two pixels, neighbouring rows make the pairs: what
    these rows do not share counts as scatter.
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
    # Where each pair is: two values on from the last one, but for the odd ones left over.
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
    """Medians of rows, or of rows of each output, without what is probably their error.

    Parameters
    ----------
    levels : ndarray of float32, shape (n_rows, n_outputs)
        Medians.
    number : ndarray of int, shape (n_rows, n_outputs)
        Number of pixels behind each.
    scatter : PixelScatter
        Of these pixels.
    tuning : ShrinkageTuning, optional
        Numbers that were chosen.

    Returns
    -------
    ndarray of float32, shape (n_rows, n_outputs)
        In the unit of the levels; 0 for a row without any pixel.

    Notes
    -----
    A level is the mean of its output, plus what its row shares, of variance A, plus what
    is its own, of variance B, plus an error of known variance (`median_variances`). The
    best guess of levels of such variances is linear. A and B are moments of the levels; as
    far as chance may have made these too large, they are not believed.

    Levels that are little but error are believed less than that (`_trust`).

    A level that is far off its guess, by its own error, is no error: it is a stripe, which
    no variance of the others foretells, and it is believed. Medians of one and of two values
    are those of an outlier, if there is one, and count as 4 standard deviations at most.
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
    weight = 1 / (per_output + error)  # of what an output tells of what its row shares
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
    """Factor of what was found with an error, by its variance over that of the error.

    For one difference ``1 / (1 + 1 / signal)`` would be best. Where errors are small, clips
    have done a part of that already, as their limits do not follow all of a row's level.
    Where they are large, less is better: a rate has of the noise of rows that of the last
    read less that of the first, while the errors that photons make add up over the ramp.
    """
    return signal**2 / (signal**2 + tuning.error_weight)


def _moments(
    y: NDArray[np.float64],
    error: NDArray[np.float64],
    scatter: PixelScatter,
    tuning: ShrinkageTuning,
) -> tuple[NDArray[np.float64], float, float]:
    """Mean of each output, and variances of what rows share and of what outputs have alone."""
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
    # By as much may chance have made it too large, which matters where it made most of it.
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
    """Means of outputs, whose differences have errors too: the inverses of the weights."""
    mean = np.average(center, weights=weight)
    offset = np.where(weight > 0, center - mean, 0.0)
    error = float(np.mean(np.divide(1.0, weight, out=np.zeros_like(weight), where=weight > 0)))
    variance = max(float(np.mean(offset**2)) - error, 0.0)
    return mean + _trust(variance * weight, tuning) * offset
