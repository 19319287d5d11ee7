"""Checks of every exposure and every fit, so that a cleaning never adds noise."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.measured import LARGEST_VALUE, SMALLEST_DIFFERENCE, is_measured
from deflicker.errors import CannotClean
from deflicker.noise.fit import DifferenceFit
from deflicker.noise.noise_image import NoiseImage
from deflicker.ramps.exposure import Exposure
from deflicker.stats.constants import MAD_TO_SIGMA

__all__ = ["check_unit", "guarded", "guarded_step", "variance_change"]

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]

# Values further than this from the median, in standard deviations, are light or hits, whose
# variance would hide that of the noise.
OUTLIER = 5.0
# Increase of the variance, in standard errors, above which a fit is dropped.
SIGNIFICANT = 3.0
MOST_STRIPS = 128  # strips of an image, each of which fits into a processor's cache
MOST_PARTS = 64  # parts of an image, whose scatter gives the error of the mean
MOST_PIXELS = 1 << 20  # pixels of a difference; of larger ones, only some rows are checked
SAMPLED_ROWS = 32  # rows that suffice to check the unit
ROUNDING = 1e-9  # relative rounding error of sums of squares in double precision
SAMPLE = 1 << 16  # pixels that suffice for a median


def check_unit(exposure: Exposure) -> None:
    """Raise if differences are beyond the range of any detector, so that the unit is wrong.

    Parameters
    ----------
    exposure : Exposure
        Exposure to be cleaned.

    Raises
    ------
    CannotClean
        If the median absolute difference in some rows is beyond the range of DN and DN/s.
        Values that are not finite, or exactly zero, are ignored.
    """
    groups = exposure.data[0]
    sample = groups[:, :: max(groups.shape[1] // SAMPLED_ROWS, 1)].astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        sizes = np.abs(np.diff(sample, axis=0) if exposure.first_cleaned else sample)
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)].astype(np.float64)
    if not sizes.size:
        return
    value = float(np.median(sizes))
    if not SMALLEST_DIFFERENCE <= value <= LARGEST_VALUE:
        msg = (
            f"differences of about {value:.1g} are not in DN or DN/s (limits: "
            f"{SMALLEST_DIFFERENCE:.0g} and {LARGEST_VALUE:.0g}): change the unit of the data"
        )
        raise CannotClean(msg)


def guarded(
    fitted: DifferenceFit,
    exposure: Exposure,
    integration: int,
    j: int,
    *,
    flat: Image | None,
    without_light: bool = False,
) -> DifferenceFit:
    """Drop the noise of a difference if subtracting it would do harm.

    Parameters
    ----------
    fitted : DifferenceFit
        Result of a noise model.
    exposure : Exposure
        Exposure that is cleaned.
    integration, j : int
        Indices of the integration and of the difference.
    flat : ndarray of float32, shape (n_slow, n_fast), or None
        Flat field by which the noise is multiplied, in the detector frame.
    without_light : bool, optional
        Judge the difference without the light that it shares with others, see `variance_change`.

    Returns
    -------
    DifferenceFit
        The fit. Its noise is set to 0 and ``dropped`` to True if the noise is not finite or
        beyond the range of a detector, or if subtracting it would increase the variance of the
        difference significantly, or by more than the variance itself.
    """
    if fitted.n_used == 0:
        return fitted
    coefficients = fitted.noise.coefficients
    if is_measured(coefficients).all() and not _harms(
        fitted.noise, exposure, integration, j, flat=flat, without_light=without_light
    ):
        return fitted
    nothing = NoiseImage(np.zeros_like(coefficients), fitted.noise.shapes)
    return replace(fitted, noise=nothing, dropped=True)


def guarded_step(
    fitted: DifferenceFit,
    earlier: DifferenceFit,
    exposure: Exposure,
    integration: int,
    group: int,
    *,
    flat: Image | None,
) -> DifferenceFit:
    """Replace the noise of a group by that of the previous one if their difference gets worse.

    Parameters
    ----------
    fitted, earlier : DifferenceFit
        Fits of a group of a ramp and of the previous group, if groups are fitted one by one.
    exposure : Exposure
        Exposure that is cleaned.
    integration, group : int
        Indices of the integration and of the later group.
    flat : ndarray of float32, shape (n_slow, n_fast), or None
        Flat field by which the noise is multiplied, in the detector frame.

    Returns
    -------
    DifferenceFit
        The later fit; or, with ``dropped``, the later fit with the noise of the earlier one,
        which leaves the difference of the groups unchanged.
    """
    ramps = replace(exposure, whole_groups=False)
    step = fitted.noise + earlier.noise.scaled(-1)
    if not _harms(step, ramps, integration, group - 1, flat=flat):
        return fitted
    return replace(fitted, noise=earlier.noise, dropped=True)


def _harms(
    noise: NoiseImage,
    exposure: Exposure,
    integration: int,
    j: int,
    *,
    flat: Image | None,
    without_light: bool = False,
) -> bool:
    """Whether subtracting the noise increases the variance of a difference."""
    change, error, variance = variance_change(
        noise, exposure, integration, j, flat=flat, without_light=without_light
    )
    # A large change in only a few rows also has a large error, and would not be significant.
    return change > min(SIGNIFICANT * error, variance)


def variance_change(
    noise: NoiseImage,
    exposure: Exposure,
    integration: int,
    j: int,
    *,
    flat: Image | None,
    without_light: bool = False,
) -> tuple[float, float, float]:
    """Change of the variance of a difference if noise is subtracted from it.

    Parameters
    ----------
    noise : NoiseImage
        Noise of the difference in the detector frame, finite.
    exposure : Exposure
        Exposure that is cleaned.
    integration, j : int
        Indices of the integration and of the difference.
    flat : ndarray of float32, shape (n_slow, n_fast), or None
        Flat field by which the noise is multiplied.
    without_light : bool, optional
        Subtract the mean difference of the integration, which contains the light. By chance, light
        on large scales is often correlated with the noise.

    Returns
    -------
    change : float
        Mean of ``n**2 - 2 d n`` over the pixels that are not flagged, in the squared unit of
        the data: d is the difference, n the noise, both minus their means. It is negative if
        the difference contains the noise. Pixels beyond 5 standard deviations, which contain
        sources or hits, are left out.
    error : float
        Its standard error, from the scatter of parts of the image. Infinity if no pixel is left,
        or a single row, which has no scatter.
    variance : float
        Variance of the same pixels before the subtraction. Infinity if no pixel is left.
    """
    step = max(exposure.image_shape[0] * exposure.image_shape[1] // MOST_PIXELS, 1)
    some = _every_nth_row(exposure, integration, j, step)
    values = some.difference(0, 0)
    good = exposure.readout.to_detector_copy(some.good_pixels(0))
    flags = some.good_differences(0, 0)
    if flags is not None:
        good &= flags
    good &= is_measured(values)
    level, limit = _level_and_limit(values, good)
    with np.errstate(invalid="ignore", over="ignore"):  # in pixels that are not good
        if without_light and exposure.first_cleaned and exposure.n_differences > 1:
            mean = _mean_difference(exposure, integration, step) * np.float32(exposure.steps[j])
            light, narrower = _level_and_limit(values - mean, good)
            # Damaged groups are in the mean too: then it is no light.
            if narrower < limit:
                values -= mean
                level, limit = light, narrower
        values -= level
        good &= np.abs(values) <= limit
    n_rows = -(-len(values) // MOST_STRIPS)
    starts = range(0, len(values), n_rows)
    sums = np.zeros((len(starts), 6))
    for strip, start in zip(sums, starts, strict=True):
        rows = slice(start * step, (start + n_rows) * step, step)
        image = noise.image(rows)
        if flat is not None:
            image = image * flat[rows]
        used = good[start : start + n_rows]
        strip[:] = _sums(values[start : start + n_rows][used], image[used])
    return _change_and_error(sums)


def _mean_difference(exposure: Exposure, integration: int, step: int) -> Image:
    """Mean difference of an integration, with all its light, in every ``step``-th row."""
    groups = exposure.data[integration]
    first, last = (
        exposure.readout.to_detector(groups[group])[::step].astype(np.float32)
        for group in (0, exposure.n_differences)
    )
    with np.errstate(invalid="ignore", over="ignore"):  # NaNs of a damaged file may be signalling
        last -= first
    last /= np.float32(exposure.n_differences)
    return last


def _every_nth_row(exposure: Exposure, integration: int, j: int, step: int) -> Exposure:
    """View of every ``step``-th detector row of the groups of one difference."""
    readout, first = exposure.readout, exposure.first_cleaned

    def thinned(array: NDArray) -> NDArray:
        return readout.to_science(readout.to_detector(array)[..., ::step, :])

    dq = exposure.pixel_dq
    group_dq = exposure.group_dq
    groups = slice(j, j + 1 + first)
    return replace(
        exposure,
        group_times=None,
        data=thinned(exposure.data[integration][groups])[np.newaxis],
        pixel_dq=thinned(dq[integration] if dq.ndim == 3 else dq),
        group_dq=None if group_dq is None else thinned(group_dq[integration][groups])[np.newaxis],
    )


def _level_and_limit(values: Image, good: Usable) -> tuple[np.float32, np.float32]:
    """Median of a sample of the good values, and largest deviation of the values to use."""
    step = max(values.size // SAMPLE, 1)
    # The number of columns is a power of two, so that an odd step samples all of them.
    sample = values.reshape(-1)[:: step | 1][good.reshape(-1)[:: step | 1]]
    if not sample.size:
        return np.float32(0), np.float32(np.inf)
    level = np.median(sample)
    sigma = MAD_TO_SIGMA * np.median(np.abs(sample - level))
    if sigma > 0:
        return np.float32(level), np.float32(OUTLIER * sigma)
    # Most values are equal: they are rounded to a step that is larger than the noise, or do
    # not contain any noise.
    steps = np.diff(np.unique(sample))
    return np.float32(level), np.float32(steps.min() if steps.size else 0)


def _sums(values: Image, noise: Image) -> tuple[float, ...]:
    """Number of values, and the sums of d, n, n^2, d n, d^2."""
    # Matrix products would do as well, but BLAS would start more threads within ours.
    squares, products = (np.einsum("i,i->", noise, other) for other in (noise, values))
    squares_of_values = np.einsum("i,i->", values, values)
    return (
        len(values),
        values.sum(dtype=np.float64),
        noise.sum(dtype=np.float64),
        squares,
        products,
        squares_of_values,
    )


def _change_and_error(sums: NDArray[np.float64]) -> tuple[float, float, float]:
    """Change of the variance, its error and the variance from sums: 1, d, n, n^2, d n, d^2."""
    sums = sums[sums[:, 0] > 0]
    total = float(sums[:, 0].sum())
    if not len(sums):
        return 0.0, np.inf, np.inf
    number, d, n, nn, dn, dd = sums.T
    mean_d, mean_n = d.sum() / total, n.sum() / total
    squares = nn - 2 * mean_n * n + mean_n**2 * number
    products = dn - mean_n * d - mean_d * n + mean_d * mean_n * number
    changes = squares - 2 * products
    change = float(changes.sum()) / total
    variance = max(float(dd.sum()) / total - mean_d**2, 0.0)
    if len(sums) == 1:
        # Noise that is constant in the row changes nothing but the last digits.
        is_real = change > ROUNDING * float(nn.sum()) / total
        return change if is_real else min(change, 0.0), np.inf, variance
    deviations = changes - change * number
    # Neighbouring strips may have correlated noise, so that several of them form a part.
    per_part = -(-len(deviations) // MOST_PARTS)
    parts = np.add.reduceat(deviations, np.arange(0, len(deviations), per_part))
    freedom = len(parts) / max(len(parts) - 1, 1)
    error = float(np.sqrt(freedom * np.sum(parts**2))) / total
    return change, error, variance
