"""Trial fits of an exposure with each choice of options.

Noise is independent in each read and light is constant, so that fits of a few differences
separate the two.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import islice, product

import numpy as np
from numpy.typing import NDArray

from deflicker.autoparam.pixel_pairs import FlatMatch, match_flat, read_variance
from deflicker.autoparam.row_levels import RowStatistics, output_offsets, row_statistics
from deflicker.detector.measured import is_measured
from deflicker.noise.registry import row_method
from deflicker.noise.rowwise.one_by_one import fitted_one_by_one
from deflicker.options import CleanOptions
from deflicker.ramps.exposure import Exposure
from deflicker.ramps.masks import mask_of_integration
from deflicker.scene.background import no_box_warnings
from deflicker.scene.draft_masks import MaskMaker, masks_of_exposure
from deflicker.utils.threads import map_in_order

__all__ = ["SceneStatistics", "Setting", "measure_scene"]

MOST_DIFFERENCES = 24  # enough to separate light from noise
SAMPLED_ROWS = 128

Setting = tuple[str | None, bool]  # background method, whether outputs are fitted separately


@dataclass(frozen=True, kw_only=True)
class SceneStatistics:
    """Measurements of an exposure, on which the choice is based.

    Parameters
    ----------
    masked_fraction : float
        Fraction of the pixels that the scene mask excludes.
    rows : mapping of tuple to RowStatistics
        Variances of the fitted levels, for each background method and for outputs together
        (False) or separate (True), in the squared unit of the data.
    offsets : tuple of float
        Offset of each output in the mean difference, in the unit of the data.
    flat : FlatMatch or None
        Match of the flat field; None without one.
    """

    masked_fraction: float
    rows: Mapping[Setting, RowStatistics]
    offsets: tuple[float, ...] = ()
    flat: FlatMatch | None = None


def measure_scene(
    exposure: Exposure,
    options: CleanOptions,
    *,
    settings: Collection[Setting],
    flat: NDArray[np.float32] | None = None,
    must_divide: bool = False,
    user_mask: NDArray[np.bool_] | None = None,
) -> SceneStatistics:
    """Measure the statistics for the choice in the first differences.

    Parameters
    ----------
    exposure : Exposure
        Exposure to be cleaned.
    options : CleanOptions
        Options that are not open to choice.
    settings : collection of tuple
        Candidates: background method, and outputs together (False) or separate (True).
    flat : ndarray of float32, shape (ny, nx), optional
        Flat field.
    must_divide : bool, optional
        Divide by the flat field even if it does not match.
    user_mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx), optional
        Scene mask of the user.

    Returns
    -------
    SceneStatistics
        Statistics of the exposure, divided by the flat field if that matches.
    """
    mask = _mask(exposure, options, None, user_mask)
    match = flat_in_detector = None
    sample, indices = _sample(exposure, mask)
    if flat is not None:
        flat_in_detector = exposure.readout.to_detector_copy(flat)
        divided = _mask(exposure, options, flat, user_mask)
        # Both masks are combined, because each excludes outliers of its own image only.
        sample, indices = _sample(exposure, mask | divided)
        part = flat_in_detector[:: _row_step(len(flat_in_detector))]
        match = match_flat(sample.mean(axis=0), part)
        if match.fits or must_divide:
            mask, sample = divided, sample / part
        else:
            flat_in_detector = None
    trial = _Trial(exposure=exposure, mask=mask, flat=flat_in_detector, indices=indices)
    outputs = exposure.readout.output_slices(sample.shape[-1])
    offsets = output_offsets(sample.mean(axis=0), outputs)
    return SceneStatistics(
        masked_fraction=1 - float(mask.mean()),
        rows=trial.rows(
            options,
            settings,
            offsets=offsets,
            pixel_error=read_variance(sample, n_integrations=trial.n_integrations),
        ),
        offsets=tuple(offsets.tolist()),
        flat=match,
    )


def _mask(
    exposure: Exposure,
    options: CleanOptions,
    flat: NDArray[np.float32] | None,
    user_mask: NDArray[np.bool_] | None,
) -> NDArray[np.bool_]:
    if user_mask is not None:
        return user_mask
    options = replace(options, single_mask=True)
    return masks_of_exposure(MaskMaker(exposure=exposure, options=options, flat=flat))


def _row_step(n_rows: int) -> int:
    return max(1, n_rows // SAMPLED_ROWS)


def _sample(
    exposure: Exposure, mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], list[tuple[int, int]]]:
    """Some rows of the first differences, NaN where unusable, and indices of these."""
    every = product(range(exposure.n_integrations), range(exposure.n_differences))
    rows: list[NDArray[np.float32]] = []
    indices: list[tuple[int, int]] = []
    for i, j in islice(every, MOST_DIFFERENCES):
        difference = exposure.difference(i, j)
        sampled = slice(None, None, _row_step(len(difference)))
        usable = is_measured(difference[sampled])
        upright = mask_of_integration(mask, i) & exposure.good_pixels(i)
        usable &= exposure.readout.to_detector(upright)[sampled]
        good = exposure.good_differences(i, j)
        if good is not None:
            usable &= good[sampled]
        if usable.any() or not rows:
            rows.append(np.where(usable, difference[sampled], np.float32(np.nan)))
            indices.append((i, j))
    return np.stack(rows), indices


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """Trial fits of some differences."""

    exposure: Exposure
    mask: NDArray[np.bool_]
    flat: NDArray[np.float32] | None
    indices: list[tuple[int, int]]

    @property
    def n_integrations(self) -> int:
        """Number of integrations from which the differences are taken."""
        return len({integration for integration, _ in self.indices})

    def rows(
        self,
        options: CleanOptions,
        settings: Collection[Setting],
        *,
        offsets: NDArray[np.float64],
        pixel_error: float,
    ) -> dict[Setting, RowStatistics]:
        """Statistics of each setting; the fits by output are also used for outputs together."""
        apart = self._numbers()
        together = apart.sum(axis=1, keepdims=True)
        found: dict[Setting, RowStatistics] = {}
        fits: dict[str | None, NDArray[np.float64]] = {}
        for method, by_channel in settings:
            if method not in fits:
                fits[method] = self._levels(options, method)
            levels = fits[method]
            if not by_channel:
                # The median of a row is nearly the mean of the medians of its outputs, weighted by
                # their numbers of pixels.
                per_output = levels - levels.mean(axis=1, keepdims=True)
                levels = (per_output * apart).sum(axis=2, keepdims=True) / np.maximum(together, 1)
            found[method, by_channel] = row_statistics(
                levels,
                apart if by_channel else together,
                n_integrations=self.n_integrations,
                pixel_error=pixel_error,
                offsets=offsets,
                noise_scale=self._noise_scale(),
            )
        return found

    def _noise_scale(self) -> float:
        """Variance of the noise in the rate of all differences, relative to the rate of these."""
        number = self.exposure.n_integrations * self.exposure.n_differences
        if number <= MOST_DIFFERENCES:
            return 1.0
        number -= MOST_DIFFERENCES - len(self.indices)
        every = self.exposure.n_integrations / number**2
        return every * len(self.indices) ** 2 / self.n_integrations

    def _numbers(self) -> NDArray[np.int_]:
        """Number of usable pixels in each row of each output."""
        first = self.indices[0][0]
        upright = mask_of_integration(self.mask, first) & self.exposure.good_pixels(first)
        usable = self.exposure.readout.to_detector(upright)
        outputs = self.exposure.readout.output_slices(usable.shape[1])
        return np.stack([np.count_nonzero(usable[:, each], axis=1) for each in outputs], axis=1)

    def _levels(self, options: CleanOptions, method: str | None) -> NDArray[np.float64]:
        """Levels (n_differences, n_rows, n_outputs) of all rows by output."""
        every = fitted_one_by_one(
            self.exposure,
            self.mask,
            options=replace(options, background_method=method, fit_by_channel=True),
            method=row_method(options),
            flat=self.flat,
        )
        integrations = list(islice(every, self.indices[-1][0] + 1))
        shape = self.exposure.readout.to_detector(self.mask).shape[-2:]

        def fit(index: tuple[int, int]) -> NDArray[np.float32]:
            buffer = np.empty(shape, dtype=np.float32)
            return integrations[index[0]].fit(index[1], buffer).noise.coefficients

        with no_box_warnings():
            found = list(map_in_order(fit, self.indices, n_threads=options.n_threads))
        return np.stack(found).astype(np.float64)
