"""Noise of a series of integrations, after subtraction of the template of their scene."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from deflicker.detector.measured import is_measured
from deflicker.detector.readout import Readout
from deflicker.noise.fit import DifferenceFit
from deflicker.noise.registry import row_method
from deflicker.options import CleanOptions
from deflicker.ramps.exposure import Exposure
from deflicker.ramps.masks import mask_of_integration
from deflicker.ramps.outputs import fitted_outputs
from deflicker.scene.draft_masks import integration_rate
from deflicker.series.brightness import TINY, Brightness
from deflicker.series.template import Template, valid_groups
from deflicker.series.tuning import SeriesTuning
from deflicker.stats.row_medians import row_medians

if TYPE_CHECKING:
    from deflicker.noise.noise_image import NoiseImage

__all__ = ["Series", "SeriesIntegration"]

log = logging.getLogger(__name__)

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]

MOST_NAMED = 5  # rows or integrations in one line of the log
# Rows that determine which fraction of the noise outputs share: at least 20; 200 determine it to a
# few percent.
FEWEST_ROWS, MOST_ROWS = 20, 200


@dataclass(frozen=True, kw_only=True)
class Series:
    """Integrations of a series, and its template.

    Parameters
    ----------
    exposure : Exposure
        Integrations of the series, whose groups are cleaned one by one
        (``whole_groups``).
    options : CleanOptions
        Options of the fits.
    template : Template
        Median ramp of the series.
    background : ndarray of bool, shape (ny, nx)
        True where the template contains only background.
    mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx)
        Scene mask, True where there is background.
    uses_dim : bool, optional
        Whether rows with few background pixels may be measured in the dimmest pixels of the
        scene.
    tuning : SeriesTuning, optional
        Tuning constants.
    """

    exposure: Exposure
    options: CleanOptions
    template: Template
    background: Usable
    mask: Usable
    uses_dim: bool = True
    tuning: SeriesTuning = field(default_factory=SeriesTuning)

    def integrations(self) -> Iterator["SeriesIntegration"]:
        """Prepare one integration after the other.

        Yields
        ------
        SeriesIntegration
            The integrations in order.
        """
        exposure, n_threads = self.exposure, self.options.n_threads
        brightness = Brightness(
            self.template.rate(exposure.times),
            self.background,
            readout=exposure.readout,
            tuning=self.tuning,
        )
        if not brightness.is_measurable:
            log.warning(
                "Nothing in the series is bright enough to scale its template by: 1 is taken"
            )
        to_detector = exposure.readout.to_detector_copy
        dim = brightness.light <= self.tuning.dim_fraction * maximum_filter(
            brightness.light, int(self.tuning.dim_distance)
        )
        scene = to_detector(~self.background)
        levels = [_median(group[self.background]) for group in self.template.groups]
        unknown, filled = [], np.zeros(len(scene), dtype=bool)
        for number in range(exposure.n_integrations):
            scale: float | None = 1.0
            lengths, groups = valid_groups(exposure, number)
            allowed = to_detector(exposure.good_pixels(number))
            may_be_dim = dim & allowed if self.uses_dim else None
            if brightness.is_measurable:
                rate = integration_rate(exposure, number, n_threads=n_threads).rate
                scale = brightness.scale(rate)
                if scale is None:
                    may_be_dim = None
                    allowed &= ~to_detector(brightness.illuminated)
                    if np.isfinite(rate).any():
                        unknown.append(number + 1)
            background = to_detector(mask_of_integration(self.mask, number))
            background &= allowed
            depth = _Depth.of(
                background,
                to_detector(lengths),
                may_be_dim=may_be_dim,
                outputs=self.outputs,
                n_groups=len(groups),
                fewest=int(self.tuning.fewest_dark),
            )
            if groups and background.any():
                filled |= (depth.rows == 0).any(axis=1) & allowed.any(axis=1)
            yield SeriesIntegration(
                self,
                number,
                scene=_Scene(scene, 1.0 if scale is None else scale, levels),
                depth=depth,
                groups=groups,
            )
        _report_scales(unknown)
        _report_filled(np.flatnonzero(filled), exposure.readout, len(filled))

    @property
    def outputs(self) -> list[slice]:
        """Fast-axis slices that are fitted separately."""
        return fitted_outputs(self.exposure, self.options)

    def fit(self, values: Image, usable: Usable) -> DifferenceFit:
        """Fit the noise of an image without scene, relative to its median level.

        Values are not clipped: without a scene, all deviations are noise, and clipping would
        underestimate it.

        Parameters
        ----------
        values : ndarray of float32, shape (n_slow, n_fast)
            Image without scene; overwritten.
        usable : ndarray of bool, shape (n_slow, n_fast)
            True where a value may be used if it is a measurement.

        Returns
        -------
        DifferenceFit
            Noise, and the number of pixels from which it was measured.
        """
        usable = usable & is_measured(values)
        n_used = int(np.count_nonzero(usable))
        if n_used:
            values -= np.median(values[usable])
        outputs = self.outputs
        method = row_method(self.options)
        if len(outputs) > 1 and not method.within_rows:
            share_rows(values, usable, outputs, fewest=int(self.tuning.fewest_dark))
        noise = method.fit(values, usable, outputs)
        return DifferenceFit(noise=noise, n_used=n_used)


def share_rows(
    values: Image,
    usable: Usable,
    outputs: Sequence[slice],
    *,
    fewest: int = int(SeriesTuning.fewest_dark),
) -> None:
    """Fill rows without usable pixels in one output by means of the other outputs, in place.

    Parameters
    ----------
    values : ndarray of float32, shape (n_slow, n_fast)
        Image without scene and without level; changed.
    usable : ndarray of bool, shape (n_slow, n_fast)
        True where a value may be used; changed.
    outputs : sequence of slice
        Fast-axis slices that are fitted separately.
    fewest : int, optional
        Fewest pixels that determine the level of a row.

    Notes
    -----
    Outputs are read at the same time and share a part of their noise. The fraction is the
    least-squares slope of the row levels of one output against those of all others, measured
    in rows that have pixels in both.
    """
    numbers = np.stack([np.count_nonzero(usable[:, output], axis=1) for output in outputs], axis=1)
    if numbers.all():
        return
    measured = usable.copy()
    for number, output in zip(numbers.T, outputs, strict=True):
        enough = numbers.sum(axis=1) - number >= fewest
        empty = np.flatnonzero((number == 0) & enough)
        both = np.flatnonzero((number >= fewest) & enough)
        if not empty.size or both.size < FEWEST_ROWS:
            continue
        both = both[:: max(1, both.size // MOST_ROWS)]
        others = measured[np.concatenate([empty, both])]
        others[:, output] = False
        levels = row_medians(values[np.concatenate([empty, both])], others)
        x = levels[empty.size :].astype(np.float64)
        y = row_medians(values[both, output], measured[both, output]).astype(np.float64)
        x, y = x - x.mean(), y - y.mean()
        share = min(max(float(x @ y) / max(float(x @ x), TINY), 0.0), 1.0)
        values[empty, output] = np.float32(share) * levels[: empty.size, np.newaxis]
        usable[empty, output] = True


@dataclass(frozen=True)
class _Scene:
    """Pixels of the scene (n_slow, n_fast), its scale, and the background of each group."""

    where: Usable
    scale: float
    levels: Sequence[float]

    def apply(self, image: Image, j: int) -> None:
        """Scale the scene of a group of the template to the integration, in place.

        The background stays unchanged, because the sky does not vary with the target.
        """
        if self.scale == 1.0:
            return
        level = np.float32(self.levels[j] * (1 - self.scale))
        np.multiply(image, np.float32(self.scale), out=image, where=self.where)
        np.add(image, level, out=image, where=self.where)


@dataclass(frozen=True)
class _Depth:
    """Pixels in which the noise of an integration is measured, up to which group.

    Each row of an output uses the same pixels in all of its groups, because the mean of these
    is subtracted first. In most rows, these are the pixels that are valid in all groups. Where
    there are too few, as in columns that saturate, later groups are left out: as few as leaves
    enough pixels.
    """

    usable: Usable  # (n_slow, n_fast)
    rows: NDArray[np.int_]  # (n_slow, n_outputs)
    outputs: Sequence[slice]
    n_groups: int

    @classmethod
    def of(
        cls,
        background: Usable,
        lengths: NDArray[np.uint16],
        *,
        may_be_dim: Usable | None,
        outputs: Sequence[slice],
        n_groups: int,
        fewest: int,
    ) -> "_Depth":
        """Select the pixels of each row of each output.

        ``lengths`` is the number of first groups in which a pixel is valid.
        """
        usable = background & (lengths == n_groups)
        rows = np.full((len(usable), len(outputs)), n_groups)
        for k, output in enumerate(outputs):
            for row in np.flatnonzero(np.count_nonzero(usable[:, output], axis=1) < fewest):
                allowed = background[row, output]
                if may_be_dim is not None and np.count_nonzero(allowed) < fewest:
                    allowed = allowed | may_be_dim[row, output]
                run = lengths[row, output]
                rows[row, k] = _longest(run[allowed], n_groups, fewest)
                usable[row, output] = allowed & (run >= max(rows[row, k], 1))
                if not rows[row, k]:
                    usable[row, output] = False
        return cls(usable, rows, outputs, n_groups)

    def of_group(self, k: int) -> Usable:
        """Pixels in which the noise of the k-th group is measured."""
        short = self.rows <= k
        if not short.any():
            return self.usable
        usable = self.usable.copy()
        for output, rows in zip(self.outputs, short.T, strict=True):
            usable[rows, output] = False
        return usable


def _longest(lengths: NDArray[np.uint16], n_groups: int, fewest: int) -> int:
    """Largest number of first groups in which enough pixels are valid; 0 if useless."""
    numbers = np.bincount(lengths, minlength=n_groups + 1)[::-1].cumsum()[::-1]
    if not numbers[0]:
        return 0
    fewest = max(1, min(fewest, int(numbers[min(2, n_groups)]) // 2))
    longest = int(np.flatnonzero(numbers >= fewest)[-1])
    # The noise of a single group does not affect the slope.
    return longest if longest > 1 or longest == n_groups else 0


class SeriesIntegration:
    """One integration of a series.

    Parameters
    ----------
    series : Series
        The series.
    number : int
        Index of the integration.
    scene : _Scene
        Scene and its brightness.
    depth : _Depth
        Pixels in which the noise is measured.
    groups : sequence of int
        Groups that are not flagged as a whole.

    Notes
    -----
    The noise that all groups of an integration share, such as that of the reset, does not
    affect the slopes. It is fitted once, and subtracted before the groups are fitted.
    """

    def __init__(
        self, series: Series, number: int, *, scene: _Scene, depth: _Depth, groups: Sequence[int]
    ) -> None:
        self.number = number
        self._series, self._scene, self._depth = series, scene, depth
        self._shared: Image | None = None
        self._shared_noise: NoiseImage | None = None
        shared = np.zeros(depth.usable.shape, dtype=np.float32)
        buffer = np.empty_like(shared)
        self._usable: dict[int, Usable] = {}
        total = np.zeros(depth.rows.shape, dtype=np.float32)
        for k, g in enumerate(groups):
            usable = depth.of_group(k)
            residual = self._residual(g, out=buffer)
            # A group that is missing as a whole must not invalidate the mean of the others.
            if is_measured(residual[usable]).any():
                self._usable[g] = usable
                with np.errstate(invalid="ignore", over="ignore"):
                    if usable is depth.usable:
                        shared += residual
                    else:
                        np.add(shared, residual, out=shared, where=usable)
                total += depth.rows > k
        if len(self._usable) > 1:
            for output, number_of_groups in zip(depth.outputs, total.T, strict=True):
                shared[:, output] /= np.maximum(number_of_groups, 1)[:, np.newaxis]
            self._shared = shared
            self._shared_noise = series.fit(shared.copy(), depth.usable).noise

    def fit(self, j: int, buffer: Image) -> DifferenceFit:
        """Fit the noise of one group.

        Parameters
        ----------
        j : int
            Index of the group.
        buffer : ndarray of float32, shape (n_slow, n_fast)
            Work array; overwritten.

        Returns
        -------
        DifferenceFit
            Noise of the group; 0 if the group is flagged as a whole.
        """
        usable = self._usable.get(j)
        values = self._residual(j, out=buffer)
        if usable is None:
            usable = np.zeros_like(self._depth.usable)
        elif self._shared is not None:
            with np.errstate(invalid="ignore", over="ignore"):
                values -= self._shared
        fitted = self._series.fit(values, usable)
        if fitted.n_used == 0:
            return fitted
        noise = fitted.noise
        if self._shared_noise is not None:
            noise = noise + self._shared_noise
        wanted = self._series.options.save_background
        return replace(fitted, noise=noise, background=self._template(j) if wanted else 0.0)

    def _residual(self, j: int, *, out: Image) -> Image:
        """A group after subtraction of the scene."""
        values = self._series.exposure.difference(self.number, j, out=out)
        with np.errstate(invalid="ignore", over="ignore"):
            values -= self._template(j)
        return values

    def _template(self, j: int) -> Image:
        """Template of a group, scaled to the integration, in the detector frame."""
        image = self._series.exposure.readout.to_detector_copy(self._series.template.groups[j])
        self._scene.apply(image, j)
        return image


def _median(values: Image) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else 0.0


def _report_filled(rows: NDArray[np.int_], readout: Readout, n_rows: int) -> None:
    """Log the rows or columns of the science frame that have no background."""
    if not rows.size:
        return
    along_y = abs(readout.fast_axis) == 1
    if readout.slow_axis < 0:
        rows = n_rows - 1 - rows[::-1]
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    named = [f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs]
    log.warning(
        "The scene leaves no background in %d %s (from 0: %s%s), in one output or in all. Noise "
        "cannot be separated from light of the target there, and remains except for the part that "
        "other outputs determine",
        len(rows),
        "rows" if along_y else "columns",
        ", ".join(named[:MOST_NAMED]),
        ", ..." if len(named) > MOST_NAMED else "",
    )


def _report_scales(unknown: list[int]) -> None:
    """Log the integrations whose brightness could not be measured."""
    if unknown:
        log.warning(
            "The brightness of %d integrations cannot be measured: 1 is assumed, and pixels of the "
            "scene are not used there: %s%s",
            len(unknown),
            ", ".join(str(number) for number in unknown[:MOST_NAMED]),
            ", ..." if len(unknown) > MOST_NAMED else "",
        )
