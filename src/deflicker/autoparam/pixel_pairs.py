"""What differences between near pixels tell: lone noise, and the structure of a flat field.

Pixels two columns apart in a detector row have stripes, the noise of alternating columns and
smooth light in common, so their difference has none of these.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deflicker.stats.clipping import SortedValues

__all__ = ["FlatMatch", "match_flat", "pixel_variance", "read_variance"]

TRUSTED_ERRORS = 3.0
REGRESSION_ROUNDS = 3


@dataclass(frozen=True, kw_only=True)
class FlatMatch:
    """How much of a flat field's structure an exposure shows.

    Parameters
    ----------
    share : float
        1 if the light went through the flat field, 0 if it knows nothing of it.
    error : float
        Standard error of the share.
    """

    share: float
    error: float

    @property
    def fits(self) -> bool:
        """Whether the flat field is that of the exposure; not if that cannot be told."""
        return self.share > max(0.5, TRUSTED_ERRORS * self.error)


def pixel_variance(image: NDArray[np.floating]) -> float:
    """Variance of what is each pixel's own.

    Parameters
    ----------
    image : ndarray of float, shape (n_rows, n_fast)
        In the detector frame; NaN where not to be used.

    Returns
    -------
    float
        In the square of the image's unit; NaN without a pair of pixels.

    Notes
    -----
    Half of the clipped variance of differences between pixels two columns apart, in which
    stripes, alternating columns and smooth light cancel. The clip at 3 sigma takes 3 % off the
    variance of normal noise.

    Examples
    --------
    >>> import numpy as np
    >>> from deflicker.autoparam.pixel_pairs import pixel_variance
    >>> image = np.random.default_rng(1).normal(0, 2, (200, 300)) + np.arange(200)[:, None]
    >>> round(pixel_variance(image))
    4
    """
    pairs = _pairs(image)
    pairs = np.sort(pairs[np.isfinite(pairs)])
    return SortedValues(pairs).sigma_clip()[2] ** 2 / 2 if len(pairs) else math.nan


def _pairs(image: NDArray[np.floating]) -> NDArray[np.floating]:
    return image[:, 2:] - image[:, :-2]


def read_variance(differences: NDArray[np.float32], *, n_integrations: int) -> float:
    """Variance of the mean difference of a pixel that comes from the noise of its reads.

    Parameters
    ----------
    differences : ndarray of float32, shape (n_differences, n_rows, n_fast)
        All of the same number of successive differences of each integration; NaN where not
        to be used.
    n_integrations : int
        Number of integrations.

    Returns
    -------
    float
        In the square of the differences' unit; 0 without pixels.

    Notes
    -----
    Of ``n`` differences, those of an integration have all reads in common but the first and the
    last: read noise of variance a in a difference gives ``a n_integrations / n**2`` in the mean,
    photon noise of variance p gives ``p / n``. Two variances tell a from p.
    """
    number = len(differences)
    shared = n_integrations / number**2
    of_mean = pixel_variance(differences.mean(axis=0))
    if not math.isfinite(of_mean):
        return 0.0
    if number == n_integrations:
        return of_mean
    of_one = float(np.mean([pixel_variance(each) for each in differences]))
    read = (of_one / number - of_mean) / (1 / number - shared) * shared
    return min(max(read, 0.0), of_mean)


def match_flat(image: NDArray[np.floating], flat: NDArray[np.floating]) -> FlatMatch:
    """Look for the structure of a flat field in an image.

    Parameters
    ----------
    image : ndarray of float, shape (n_rows, n_fast)
        Mean difference in the detector frame; NaN where not to be used.
    flat : ndarray of float, shape (n_rows, n_fast)
        Flat field.

    Returns
    -------
    FlatMatch
        Share 0 with an infinite error where it cannot be told: without light, or structure.

    Notes
    -----
    Regression of differences between pixels two columns apart on those of the flat field,
    over the level of the image. Smooth light, which may look like the smooth part
    of a flat field, has no part in it.

    Examples
    --------
    >>> import numpy as np
    >>> from deflicker.autoparam.pixel_pairs import match_flat
    >>> rng = np.random.default_rng(1)
    >>> flat = rng.normal(1, 0.02, (200, 300))
    >>> match_flat(100 * flat + rng.normal(0, 1, flat.shape), flat).fits
    True
    """
    unknown = FlatMatch(share=0.0, error=math.inf)
    good = np.isfinite(image)
    if not good.any():
        return unknown
    level = float(np.median(image[good] / flat[good]))
    values, structure = _pairs(image), _pairs(flat)
    values, structure = (each[np.isfinite(values)] for each in (values, structure))
    if level <= 0 or not len(values):
        return unknown
    x, y = structure.astype(np.float64), values.astype(np.float64)
    slope, power, scatter = _regression(x, y)
    if power == 0:
        return unknown
    return FlatMatch(share=slope / level, error=scatter / math.sqrt(power) / level)


def _regression(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float, float]:
    """Slope of a line through 0 without outliers, sum of the squares of x, scatter about it."""
    slope = 0.0
    for _ in range(REGRESSION_ROUNDS):
        rest = y - slope * x
        scatter = SortedValues(np.sort(rest)).sigma_clip()[2]
        # Limits about the line: limits of y itself would flatten it.
        some = np.abs(rest) <= 3 * scatter
        power = float(x[some] @ x[some])
        if power == 0:
            break
        slope = float(x[some] @ y[some]) / power
    return slope, power, scatter
