"""Differences of nearby pixels: independent noise, and the structure of a flat field.

Pixels two columns apart in a detector row have stripes, the noise of alternating columns and
smooth light in common, so that these cancel in their difference.
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
    """Amplitude of the structure of a flat field in an exposure.

    Parameters
    ----------
    share : float
        1 if the light contains the flat field, 0 if it does not.
    error : float
        Standard error of the share.
    """

    share: float
    error: float

    @property
    def fits(self) -> bool:
        """Whether the exposure contains the flat field; False if that is uncertain."""
        return self.share > max(0.5, TRUSTED_ERRORS * self.error)


def pixel_variance(image: NDArray[np.floating]) -> float:
    """Variance of the noise that is independent in each pixel.

    Parameters
    ----------
    image : ndarray of float, shape (n_rows, n_fast)
        In the detector frame; NaN where it must not be used.

    Returns
    -------
    float
        In the squared unit of the image; NaN without a pair of pixels.

    Notes
    -----
    Half of the clipped variance of the differences between pixels two columns apart, in which
    stripes, alternating columns and smooth light cancel. Clipping at 3 sigma reduces the
    variance of Gaussian noise by 3 %.

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
    """Variance of the mean difference of a pixel due to read noise.

    Parameters
    ----------
    differences : ndarray of float32, shape (n_differences, n_rows, n_fast)
        Equal numbers of successive differences of each integration; NaN where they must not be
        used.
    n_integrations : int
        Number of integrations.

    Returns
    -------
    float
        In the squared unit of the differences; 0 without pixels.

    Notes
    -----
    In the mean of ``n`` differences, all reads of an integration cancel except the first and the
    last. Read noise of variance a in a difference therefore contributes ``a n_integrations /
    n**2``, and photon noise of variance p contributes ``p / n``. The variances of single
    differences and of their mean determine both a and p.
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
    """Measure the amplitude of the structure of a flat field in an image.

    Parameters
    ----------
    image : ndarray of float, shape (n_rows, n_fast)
        Mean difference in the detector frame; NaN where it must not be used.
    flat : ndarray of float, shape (n_rows, n_fast)
        Flat field.

    Returns
    -------
    FlatMatch
        Share 0 with an infinite error if there is no light, or no structure in the flat field.

    Notes
    -----
    Slope of the regression of differences between pixels two columns apart against those of
    the flat field, divided by the level of the image. Smooth light, which may look like the
    smooth part of a flat field, cancels.

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
    """Slope of a line through 0 with clipping, sum of the squares of x, and scatter."""
    slope = 0.0
    for _ in range(REGRESSION_ROUNDS):
        rest = y - slope * x
        scatter = SortedValues(np.sort(rest)).sigma_clip()[2]
        # Limits are relative to the line; limits of y itself would flatten it.
        some = np.abs(rest) <= 3 * scatter
        power = float(x[some] @ x[some])
        if power == 0:
            break
        slope = float(x[some] @ y[some]) / power
    return slope, power, scatter
