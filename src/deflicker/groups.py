"""All differences of an exposure, and its groups without their noise."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deflicker.arrays import CleanResult, Exposure
from deflicker.background import BoxBackground
from deflicker.difference import DifferenceFit, fit_difference_in_place
from deflicker.guard import guarded, guarded_step
from deflicker.noise import RowNoise
from deflicker.options import CleanOptions
from deflicker.readout import STRIP_ROWS
from deflicker.workers import keep_freed_memory, map_in_order

__all__ = [
    "Integration",
    "clean_groups",
    "fitted_one_by_one",
    "fitted_outputs",
    "plane_of",
    "plane_of_most",
]


def plane_of(mask: NDArray[np.bool_], integration: int) -> NDArray[np.bool_]:
    """Scene mask of one integration.

    Parameters
    ----------
    mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx)
        One for all, or one for each.
    integration : int
        Index of the integration.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        A view.
    """
    return mask[integration] if mask.ndim == 3 else mask


def plane_of_most(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels that may be used in most of the integrations that have any.

    Parameters
    ----------
    mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx)
        One for all, or one for each.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        The mask itself where there is one.
    """
    if mask.ndim == 2:
        return mask
    some = mask[mask.any(axis=(1, 2))]
    return np.count_nonzero(some, axis=0) * 2 > len(some)


class Integration(Protocol):
    """One integration, whose differences are fitted on several threads."""

    @property
    def number(self) -> int:
        """Index of the integration."""

    def fit(self, j: int, buffer: NDArray[np.float32], /) -> DifferenceFit:
        """Fit a difference; groups ``j`` and ``j + 1`` must be as they came."""


@dataclass(frozen=True, kw_only=True)
class _Integration:
    """An integration whose differences know nothing of each other."""

    exposure: Exposure
    number: int
    options: CleanOptions
    usable: NDArray[np.bool_]
    flat: NDArray[np.float32] | None

    def fit(self, j: int, buffer: NDArray[np.float32]) -> DifferenceFit:
        """Fit one difference."""
        usable = self.exposure.good_differences(self.number, j)
        if usable is None:
            usable = self.usable.copy()
        else:
            usable &= self.usable

        def difference() -> NDArray[np.float32]:
            self.exposure.difference(self.number, j, out=buffer)
            return buffer if self.flat is None else np.divide(buffer, self.flat, out=buffer)

        return fit_difference_in_place(
            difference,
            usable,
            self.options,
            readout=self.exposure.readout,
            outputs=fitted_outputs(self.exposure, self.options),
        )


def fitted_one_by_one(
    exposure: Exposure,
    mask: NDArray[np.bool_],
    *,
    options: CleanOptions,
    flat: NDArray[np.float32] | None,
) -> Iterator[Integration]:
    """Give the integrations of an exposure, each difference of which is fitted by itself.

    Parameters
    ----------
    exposure : Exposure
        What to clean.
    mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx)
        Scene mask.
    options : CleanOptions
        How to clean it.
    flat : ndarray of float32, shape (n_slow, n_fast), or None
        Flat field in the detector frame.

    Yields
    ------
    Integration
        In order.
    """
    for number in range(exposure.n_integrations):
        usable = plane_of(mask, number) & exposure.good_pixels(number)
        yield _Integration(
            exposure=exposure,
            number=number,
            options=options,
            usable=exposure.readout.turned(usable),
            flat=flat,
        )


def clean_groups(
    exposure: Exposure,
    result: CleanResult,
    integrations: Iterable[Integration],
    *,
    flat: NDArray[np.float32] | None,
    n_threads: int,
    advance: Callable[[], object],
) -> None:
    """Fit all differences and write all groups without their noise.

    Parameters
    ----------
    exposure : Exposure
        What to clean.
    result : CleanResult
        With the scene mask; changed. Its data may be the exposure's memory.
    integrations : iterable of Integration
        All of the exposure, in order; each is taken when its first fit is due.
    flat : ndarray of float32, shape (n_slow, n_fast), or None
        What noise and background are to be multiplied by, in the detector frame.
    n_threads : int
        Threads that fit.
    advance : callable
        Called after each difference.
    """
    writer = _Writer(exposure=exposure, result=result, flat=flat)
    held: tuple[Integration, int] | None = None
    earlier: DifferenceFit | None = None
    for integration, j, found in _fits(integrations, exposure, flat=flat, n_threads=n_threads):
        advance()
        fitted = found
        if exposure.whole_groups:
            if earlier is not None and j:
                fitted = guarded_step(found, earlier, exposure, integration.number, j, flat=flat)
            earlier = fitted
        # The later group of a difference is the earlier one of the next, which must have
        # been fitted before the group is written.
        if held is not None:
            writer.write(*held)
        writer.add(integration, j, fitted)
        del found, fitted  # its noise is in the sum
        held = (integration, j)
        if j == exposure.n_differences - 1:
            writer.write(*held)
            held = None


