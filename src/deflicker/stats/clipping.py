"""Outliers of a distribution: sigma clipping of sorted values.

Sigma clipping keeps an interval of the sorted values. Its median is an element of the array,
and its mean and variance follow from sums, from which each round subtracts the few values
that it drops. The values are thus sorted only once for any number of rounds.
"""

import logging
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deflicker.stats.constants import MIDDLE_QUARTER

__all__ = [
    "LEAST_SIGMA",
    "MOST_SIGMA",
    "ClipLimits",
    "SortedValues",
    "background_limits",
    "outlier_limits",
]

log = logging.getLogger(__name__)

# Range of useful clipping levels in standard deviations: below it, the noise itself decides which
# pixels are kept; above it, sources are taken for background.
LEAST_SIGMA, MOST_SIGMA = 0.5, 10.0
CLIP_SIGMA = 3.0
CLIP_ROUNDS = 5
HISTOGRAM_SIGMA = 4.0
HISTOGRAM_BINS = 2000
CHUNK = 1 << 16
# There is light below the background if more than this fraction of the values lies further below
# it than this, in standard deviations of the densest quarter. Bad pixels are fewer.
NEGATIVE_FRACTION, NEGATIVE_SIGMA = 0.05, 5.0
FEWEST_VALUES, ENOUGH_VALUES = 50, 20_000
# A sum that was reduced by this factor in subtractions has lost too many digits.
CANCELLATION = 1e6


@dataclass(frozen=True)
class ClipLimits:
    """Interval of accepted values, with the centre and sigma from which it was made.

    Parameters
    ----------
    low, high : float
        Smallest and largest accepted value, in the unit of the data.
    center, sigma : float
        Centre and standard deviation of the clipped distribution.
    """

    low: float
    high: float
    center: float
    sigma: float

    def accept(self, values: NDArray) -> NDArray[np.bool_]:
        """Find the values within the limits; NaN is outside.

        Parameters
        ----------
        values : ndarray of float
            Values in the unit of the limits.

        Returns
        -------
        ndarray of bool
            True within the limits; of the same shape.
        """
        kind = values.dtype.type
        accepted = values >= kind(self.low)
        accepted &= values <= kind(self.high)
        return accepted


