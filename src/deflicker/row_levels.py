"""What the levels of detector rows are made of: light, noise, and their own errors.

Row levels are what the median cleaner removes. Light stays from difference to difference and
noise does not, which tells them apart where there are several differences.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from deflicker.scene.clipping import SortedValues

__all__ = [
    "FlatMatch",
    "RowStatistics",
    "match_flat",
    "output_offsets",
    "pixel_variance",
    "read_variance",
    "row_statistics",
]

# Columns on either side of the border of two outputs, near and far from it.
BORDER_COLUMNS = 16
# Cin(pi): half the mean square of the step between neighbours in pink noise is this over
# ln(n / 2) of the variance of n samples.
PINK_STEP = 1.6483
TRUSTED_ERRORS = 3.0
REGRESSION_ROUNDS = 3


@dataclass(frozen=True, kw_only=True)
class RowStatistics:
    """Variances of row levels in the mean difference, each level taken once.

    Parameters
    ----------
    light : float
        Of what stays from difference to difference: the light that a fit of such levels
        takes for noise, and the photon noise.
    noise : float
        Of what does not stay: the noise that the fit removes, and the error of the levels.
    error : float
        Of the levels' errors from the noise of single pixels.
    outputs : float
        Of the differences between outputs that a fit leaves, where it misses the offset of
        an output or takes light for one.
    """

    light: float
    noise: float
    error: float
    outputs: float = 0.0


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
    >>> from deflicker.row_levels import pixel_variance
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
    >>> from deflicker.row_levels import match_flat
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


def output_offsets(image: NDArray[np.floating], outputs: list[slice]) -> NDArray[np.float64]:
    """Level of each output, from the jumps at their borders.

    Parameters
    ----------
    image : ndarray of float, shape (n_rows, n_fast)
        Mean difference in the detector frame; NaN where not to be used.
    outputs : list of slice
        Neighbouring columns of each output, in order.

    Returns
    -------
    ndarray of float64, shape (n_outputs,)
        Of mean 0, in the unit of the image. A border without usable pixels has no jump.

    Notes
    -----
    Light goes on across the border of two outputs, the noise of an output ends there. The
    levels on both sides are extrapolated to the border along a straight line.
    """
    jumps = [0.0]
    for output in outputs[1:]:
        width = min(BORDER_COLUMNS, (output.stop - output.start) // 2)
        edges = output.start + width * np.arange(-2, 3)
        boxes = [image[:, a:b] for a, b in pairwise(edges)]
        far_left, left, right, far_right = (_level(box) for box in boxes)
        jump = 1.5 * (right - left) - 0.5 * (far_right - far_left)
        jumps.append(jump if math.isfinite(jump) else 0.0)
    levels = np.cumsum(jumps)
    return levels - levels.mean()


def _level(box: NDArray[np.floating]) -> float:
    values = box[np.isfinite(box)]
    return float(np.median(values)) if len(values) else math.nan


def row_statistics(
    levels: NDArray[np.float64],
    number: NDArray[np.int_],
    *,
    n_integrations: int,
    pixel_error: float,
    offsets: NDArray[np.float64] | None = None,
) -> RowStatistics:
    """Light, noise and errors in the levels of rows.

    Parameters
    ----------
    levels : ndarray of float64, shape (n_differences, n_rows, n_levels)
        Levels of each row, or of each row of each output; 0 where there is no pixel.
    number : ndarray of int, shape (n_rows, n_levels)
        Number of pixels behind each.
    n_integrations : int
        Number of integrations to which the differences belong, in order.
    pixel_error : float
        Variance of a pixel of the mean difference that comes from read noise.
    offsets : ndarray of float64, shape (n_outputs,), optional
        True offset of each output, if there are several.

    Returns
    -------
    RowStatistics
        In the square of the unit of the levels.

    Notes
    -----
    Noise is new in each read. The differences of an integration telescope, so their mean
    over ``n`` differences has ``f = n_integrations / n**2`` of a difference's noise, and their
    scatter about the mean has ``1 - f``. Of one difference alone, steps between neighbouring
    rows are taken for pink noise, and what the levels have beside it for light.
    """
    means = levels.mean(axis=1, keepdims=True)
    missed = 0.0
    if offsets is not None:
        found = means.mean(axis=(0, 1)) if levels.shape[2] > 1 else np.zeros(len(offsets))
        missed = float(np.var(offsets - found))
    rest = levels - means
    mean = rest.mean(axis=0)
    total = float(np.mean(mean**2))
    error = math.pi / 2 * pixel_error * float(np.mean((number > 0) / np.maximum(number, 1)))
    fraction = n_integrations / len(levels) ** 2
    if fraction < 1:
        noise = float(np.mean((rest - mean) ** 2)) * fraction / (1 - fraction)
    else:
        steps = max(float(np.mean(np.diff(mean, axis=0) ** 2)) / 2 - error, 0.0)
        noise = min(error + steps * math.log(len(mean) / 2) / PINK_STEP, total)
    return RowStatistics(light=max(total - noise, 0.0), noise=noise, error=error, outputs=missed)
