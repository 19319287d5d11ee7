"""Brightness of each integration of a series relative to the template."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.readout import Readout
from deflicker.series.tuning import SeriesTuning
from deflicker.stats.constants import MAD_TO_SIGMA, MEDIAN_ERROR
from deflicker.stats.row_medians import row_medians

__all__ = ["TINY", "Brightness"]

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]

TINY = 1e-30
ROUNDS = 10
# A scale outside this range is not that of an integration of this series.
LOWEST, HIGHEST = 0.2, 5.0


class Brightness:
    """Measures the brightness of the scene in each integration relative to the template.

    Parameters
    ----------
    rate : ndarray of float32, shape (ny, nx)
        Draft rate of the template in DN/s.
    background : ndarray of bool, shape (ny, nx)
        True where the template contains only background.
    readout : Readout
        Orientation of the detector, and thus of the stripes.
    tuning : SeriesTuning, optional
        Tuning constants.

    Attributes
    ----------
    illuminated : ndarray of bool, shape (ny, nx)
        Pixels in which the brightness is measured.
    light : ndarray of float32, shape (n_slow, n_fast)
        Rate above the background in DN/s, in the detector frame; 0 where it is unknown.
    """

    def __init__(
        self,
        rate: Image,
        background: Usable,
        *,
        readout: Readout,
        tuning: SeriesTuning | None = None,
    ) -> None:
        self._tuning = tuning or SeriesTuning()
        self._readout = readout
        finite = np.isfinite(rate)
        dark = rate[background & finite]
        level = np.float32(np.median(dark)) if dark.size else np.float32(0)
        sigma = _deviation(dark - level)
        light = rate - level
        with np.errstate(invalid="ignore"):
            bright = light > self._tuning.illuminated_sigma * sigma
        self.illuminated = bright & finite & ~background
        self._rate = readout.to_detector_copy(np.where(finite, rate, np.float32(0)))
        self.light = readout.to_detector_copy(np.where(finite, light, np.float32(0)))
        self._observed = readout.to_detector_copy(self.illuminated)
        self._dark = readout.to_detector_copy(background & finite)

    @property
    def is_measurable(self) -> bool:
        """Whether enough pixels of the scene are bright enough to measure a scale."""
        return int(np.count_nonzero(self._observed)) >= self._tuning.fewest_illuminated

    def scale(self, rate: Image) -> float | None:
        """Brightness of an integration relative to the template.

        Parameters
        ----------
        rate : ndarray of float32, shape (ny, nx)
            Draft rate of the integration in DN/s.

        Returns
        -------
        float or None
            Factor of the scene above the background; None if it cannot be measured.

        Notes
        -----
        Weighted least squares over the illuminated pixels. With weights for photon noise, the
        solution is a ratio of sums of light. Outliers are left out. The levels of the rows are
        measured in the background and subtracted, and their errors are part of the fit.
        """
        in_detector = self._readout.to_detector_copy(rate)
        finite = np.isfinite(in_detector)
        observed = self._observed & finite
        if np.count_nonzero(observed) < self._tuning.fewest_illuminated:
            return None
        levels, errors = self._row_levels(in_detector, self._dark & finite)
        # Both light and values are relative to the background.
        values = in_detector - self._rate + self.light - levels[:, np.newaxis]
        rows, columns = np.nonzero(observed)
        fit = _ScaleFit(
            light=self.light[rows, columns].astype(np.float64),
            values=values[rows, columns].astype(np.float64),
            rows=rows,
            row_variance=errors**2,
            tuning=self._tuning,
        )
        return fit.scale()

    def _row_levels(self, rate: Image, dark: Usable) -> tuple[Image, NDArray[np.float64]]:
        """Levels of the rows relative to the template, and their errors.

        Levels of rows without enough background are interpolated from their neighbours.
        """
        change = np.where(dark, rate - self._rate, np.float32(0))
        levels, sigma = row_medians(change, dark), _deviation(change[dark])
        number = np.count_nonzero(dark, axis=1)
        known = number >= self._tuning.fewest_dark
        if not known.any():
            return np.zeros_like(levels), np.full(len(levels), np.inf)
        rows = np.arange(len(levels))
        scatter = _deviation(levels[known] - np.median(levels[known]))
        errors = np.where(known, MEDIAN_ERROR * sigma / np.sqrt(np.maximum(number, 1)), scatter)
        return np.interp(rows, rows[known], levels[known]).astype(np.float32), errors


@dataclass(frozen=True, kw_only=True)
class _ScaleFit:
    """Least-squares fit of the scale of light (n,) to values (n,), with uncertain row levels.

    The variance of a pixel is proportional to its light; that of the level of a row is known.
    """

    light: NDArray[np.float64]
    values: NDArray[np.float64]
    rows: NDArray[np.intp]
    row_variance: NDArray[np.float64]
    tuning: SeriesTuning

    def scale(self) -> float | None:
        """Scale after clipping of outliers; None if it is implausible or too uncertain."""
        root = np.sqrt(self.light)
        kept = np.ones(len(self.light), dtype=bool)
        scale, error = float(self.values.sum() / self.light.sum()), 0.0
        offsets = np.zeros(len(self.row_variance))
        for _ in range(ROUNDS):
            deviations = (self.values - scale * self.light - offsets[self.rows]) / root
            sigma = _deviation(deviations[kept])
            if not sigma > 0:
                break
            again = np.abs(deviations) <= self.tuning.brightness_outlier * sigma
            if np.count_nonzero(again) < self.tuning.fewest_illuminated:
                break
            kept = again
            scale, error, offsets = self._solve(kept, sigma)
        known = LOWEST < scale < HIGHEST and error < self.tuning.largest_brightness_error
        return scale if known else None

    def _solve(self, kept: Usable, sigma: float) -> tuple[float, float, NDArray[np.float64]]:
        """Scale, its error, and the levels of the rows, which the equations eliminate."""
        rows, light, values = self.rows[kept], self.light[kept], self.values[kept]

        def sums(terms: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.bincount(rows, terms, minlength=len(self.row_variance)) / sigma**2

        ones = np.ones_like(light)
        weights, of_light, of_values = sums(1 / light), sums(ones), sums(values / light)
        share = 1 / np.maximum(weights + 1 / np.maximum(self.row_variance, TINY), TINY)
        power = float(np.sum(sums(light) - share * of_light**2))
        if not power > 0:
            return 0.0, np.inf, np.zeros_like(share)
        scale = float(np.sum(sums(values) - share * of_light * of_values)) / power
        return scale, power**-0.5, share * (of_values - scale * of_light)


def _deviation(values: NDArray[np.floating]) -> float:
    """Standard deviation about zero, from the median deviation; 0 if there are no values."""
    return MAD_TO_SIGMA * float(np.median(np.abs(values))) if values.size else 0.0