class SortedValues:
    """Values in ascending order, with methods for clipping.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        Finite values in ascending order. Not copied.

    Examples
    --------
    >>> import numpy as np
    >>> from deflicker.stats.clipping import SortedValues
    >>> median, mean, sigma = SortedValues(np.array([1.0, 2.0, 3.0])).sigma_clip()
    >>> median, mean, round(sigma, 4)
    (2.0, 2.0, 0.8165)
    """

    def __init__(self, values: NDArray) -> None:
        self.values = values

    @classmethod
    def of(
        cls, image: NDArray, usable: NDArray[np.bool_], *, overwrite_image: bool = False
    ) -> "SortedValues":
        """Sort the usable values of an image.

        Parameters
        ----------
        image : ndarray of float
            Image; finite where usable.
        usable : ndarray of bool, shape of ``image``
            True where a value may be used.
        overwrite_image : bool, optional
            Store the values in the memory of the image, which must be contiguous.

        Returns
        -------
        SortedValues
            The sorted values, in new memory or in that of the image.
        """
        values = (
            _gathered(image.reshape(-1), usable.reshape(-1)) if overwrite_image else image[usable]
        )
        values.sort()
        return cls(values)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def median(self) -> float:
        """Median of the values; NaN if there are none."""
        if not len(self):
            return np.nan
        middle = len(self) // 2
        if len(self) % 2:
            return float(self.values[middle])
        return (float(self.values[middle - 1]) + float(self.values[middle])) / 2

    def between(self, low: float, high: float) -> "SortedValues":
        """Values in an interval.

        Parameters
        ----------
        low, high : float
            Smallest and largest value to keep.

        Returns
        -------
        SortedValues
            The values within the limits; a view of the same memory.
        """
        start, stop = self.positions(low, high)
        return SortedValues(self.values[start:stop])

    def positions(self, low: float, high: float) -> tuple[int, int]:
        """Find the positions of an interval.

        Parameters
        ----------
        low, high : float
            Smallest and largest value of the interval.

        Returns
        -------
        start, stop : int
            Slice that contains the values within the limits.
        """
        # A limit of a different dtype would make numpy convert all values.
        kind = self.values.dtype.type
        start = int(np.searchsorted(self.values, kind(low), side="left"))
        return start, max(start, int(np.searchsorted(self.values, kind(high), side="right")))

    def sigma_clip(self) -> tuple[float, float, float]:
        """Median, mean and standard deviation after iterative clipping.

        Returns
        -------
        median, mean, sigma : float
            NaN if there are no values.

        Notes
        -----
        Clipped at three sigma about the median until nothing changes, in at most five rounds,
        as `astropy.stats.sigma_clipped_stats` does by default.
        """
        kept, reference = self, self.median
        first, second = _moments(kept.values, reference)
        for _ in range(CLIP_ROUNDS):
            if not len(kept):
                break
            reach = CLIP_SIGMA * _mean_and_sigma(first, second, len(kept))[1]
            start, stop = kept.positions(kept.median - reach, kept.median + reach)
            if (start, stop) == (0, len(kept)):
                break
            dropped = [
                _moments(kept.values[part], reference)
                for part in (slice(0, start), slice(stop, None))
            ]
            kept = SortedValues(kept.values[start:stop])
            total = second
            first -= sum(moments[0] for moments in dropped)
            second -= sum(moments[1] for moments in dropped)
            if second * CANCELLATION < total:
                first, second = _moments(kept.values, reference)
        mean, sigma = _mean_and_sigma(first, second, len(kept))
        return kept.median, reference + mean, sigma

    def without_lights(self) -> "SortedValues | None":
        """Values of the background, if there is light below it too.

        Returns
        -------
        SortedValues or None
            A view of the same memory; None if there is no negative light.

        Notes
        -----
        Sigma clipping starts from the standard deviation of all values, or of the lower half,
        which negative light makes so large that nothing is dropped. The shortest interval
        that contains a quarter of the values is insensitive to light on either side.
        """
        if len(self) < FEWEST_VALUES:
            return None
        center, sigma = _densest(self.values)
        below, _ = self.positions(center - NEGATIVE_SIGMA * sigma, center)
        if below < NEGATIVE_FRACTION * len(self):
            return None
        kept = self
        for _ in range(CLIP_ROUNDS):
            if not sigma > 0:
                break
            kept = kept.between(center - CLIP_SIGMA * sigma, center + CLIP_SIGMA * sigma)
            center, sigma = _densest(kept.values)
        return kept

    def mirrored_sigma(self, center: float) -> float:
        """Clipped standard deviation of the lower half mirrored about a centre.

        Parameters
        ----------
        center : float
            Value about which the distribution is mirrored.

        Returns
        -------
        float
            NaN if no value lies at or below the centre.

        Notes
        -----
        Clipped like `sigma_clip`, with the centre as the median. Light of faint sources lies
        above the centre and does not increase this sigma.
        """
        kept = self.between(-np.inf, center)
        second = _moments(kept.values, center)[1]
        for _ in range(CLIP_ROUNDS):
            if not len(kept):
                return np.nan
            start, _ = kept.positions(center - CLIP_SIGMA * np.sqrt(second / len(kept)), center)
            if start == 0:
                break
            total = second
            second -= _moments(kept.values[:start], center)[1]
            kept = SortedValues(kept.values[start:])
            if second * CANCELLATION < total:
                second = _moments(kept.values, center)[1]
        return float(np.sqrt(second / len(kept))) if len(kept) else np.nan


def outlier_limits(
    values: SortedValues, *, n_sigma: float, fit_histogram: bool = False
) -> ClipLimits:
    """Limits that separate bad values, background and sources.

    Parameters
    ----------
    values : SortedValues
        All values of an image that may be background.
    n_sigma : float
        Clipping level for signal above the centre; bad values lie 3 sigma below.
    fit_histogram : bool, optional
        Refine centre and sigma by a Gaussian fitted to a histogram.

    Returns
    -------
    ClipLimits
        Limits, centre and sigma in the unit of the values.
    """
    median, mean, sigma = (values.without_lights() or values).sigma_clip()
    center = median
    if fit_histogram:
        center, sigma = _gaussian_center_and_sigma(values, mean, sigma)
    return ClipLimits(center - CLIP_SIGMA * sigma, center + n_sigma * sigma, center, sigma)


