"""Template of a series: the median ramp of all its integrations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.dq import DO_NOT_USE, JUMP_DET, SATURATED
from deflicker.detector.measured import is_measured
from deflicker.ramps.exposure import Exposure
from deflicker.ramps.rates import draft_rate
from deflicker.scene.draft_masks import integration_rate
from deflicker.series.brightness import Brightness
from deflicker.stats.row_medians import row_medians

__all__ = ["Template", "make_template", "valid_groups"]

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]

FORBIDS = np.uint8(DO_NOT_USE | SATURATED)
JUMPS = np.uint8(JUMP_DET)
STRIP_VALUES = 1 << 22  # values of all integrations that are processed together
# If integrations differ in brightness by more than this, they are scaled before the median.
UNEQUAL = 0.02


@dataclass(frozen=True, kw_only=True)
class Template:
    """Median of each group over the integrations of a series, in the science frame.

    Parameters
    ----------
    groups : ndarray of float32, shape (n_groups, ny, nx)
        Groups in DN, or one image of rates in DN/s; NaN where no integration has a valid
        value, for example in pixels that are flagged in PIXELDQ.
    keywords : mapping, optional
        FITS keywords of the series and their values.
    """

    groups: Image
    keywords: Mapping[str, Any] = field(default_factory=dict)

    def rate(self, times: NDArray[np.float64]) -> Image:
        """Draft rate of the median ramp.

        Parameters
        ----------
        times : ndarray of float64, shape (n_groups,)
            Time of each group in seconds, ascending; not used for rates.

        Returns
        -------
        ndarray of float32, shape (ny, nx)
            Rate in DN/s; NaN where there is none.
        """
        if len(self.groups) == 1:
            return self.groups[0]
        missing = np.where(np.isfinite(self.groups), np.uint8(0), np.uint8(DO_NOT_USE))
        return draft_rate(self.groups, missing, times=times).rate


def valid_groups(exposure: Exposure, integration: int) -> tuple[NDArray[np.uint16], list[int]]:
    """Number of groups of an integration before the first flag or jump in each pixel.

    Parameters
    ----------
    exposure : Exposure
        The exposure.
    integration : int
        Index of the integration.

    Returns
    -------
    lengths : ndarray of uint16, shape (ny, nx)
        Number of ``groups`` before the first flag; PIXELDQ is not considered.
    groups : list of int
        Groups that are not flagged as a whole.
    """
    if exposure.group_dq is None:
        return np.ones(exposure.image_shape, dtype=np.uint16), [0]
    flags = exposure.group_dq[integration]
    numbers = [int(np.count_nonzero((group & FORBIDS) == 0)) for group in flags]
    groups = [g for g, number in enumerate(numbers) if number > 0.1 * max(numbers)]
    valid = np.ones(exposure.image_shape, dtype=bool)
    lengths = np.zeros(exposure.image_shape, dtype=np.uint16)
    for g in groups:
        valid &= (flags[g] & (FORBIDS | JUMPS)) == 0
        lengths += valid
    return lengths, groups


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
        Exposures, or segments of one, of the same shape except for the integrations.
    background : callable
        Given the draft rate of the template (ny, nx) in DN/s, returns a mask that is True
        in the background. If the integrations are not equally bright, their scene is scaled
        before the template is made again.
    n_threads : int, optional
        Threads for the rates.

    Returns
    -------
    Template
        Median of values that are neither flagged nor follow a jump in their integration.
    """
    first = exposures[0]
    template = Template(groups=_medians(exposures, None))
    rate = template.rate(first.times)
    dark = background(rate)
    brightness = Brightness(rate, dark, readout=first.readout)
    if not brightness.is_measurable:
        return template
    scales = [
        brightness.scale(integration_rate(exposure, i, n_threads=n_threads).rate) or 1.0
        for exposure in exposures
        for i in range(exposure.n_integrations)
    ]
    if max(abs(scale - 1) for scale in scales) < UNEQUAL:
        return template
    levels = np.array([_level(group[dark]) for group in template.groups])
    scaled = _Scaled(np.array(scales), levels, ~dark)
    return Template(groups=_medians(exposures, scaled))


def _level(values: Image) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else 0.0


@dataclass(frozen=True)
class _Scaled:
    """Scales (n_integrations,) of the scene (ny, nx) above background levels (n_groups,)."""

    scales: NDArray[np.float64]
    levels: NDArray[np.float64]
    scene: Usable

    def apply(self, values: Image, integration: int, group: int, *, rows: slice) -> None:
        """Scale the scene of an integration to that of the template, in rows, in place.

        The background stays unchanged, because the sky does not vary with the target.
        """
        level, scene = np.float32(self.levels[group]), self.scene[rows]
        np.subtract(values, level, out=values, where=scene)
        with np.errstate(over="ignore"):  # in values that are no measurement
            np.divide(values, np.float32(self.scales[integration]), out=values, where=scene)
        np.add(values, level, out=values, where=scene)


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
        good = np.empty(shape, dtype=bool)
        for k, (exposure, i) in enumerate(integrations):
            good[..., k] = exposure.good_pixels(i, rows)
        for g in range(n_groups):
            values = np.empty(shape, dtype=np.float32)
            valid = good.copy()
            for k, (exposure, i) in enumerate(integrations):
                part = exposure.data[i][g, rows].astype(np.float32)
                if scaled is not None:
                    scaled.apply(part, k, g, rows=rows)
                values[..., k] = part
                if exposure.group_dq is not None:
                    flags = exposure.group_dq[i][g, rows]
                    hit[..., k] |= (flags & JUMPS) != 0
                    valid[..., k] &= ((flags & FORBIDS) == 0) & ~hit[..., k]
            valid &= is_measured(values)
            pixels = (-1, len(integrations))
            medians = row_medians(values.reshape(pixels), valid.reshape(pixels))
            medians[~valid.reshape(pixels).any(axis=1)] = np.nan
            groups[g, rows] = medians.reshape(shape[:2])
    return groups
