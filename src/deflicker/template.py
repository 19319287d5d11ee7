"""Template of a series: the median ramp of all its integrations, and how bright each is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deflicker.arrays import Exposure
from deflicker.dq import DO_NOT_USE, JUMP_DET, SATURATED
from deflicker.draft_rate import draft_rate
from deflicker.drafts import integration_rate
from deflicker.noise.median import MAD_TO_SIGMA, row_medians
from deflicker.readout import Readout

__all__ = ["FEWEST_DARK", "Brightness", "Template", "complete_pixels", "make_template"]

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]

FORBIDS = np.uint8(DO_NOT_USE | SATURATED)
JUMPS = np.uint8(JUMP_DET)
STRIP_VALUES = 1 << 22  # of all integrations, at a time
ILLUMINATED = 10.0  # standard deviations of the template's background
FEWEST_PIXELS = 20
# Pixels of background that tell the level of a row: fewer know it less well than its scene.
FEWEST_DARK = 8
MEDIAN_ERROR = 1.2533  # of a Gaussian, for that of its mean
TINY = 1e-30
OUTLIER, ROUNDS = 4.0, 10
# Scales that are not of this series, and errors that tell nothing.
LOWEST, HIGHEST, LARGEST_ERROR = 0.2, 5.0, 0.05
# A median of integrations that differ by more than this is made anew, of scaled ones.
UNEQUAL = 0.02


@dataclass(frozen=True, kw_only=True)
class Template:
    """Median of each group over the integrations of a series, in the science frame.

    Parameters
    ----------
    groups : ndarray of float32, shape (n_groups, ny, nx)
        In DN, or one image of rates in DN/s; NaN where no integration has a valid value.
    group_time : float
        Time between two groups in seconds.
    """

    groups: Image
    group_time: float

    def rate(self) -> Image:
        """Draft rate of the median ramp.

        Returns
        -------
        ndarray of float32, shape (ny, nx)
            In DN/s; NaN where there is none.
        """
        if len(self.groups) == 1:
            return self.groups[0]
        missing = np.where(np.isfinite(self.groups), np.uint8(0), np.uint8(DO_NOT_USE))
        return draft_rate(self.groups, missing, group_time=self.group_time).rate


class Brightness:
    """How bright the scene of a series is, against which its integrations are measured.

    Parameters
    ----------
    rate : ndarray of float32, shape (ny, nx)
        Draft rate of the template in DN/s.
    background : ndarray of bool, shape (ny, nx)
        True where the template sees background.
    readout : Readout
        Where the stripes run.
    """

    def __init__(self, rate: Image, background: Usable, *, readout: Readout) -> None:
        self._readout = readout
        finite = np.isfinite(rate)
        dark = rate[background & finite]
        level = np.float32(np.median(dark)) if dark.size else np.float32(0)
        sigma = MAD_TO_SIGMA * float(np.median(np.abs(dark - level))) if dark.size else 0.0
        light = rate - level
        with np.errstate(invalid="ignore"):
            bright = light > ILLUMINATED * sigma
        self.illuminated = bright & finite & ~background
        self._rate = readout.turned(np.where(finite, rate, np.float32(0)))
        self._light, self._seen = readout.turned(light), readout.turned(self.illuminated)
        self._dark = readout.turned(background & finite)

    @property
    def tells(self) -> bool:
        """Whether enough of the scene is bright enough to measure a scale."""
        return int(np.count_nonzero(self._seen)) >= FEWEST_PIXELS

    def scale(self, rate: Image) -> float | None:
        """Brightness of an integration for that of the template.

        Parameters
        ----------
        rate : ndarray of float32, shape (ny, nx)
            Draft rate of the integration in DN/s.

        Returns
        -------
        float or None
            Factor of the scene above the background; None where it cannot be told.

        Notes
        -----
        Least squares over the illuminated pixels with weights for photon noise, whose
        solution is a ratio of sums of light; outliers are left out, and so are the levels
        of the rows, as far as the background tells them.
        """
        turned = self._readout.turned(rate)
        finite = np.isfinite(turned)
        seen = self._seen & finite
        if np.count_nonzero(seen) < FEWEST_PIXELS:
            return None
        levels, errors = self._row_levels(turned, self._dark & finite)
        # Light is that above the background, and so are values.
        values = turned - self._rate + self._light - levels[:, np.newaxis]
        rows, columns = np.nonzero(seen)
        fit = _ScaleFit(
            light=self._light[rows, columns].astype(np.float64),
            values=values[rows, columns].astype(np.float64),
            rows=rows,
            row_variance=errors**2,
        )
        return fit.scale()

    def _row_levels(self, rate: Image, dark: Usable) -> tuple[Image, NDArray[np.float64]]:
        """Levels of the rows above the template's, and their errors.

        Where a row is all scene, its level is taken from its neighbours.
        """
        change = np.where(dark, rate - self._rate, np.float32(0))
        levels, sigma = row_medians(change, dark), _deviation(change[dark])
        number = np.count_nonzero(dark, axis=1)
        known = number >= FEWEST_DARK
        if not known.any():
            return np.zeros_like(levels), np.full(len(levels), np.inf)
        rows = np.arange(len(levels))
        scatter = _deviation(levels[known] - np.median(levels[known]))
        errors = np.where(known, MEDIAN_ERROR * sigma / np.sqrt(np.maximum(number, 1)), scatter)
        return np.interp(rows, rows[known], levels[known]).astype(np.float32), errors


@dataclass(frozen=True, kw_only=True)
class _ScaleFit:
    """Least squares for the scale of light (n,) in values (n,) of rows whose levels have errors.

    The variance of a pixel goes with its light; that of a row's level is known.
    """

    light: NDArray[np.float64]
    values: NDArray[np.float64]
    rows: NDArray[np.intp]
    row_variance: NDArray[np.float64]

    def scale(self) -> float | None:
        """Scale without outliers; None if it is none of a series."""
        root = np.sqrt(self.light)
        kept = np.ones(len(self.light), dtype=bool)
        scale, error = float(self.values.sum() / self.light.sum()), 0.0
        offsets = np.zeros(len(self.row_variance))
        for _ in range(ROUNDS):
            deviations = (self.values - scale * self.light - offsets[self.rows]) / root
            sigma = _deviation(deviations[kept])
            if not sigma > 0:
                break
            again = np.abs(deviations) <= OUTLIER * sigma
            if np.count_nonzero(again) < FEWEST_PIXELS:
                break
            kept = again
            scale, error, offsets = self._solve(kept, sigma)
        return scale if LOWEST < scale < HIGHEST and error < LARGEST_ERROR else None

    def _solve(self, kept: Usable, sigma: float) -> tuple[float, float, NDArray[np.float64]]:
        """Scale, its error, and the levels of the rows, which are eliminated from the equations."""
        rows, light, values = self.rows[kept], self.light[kept], self.values[kept]

        def sums(terms: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.bincount(rows, terms, minlength=len(self.row_variance)) / sigma**2

        ones = np.ones_like(light)
        weights, of_light, of_values = sums(1 / light), sums(ones), sums(values / light)
        # 1 / (weights + 1 / variance), 0 for a level that is known.
        share = self.row_variance / (1 + weights * self.row_variance)
        free = np.isinf(self.row_variance)
        share[free] = 1 / np.maximum(weights[free], TINY)
        power = float(np.sum(sums(light) - share * of_light**2))
        if not power > 0:
            return 0.0, np.inf, np.zeros_like(share)
        scale = float(np.sum(sums(values) - share * of_light * of_values)) / power
        return scale, power**-0.5, share * (of_values - scale * of_light)


def _deviation(values: NDArray[np.floating]) -> float:
    """Standard deviation about zero, from the median deviation; 0 of nothing."""
    return MAD_TO_SIGMA * float(np.median(np.abs(values))) if values.size else 0.0


def complete_pixels(exposure: Exposure, integration: int) -> tuple[Usable, list[int]]:
    """Pixels of an integration whose groups are all valid, without a jump.

    Parameters
    ----------
    exposure : Exposure
        The exposure.
    integration : int
        Index of the integration.

    Returns
    -------
    complete : ndarray of bool, shape (ny, nx)
        Not PIXELDQ's flags.
    groups : list of int
        Groups that are not flagged as a whole.
    """
    if exposure.group_dq is None:
        return np.ones(exposure.image_shape, dtype=bool), [0]
    flags = exposure.group_dq[integration]
    numbers = [int(np.count_nonzero((group & FORBIDS) == 0)) for group in flags]
    groups = [g for g, number in enumerate(numbers) if number > 0.1 * max(numbers)]
    complete = np.ones(exposure.image_shape, dtype=bool)
    for g in groups:
        complete &= (flags[g] & (FORBIDS | JUMPS)) == 0
    return complete, groups


def make_template(
    exposures: Sequence[Exposure],
    *,
    background: Callable[[Image], Usable],
    n_threads: int = 1,
) -> Template:
    """Median of each group over all integrations.

    Parameters
    ----------
    exposures : sequence of Exposure
        Exposures, or segments of one, of the same shape but for the integrations.
    background : callable
        Given the draft rate of the template (ny, nx) in DN/s, tells where the scene is
        dark: True. If the integrations are not equally bright, the template is made again
        of scaled ones.
    n_threads : int, optional
        Threads for the rates.

    Returns
    -------
    Template
        Values that are flagged, or that follow a jump in their integration, are left out.
    """
    first = exposures[0]
    template = Template(groups=_medians(exposures, None), group_time=first.group_time)
    rate = template.rate()
    dark = background(rate)
    brightness = Brightness(rate, dark, readout=first.readout)
    if not brightness.tells:
        return template
    scales = [
        brightness.scale(integration_rate(exposure, i, n_threads=n_threads).rate) or 1.0
        for exposure in exposures
        for i in range(exposure.n_integrations)
    ]
    if max(abs(scale - 1) for scale in scales) < UNEQUAL:
        return template
    levels = np.array([_level(group[dark]) for group in template.groups])
    scaled = _Scaled(np.array(scales), levels)
    return Template(groups=_medians(exposures, scaled), group_time=first.group_time)


def _level(values: Image) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else 0.0


@dataclass(frozen=True)
class _Scaled:
    """Scales (n_integrations,) of the light above levels (n_groups,) of the background."""

    scales: NDArray[np.float64]
    levels: NDArray[np.float64]

    def apply(self, values: Image, integration: int, group: int) -> None:
        """Make an integration as bright as the template, in place."""
        level = np.float32(self.levels[group])
        values -= level
        values /= np.float32(self.scales[integration])
        values += level


def _medians(exposures: Sequence[Exposure], scaled: _Scaled | None) -> Image:
    """Medians of the valid values of all groups, in strips of rows."""
    integrations = [(exposure, i) for exposure in exposures for i in range(exposure.n_integrations)]
    _, n_groups, ny, nx = exposures[0].data.shape
    groups = np.empty((n_groups, ny, nx), dtype=np.float32)
    n_rows = max(1, STRIP_VALUES // (len(integrations) * nx))
    for start in range(0, ny, n_rows):
        rows = slice(start, min(start + n_rows, ny))
        shape = (rows.stop - start, nx, len(integrations))
        hit = np.zeros(shape, dtype=bool)
        for g in range(n_groups):
            values = np.empty(shape, dtype=np.float32)
            valid = ~hit
            for k, (exposure, i) in enumerate(integrations):
                part = exposure.data[i][g, rows].astype(np.float32)
                if scaled is not None:
                    scaled.apply(part, k, g)
                values[..., k] = part
                if exposure.group_dq is not None:
                    flags = exposure.group_dq[i][g, rows]
                    hit[..., k] |= (flags & JUMPS) != 0
                    valid[..., k] &= ((flags & FORBIDS) == 0) & ~hit[..., k]
            valid &= np.isfinite(values)
            pixels = (-1, len(integrations))
            medians = row_medians(values.reshape(pixels), valid.reshape(pixels))
            medians[~valid.reshape(pixels).any(axis=1)] = np.nan
            groups[g, rows] = medians.reshape(shape[:2])
    return groups