def _fits(
    integrations: Iterable[Integration],
    exposure: Exposure,
    *,
    flat: NDArray[np.float32] | None,
    n_threads: int,
) -> Iterator[tuple[Integration, int, DifferenceFit]]:
    """Fit all differences of all integrations, and give them in order."""
    keep_freed_memory()
    tasks = ((item, j) for item in integrations for j in range(exposure.n_differences))
    # Made once for each thread: what threads allocate and free, the allocator keeps.
    shape = exposure.readout.to_detector(np.empty(exposure.image_shape, dtype=bool)).shape
    buffers: SimpleQueue[NDArray[np.float32]] = SimpleQueue()
    for _ in range(n_threads):
        buffers.put(np.empty(shape, dtype=np.float32))

    def fit(task: tuple[Integration, int]) -> tuple[Integration, int, DifferenceFit]:
        integration, j = task
        buffer = buffers.get()
        try:
            fitted = integration.fit(j, buffer)
            checked = guarded(fitted, exposure, integration.number, j, flat=flat)
            return integration, j, checked
        finally:
            buffers.put(buffer)

    return map_in_order(fit, tasks, n_threads=n_threads)


class _Writer:
    """Subtracts the running sum of the noise, group after group, and writes into the result."""

    def __init__(
        self, *, exposure: Exposure, result: CleanResult, flat: NDArray[np.float32] | None
    ) -> None:
        self.exposure = exposure
        self.result = result
        self.flat = flat  # in the detector frame
        self.total: RowNoise | None = None

    def add(self, integration: Integration, j: int, fitted: DifferenceFit) -> None:
        """Take a difference's noise into the sum; all that is known of it is noted."""
        self._record(fitted, (integration.number, j + self.exposure.first_cleaned))
        if self.total is None or j == 0 or self.exposure.first_cleaned == 0:
            self.total = fitted.noise
        else:
            self.total = self.total + fitted.noise

    def write(self, integration: Integration, j: int) -> None:
        """Write the later group of a difference, and the first one of the integration."""
        result, first = self.result, self.exposure.first_cleaned
        if self.total is None:
            return
        groups, out = self.exposure.data[integration.number], result.data[integration.number]
        if j == 0:
            out[:first] = groups[:first]
        self._subtract(self.total, groups[j + first], out=out[j + first])
        if result.noise is not None:
            noise = result.noise[integration.number][j + first]  # 0 so far
            self._subtract(self.total, noise, out=noise)

    def _subtract(self, total: RowNoise, group: NDArray, *, out: NDArray) -> None:
        """Write a group without the noise to ``out``, in strips: no image of the noise is made."""
        readout = self.exposure.readout
        group, out = readout.to_detector(group), readout.to_detector(out)
        # Strips of rows of the group's memory, which are columns where the axes are swapped.
        swapped = abs(readout.fast_axis) == 2
        for start in range(0, group.shape[swapped], STRIP_ROWS):
            strip = slice(start, start + STRIP_ROWS)
            part = (slice(None), strip) if swapped else (strip, slice(None))
            noise = total.image(*part)
            if self.flat is not None:
                noise = noise * self.flat[part]
            with np.errstate(invalid="ignore"):  # NaN of a damaged file may signal
                np.subtract(group[part], noise, out=out[part])

    def _record(self, fitted: DifferenceFit, index: tuple[int, int]) -> None:
        """Note what a fit found, and the products that were asked for."""
        result = self.result
        result.n_used.append(fitted.n_used)
        result.n_model_failed += fitted.model_failed
        result.n_not_converged += not fitted.converged
        if fitted.n_used == 0:
            result.lost.append(index)
        elif fitted.dropped:
            result.dropped.append(index)
        else:
            result.noise_power.append(fitted.noise.mean_square())
        if result.background is not None:
            self._save_background(fitted.background, result.background[index[0]][index[1]])

    def _save_background(
        self, background: BoxBackground | NDArray[np.float32] | float, out: NDArray
    ) -> None:
        """Write a background, as it is before the flat field, in the science frame."""
        if isinstance(background, BoxBackground):
            out[:] = background.rows(0, len(out))
        elif isinstance(background, np.ndarray):
            out[:] = self.exposure.readout.to_science(background)
        else:
            out[:] = background
        if self.flat is not None:
            self.exposure.readout.to_detector(out)[:] *= self.flat


def fitted_outputs(exposure: Exposure, options: CleanOptions) -> list[slice]:
    """Fast-axis slices that are fitted on their own.

    Parameters
    ----------
    exposure : Exposure
        Its outputs.
    options : CleanOptions
        Whether each is fitted by itself.

    Returns
    -------
    list of slice
        In the detector frame.
    """
    n_fast = exposure.image_shape[1 if abs(exposure.readout.fast_axis) == 1 else 0]
    if not options.fit_by_channel:
        return [slice(0, n_fast)]
    return exposure.readout.output_slices(n_fast)
