"""Contributions to the levels of detector rows: light, noise, and measurement errors.

The median method removes row levels. Light is the same in all differences and noise is not,
which separates the two if there are several differences.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from deflicker.stats.constants import MEDIAN_VARIANCE, PINK_STEP

__all__ = ["RowStatistics", "output_offsets", "row_statistics"]

# Width in columns of each of the two boxes, near and far, on either side of an output border.
BORDER_COLUMNS = 16


@dataclass(frozen=True, kw_only=True)
class RowStatistics:
    """Variances of the row levels in the mean difference.

    Parameters
    ----------
    light : float
        Variance of the part that is the same in all differences: the light that a fit of such
        levels takes for noise. Photon noise counts as light, too.
    noise : float
        Variance of the part that varies: the noise that the fit removes, and the error of the
        levels.
    error : float
        Variance of the error of the levels due to the noise of single pixels.
    outputs : float
        Variance of the differences between outputs after a fit, which misses the offset of an
        output or takes light for one.
    """

    light: float
    noise: float
    error: float
    outputs: float = 0.0


def output_offsets(image: NDArray[np.floating], outputs: list[slice]) -> NDArray[np.float64]:
    """Level of each output, from the steps at their borders.

    Parameters
    ----------
    image : ndarray of float, shape (n_rows, n_fast)
        Mean difference in the detector frame; NaN where it must not be used.
    outputs : list of slice
        Neighbouring columns of each output, in order.

    Returns
    -------
    ndarray of float64, shape (n_outputs,)
        Levels in the unit of the image, with a mean of 0. A border without usable pixels
        contributes no step.

    Notes
    -----
    Light is continuous across the border of two outputs, whereas the noise of an output ends
    there. The levels on both sides are extrapolated linearly to the border.
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
    noise_scale: float = 1.0,
) -> RowStatistics:
    """Light, noise and errors in the levels of rows.

    Parameters
    ----------
    levels : ndarray of float64, shape (n_differences, n_rows, n_levels)
        Levels of each row, or of each row of each output; 0 where there is no pixel.
    number : ndarray of int, shape (n_rows, n_levels)
        Number of pixels from which each level was measured.
    n_integrations : int
        Number of integrations to which the differences belong, in order.
    pixel_error : float
        Variance of a pixel of the mean difference due to read noise.
    offsets : ndarray of float64, shape (n_outputs,), optional
        True offset of each output, if there are several.
    noise_scale : float, optional
        Variance of the noise in the mean of all differences, relative to the mean of these.

    Returns
    -------
    RowStatistics
        Variances in the squared unit of the levels.

    Notes
    -----
    Noise is independent in each read. The reads between the differences of an integration
    cancel in their sum, so that the mean of ``n`` differences has a fraction ``f =
    n_integrations / n**2`` of the noise variance of one difference, and the scatter about the
    mean has ``1 - f``. With a single difference, steps between neighbouring rows are taken for
    pink noise, and the rest of the variance of the levels for light. One or two rows do not
    constrain the noise; their variance beyond the error counts as light.
    """
    means = levels.mean(axis=1, keepdims=True)
    missed = 0.0
    if offsets is not None:
        found = means.mean(axis=(0, 1)) if levels.shape[2] > 1 else np.zeros(len(offsets))
        missed = _missed(offsets, found - found.mean(), noise_scale=noise_scale)
    rest = levels - means
    mean = rest.mean(axis=0)
    total = float(np.mean(mean**2))
    error = MEDIAN_VARIANCE * pixel_error * float(np.mean((number > 0) / np.maximum(number, 1)))
    fraction = n_integrations / len(levels) ** 2
    if fraction < 1:
        noise = float(np.mean((rest - mean) ** 2)) * fraction / (1 - fraction)
    elif len(mean) < 3:
        noise = min(error, total)
    else:
        steps = max(float(np.mean(np.diff(mean, axis=0) ** 2)) / 2 - error, 0.0)
        noise = min(error + steps * math.log(len(mean) / 2) / PINK_STEP, total)
    return RowStatistics(
        light=max(total - noise, 0.0),
        noise=noise * noise_scale,
        error=error * noise_scale,
        outputs=missed,
    )


def _missed(
    offsets: NDArray[np.float64], found: NDArray[np.float64], *, noise_scale: float
) -> float:
    """Variance of the error of the found offsets: true offset missed, and light included."""
    power = float(offsets @ offsets)
    share = min(max(float(found @ offsets) / power, 0.0), 1.0) if power else 0.0
    light = found - share * offsets
    return (1 - share) ** 2 * power / len(offsets) * noise_scale + float(np.mean(light**2))
