"""Noise of a template: residual row levels in the median of all integrations."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter, uniform_filter1d

from deflicker.noise.registry import row_method
from deflicker.options import CleanOptions
from deflicker.ramps.exposure import Exposure
from deflicker.ramps.outputs import fitted_outputs
from deflicker.scene.draft_masks import integration_rate
from deflicker.series.brightness import TINY
from deflicker.series.template import Template
from deflicker.series.tuning import SeriesTuning
from deflicker.stats.constants import MEDIAN_VARIANCE
from deflicker.stats.row_medians import row_medians

__all__ = ["light_free_levels", "remove_template_noise"]

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]
Levels = NDArray[np.float64]

# Integrations in which the noise of row levels is measured. 8 times a few hundred levels
# determine its variance to a few percent, and each integration costs a draft rate.
SAMPLES = 8
# A group with less than this fraction of the values of the fullest one is missing as a whole.
MISSING = 0.1
# Integrations in which less than this fraction of the background is valid are not used.
WHOLE = 0.5


@dataclass(frozen=True, kw_only=True)
class _RowLevels:
    """Levels of rows (n_rows,), and half the difference of the levels of their two halves."""

    levels: Levels
    errors: Levels


def remove_template_noise(
    template: Template,
    exposures: Sequence[Exposure],
    background: Usable,
    *,
    options: CleanOptions,
    tuning: SeriesTuning | None = None,
) -> None:
    """Subtract the noise of a template, in place.

    Parameters
    ----------
    template : Template
        Median of each group over all integrations; changed.
    exposures : sequence of Exposure
        Exposures from which the template was made.
    background : ndarray of bool, shape (ny, nx)
        True where the template contains only background.
    options : CleanOptions
        Options of the fit of the noise.
    tuning : SeriesTuning, optional
        Tuning constants.

    Notes
    -----
    The deviations of the groups of the template from straight ramps contain no light, and are
    fitted like the noise of a group. If ramps are not straight, because groups are not evenly
    spaced and their times are unknown, rows deviate in proportion to their light; this part is
    subtracted first.

    The row levels of the rate of the template also contain light: a sky with steps, or the halo
    of a star. The variance of their noise is measured from the scatter of the row levels of the
    integrations about those of the template; see `light_free_levels`.
    """
    tuning = tuning or SeriesTuning()
    first = exposures[0]
    to_detector, groups = first.readout.to_detector_copy, template.groups
    times = first.times
    outputs = fitted_outputs(first, options)
    rate = template.rate(times)
    dark = to_detector(background & np.isfinite(rate))
    noise_of_rate = _noise_of_rate(rate, exposures, dark, options=options, tuning=tuning)
    if len(groups) == 1:
        first.readout.to_detector(groups[0])[:] -= noise_of_rate
        return
    used = _present(groups)
    middle, centre = _middle(groups, used, times)
    start = float(np.mean(times[used]))
    light = to_detector(rate)
    for j in used:
        deviation = groups[j] - middle
        deviation -= rate * (np.float32(times[j]) - centre)
        values = to_detector(deviation)
        usable = dark & np.isfinite(values)
        values -= np.float32(_bend(values, light, usable, tuning)) * light
        if usable.any():
            values -= np.median(values[usable])
        noise = row_method(options).fit(values, usable, outputs)
        group = first.readout.to_detector(groups[j])
        group -= noise.image()
        group -= np.float32(times[j] - start) * noise_of_rate


def light_free_levels(
    levels: Levels,
    samples: Sequence[Levels],
    errors: Sequence[Levels],
    *,
    share: float,
    tuning: SeriesTuning | None = None,
) -> Levels:
    """Noise in the row levels of an image that also contains light.

    Parameters
    ----------
    levels : ndarray of float64, shape (n_rows,)
        Levels of the rows, with noise and light.
    samples : sequence of ndarray of float64, shape (n_rows,)
        Levels of rows that contain only noise.
    errors : sequence of ndarray of float64, shape (n_rows,)
        Realisations of the measurement errors of the samples, without the noise.
    share : float
        Variance of the noise in ``levels`` relative to that in a sample.
    tuning : SeriesTuning, optional
        Tuning constants.

    Returns
    -------
    ndarray of float64, shape (n_rows,)
        Noise of each row, limited to what the samples allow.

    Notes
    -----
    A multiscale median transform (Starck, Murtagh & Bijaoui 1998, Image Processing and Data
    Analysis) separates the levels by the number of rows over which they vary. It keeps steps
    sharp, so that light with steps affects few coefficients. On each scale, the samples
    determine the variance of the noise. Coefficients larger than noise can be are light. The
    others are multiplied by a Wiener gain, the ratio of the variance of the noise to the mean
    square nearby, and by the fraction of the variance of the samples that is not due to
    measurement errors.

    Examples
    --------
    >>> import numpy as np
    >>> from deflicker.series.template_noise import light_free_levels
    >>> rng = np.random.default_rng(1)
    >>> samples = rng.normal(0, 1, (8, 200))
    >>> sky = np.where(np.arange(200) < 80, 50.0, 20.0)
    >>> noise = rng.normal(0, 1, 200)
    >>> found = light_free_levels(sky + noise, samples, 0 * samples, share=1.0)
    >>> bool(np.std(found - noise) < 0.4), bool(np.abs(found).max() < 10)
    (True, True)
    """
    tuning = tuning or SeriesTuning()
    n_rows = len(levels)
    found = np.zeros(n_rows)
    if not n_rows:
        return found
    of_samples = [_scales(sample) for sample in samples]
    of_errors = [_scales(error) for error in errors]
    for k, (window, part) in enumerate(_scales(levels)):
        variance = float(np.mean([scales[k][1] ** 2 for scales in of_samples]))
        error = float(np.mean([scales[k][1] ** 2 for scales in of_errors]))
        if not variance > error:
            continue
        # An upper limit of the variance, which few samples of few coefficients constrain badly.
        number = max(n_rows / window, 1.0) * len(samples)
        expected = share * variance * (1 + 2 * (2 / number) ** 0.5)
        noise = np.where(np.abs(part) <= tuning.light_sigma * expected**0.5, part, 0.0)
        near = uniform_filter1d(part**2, min(2 * window + 1, n_rows), mode="nearest")
        gain = np.minimum(1.0, tuning.slack * expected / np.maximum(near, TINY))
        found += noise * (1 - error / variance) * gain
    return found


def _scales(levels: Levels) -> list[tuple[int, Levels]]:
    """Widths of the windows and details of the levels, on scales of more and more rows."""
    parts, window = [], 3
    while window <= len(levels) // 2:
        smooth = median_filter(levels, window, mode="nearest")
        parts.append((window, levels - smooth))
        levels, window = smooth, 2 * window + 1
    parts.append((len(levels), levels - np.median(levels)))
    return parts


def _noise_of_rate(
    rate: Image,
    exposures: Sequence[Exposure],
    dark: Usable,
    *,
    options: CleanOptions,
    tuning: SeriesTuning,
) -> Image:
    """Noise of the rate of a template, in the detector frame."""
    readout = exposures[0].readout
    integrations = [(exposure, i) for exposure in exposures for i in range(exposure.n_integrations)]
    number = len(integrations)
    if number < 2:
        return np.zeros(dark.shape, dtype=np.float32)
    finder = _Finder(dark, fitted_outputs(exposures[0], options), options, tuning)
    for k in np.unique(np.linspace(0, number - 1, SAMPLES).astype(int)):
        exposure, i = integrations[k]
        finder.add(readout.to_detector_copy(integration_rate(exposure, i).rate - rate))
    # Variance of a median relative to that of a sample's deviation from it, of which the sample is
    # a part.
    share = (MEDIAN_VARIANCE if number > 2 else 1.0) / (number - 1)
    image = readout.to_detector_copy(np.where(np.isfinite(rate), rate, np.float32(0)))
    return finder.noise_of(image, share=share)


class _Finder:
    """Finds noise in an image that also contains light, by means of images of noise.

    Parameters
    ----------
    dark : ndarray of bool, shape (n_slow, n_fast)
        True where the image contains only background.
    outputs : sequence of slice
        Fast-axis slices that are fitted separately.
    options : CleanOptions
        Options of the fit of the noise.
    tuning : SeriesTuning
        Tuning constants.
    """

    def __init__(
        self,
        dark: Usable,
        outputs: Sequence[slice],
        options: CleanOptions,
        tuning: SeriesTuning,
    ) -> None:
        self._tuning = tuning
        self._dark, self._outputs, self._options = dark, outputs, options
        self._known = [_enough(dark[:, output], int(tuning.fewest_dark) // 2) for output in outputs]
        self._samples: list[list[_RowLevels]] = [[] for _ in outputs]
        self._within: list[float] = []

    def add(self, image: Image) -> None:
        """Add an image that contains only noise, if enough of it is valid; it is overwritten."""
        usable = self._dark & np.isfinite(image)
        if usable.sum() <= WHOLE * self._dark.sum():
            return
        levels, within = self._parts(image, usable)
        for sample, one in zip(self._samples, levels, strict=True):
            sample.append(one)
        if within is not None:
            self._within.append(float(np.mean(within**2)))

    def noise_of(self, image: Image, *, share: float) -> Image:
        """Noise of an image (n_slow, n_fast); for ``share`` see `light_free_levels`."""
        noise = np.zeros(self._dark.shape, dtype=np.float32)
        if not self._samples[0]:
            return noise
        found, within = self._parts(image, self._dark)
        for k, output in enumerate(self._outputs):
            levels = light_free_levels(
                found[k].levels,
                [one.levels for one in self._samples[k]],
                [one.errors for one in self._samples[k]],
                share=share,
                tuning=self._tuning,
            )
            noise[self._known[k], output] = levels[:, np.newaxis].astype(np.float32)
        if within is not None:
            # Within rows, only the variance separates light and noise.
            observed = max(float(np.mean(within**2)), TINY)
            gain = min(1.0, self._tuning.slack * share * float(np.mean(self._within)) / observed)
            noise += np.float32(gain) * within
        return noise

    def _parts(self, image: Image, usable: Usable) -> tuple[list[_RowLevels], Image | None]:
        """Levels of the rows of each output, and the noise within rows if the model has it."""
        parts = list(zip(self._outputs, self._known, strict=True))
        levels = [_levels(image[rows, output], usable[rows, output]) for output, rows in parts]
        method = row_method(self._options)
        if not method.within_rows:
            return levels, None
        if usable.any():
            image -= np.median(image[usable])
        within = method.fit(image, usable, self._outputs).image()
        within = within.copy()
        for k, (output, rows) in enumerate(parts):
            means = within[:, output].mean(axis=1, keepdims=True)
            within[:, output] -= means
            fitted = means[rows, 0].astype(np.float64)
            levels[k] = _RowLevels(levels=_centred(fitted), errors=np.zeros_like(fitted))
        return levels, within


def _bend(deviation: Image, light: Image, usable: Usable, tuning: SeriesTuning) -> float:
    """Deviation of a group from straight ramps relative to its light, from row levels."""
    rows = np.count_nonzero(usable, axis=1) >= tuning.fewest_dark
    if not rows.any():
        return 0.0
    y, x = (
        row_medians(image[rows], usable[rows]).astype(np.float64) for image in (deviation, light)
    )
    x, y = x - x.mean(), y - y.mean()
    power = float(x @ x)
    if not power > 0:
        return 0.0
    bend = float(x @ y) / power
    error = float(np.mean((y - bend * x) ** 2) / power) ** 0.5
    # A slope that is not significant is a chance correlation of noise with light.
    return bend if abs(bend) > tuning.light_sigma * error else 0.0


def _halves(n_fast: int) -> Usable:
    """Every other pair of pixels, because even and odd columns may have different noise."""
    return np.arange(n_fast) // 2 % 2 == 0


def _enough(usable: Usable, fewest: int) -> Usable:
    """Rows in which both halves have enough pixels to determine their level."""
    half = _halves(usable.shape[1])
    return (np.count_nonzero(usable[:, half], axis=1) >= fewest) & (
        np.count_nonzero(usable[:, ~half], axis=1) >= fewest
    )


def _levels(values: Image, usable: Usable) -> _RowLevels:
    """Levels of rows, from two halves of their pixels."""
    half = _halves(values.shape[1])
    one, other = (
        row_medians(values[:, part], usable[:, part]).astype(np.float64) for part in (half, ~half)
    )
    levels = (one + other) / 2
    return _RowLevels(levels=_centred(levels), errors=(one - other) / 2)


def _centred(levels: Levels) -> Levels:
    """Levels relative to their median; a level that all rows share is not row noise."""
    return levels - np.median(levels) if levels.size else levels


def _present(groups: Image) -> list[int]:
    """Groups of a template that are not missing as a whole; at least the first and last."""
    numbers = [int(np.count_nonzero(np.isfinite(group))) for group in groups]
    some = [j for j, number in enumerate(numbers) if number > MISSING * max(numbers)]
    return some if len(some) > 1 else [0, len(groups) - 1]


def _middle(groups: Image, used: Sequence[int], times: NDArray[np.float64]) -> tuple[Image, Image]:
    """Mean of the valid groups of each pixel, and mean of their times."""
    total, centre = np.zeros(groups.shape[1:], np.float32), np.zeros(groups.shape[1:], np.float32)
    number = np.zeros(groups.shape[1:], np.float32)
    for j in used:
        finite = np.isfinite(groups[j])
        np.add(total, groups[j], out=total, where=finite)
        np.add(centre, np.float32(times[j]), out=centre, where=finite)
        number += finite
    np.maximum(number, 1, out=number)
    total /= number
    centre /= number
    return total, centre