def background_limits(values: SortedValues, *, n_sigma: float = CLIP_SIGMA) -> ClipLimits:
    """Limits of the background of a difference, insensitive to faint light above it.

    Parameters
    ----------
    values : SortedValues
        Usable values of a difference.
    n_sigma : float, optional
        Clipping level on both sides.

    Returns
    -------
    ClipLimits
        Clipped median, sigma of the lower half mirrored about it, and the limits.

    Notes
    -----
    If there is negative light too, the sigma is that of the narrower half.
    """
    dark = values.without_lights()
    if dark is not None:
        values = dark
    center = values.sigma_clip()[0]
    sigma = values.mirrored_sigma(center)
    if dark is not None:
        sigma = min(sigma, SortedValues(-values.values[::-1]).mirrored_sigma(-center))
    return ClipLimits(center - n_sigma * sigma, center + n_sigma * sigma, center, sigma)


def _densest(values: NDArray) -> tuple[float, float]:
    """Centre and standard deviation of sorted values, from the shortest quarter of them."""
    some = values[:: max(len(values) // ENOUGH_VALUES, 1)].astype(np.float64)
    quarter = len(some) // 4
    widths = some[quarter:] - some[: len(some) - quarter]
    first = int(np.argmin(widths))
    return float(some[first + quarter // 2]), float(widths[first]) / MIDDLE_QUARTER


def _gathered(values: NDArray, usable: NDArray[np.bool_]) -> NDArray:
    """Move the usable values to the front."""
    number = 0
    for start in range(0, len(values), CHUNK):
        chunk = slice(start, start + CHUNK)
        part = values[chunk][usable[chunk]]
        values[number : number + len(part)] = part
        number += len(part)
    return values[:number]


def _moments(values: NDArray, reference: float) -> tuple[float, float]:
    """Sums of v - reference and of its square, without a copy of all values in float64."""
    first = second = 0.0
    for start in range(0, len(values), CHUNK):
        part = values[start : start + CHUNK].astype(np.float64)
        part -= reference
        first += float(part.sum())
        # Not a dot product, for which BLAS would start more threads within ours.
        second += float(np.einsum("i,i->", part, part))
    return first, second


def _mean_and_sigma(first: float, second: float, number: int) -> tuple[float, float]:
    if not number:
        return np.nan, np.nan
    mean = first / number
    return mean, float(np.sqrt(max(second / number - mean * mean, 0.0)))


def _gaussian_center_and_sigma(
    values: SortedValues, center: float, sigma: float
) -> tuple[float, float]:
    """Centre and sigma of a Gaussian fitted to the histogram; the given ones if it fails."""
    from scipy.optimize import OptimizeWarning, curve_fit

    if not sigma > 0:
        return center, sigma
    edges = np.linspace(
        center - HISTOGRAM_SIGMA * sigma, center + HISTOGRAM_SIGMA * sigma, HISTOGRAM_BINS + 1
    )
    counts = np.diff(np.searchsorted(values.values, edges.astype(values.values.dtype)))
    # Units of sigma and of the highest bin make the fit well scaled for any data.
    bins = (edges[1:] + edges[:-1]) / 2
    scaled = (bins - center) / sigma
    peak = counts.max()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", OptimizeWarning)
            (_, fitted, width), _ = curve_fit(
                _gaussian,
                scaled,
                counts / peak,
                p0=(1.0, scaled[np.argmax(counts)], 1.0),
                bounds=([0, scaled[0], 0], [np.inf, scaled[-1], 2 * HISTOGRAM_SIGMA]),
            )
    except (RuntimeError, ValueError, OptimizeWarning) as error:
        log.warning("fit_histogram: the Gaussian fit failed (%s); clipped values are kept", error)
        return center, sigma
    return center + sigma * float(fitted), sigma * float(width)


def _gaussian(x: NDArray, height: float, center: float, sigma: float) -> NDArray:
    return height * np.exp(-0.5 * ((x - center) / sigma) ** 2)
