"""Fits of all differences of an exposure, and subtraction of the noise from its groups."""

from collections.abc import Callable, Iterator
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from deflicker.cleaning.guard import guarded, guarded_step
from deflicker.cleaning.light_guard import guard_light
from deflicker.cleaning.result import CleanResult
from deflicker.detector.readout import STRIP_ROWS
from deflicker.noise.fit import DifferenceFit
from deflicker.noise.method import Integration, Plan
from deflicker.noise.noise_image import NoiseImage
from deflicker.ramps.exposure import Exposure
from deflicker.scene.background import BoxBackground
from deflicker.utils.threads import keep_freed_memory, map_in_order

__all__ = ["clean_groups"]


def clean_groups(
    exposure: Exposure,
    result: CleanResult,
    plan: Plan,
    *,
    advance: Callable[[], object],
) -> None:
    """Fit all differences, subtract their noise from the groups, and write these.

    Parameters
    ----------
    exposure : Exposure
        Exposure to clean.
    result : CleanResult
        Result, which is filled; its data may be the array of the exposure.
    plan : Plan
        Plan of the fits; each integration is prepared when its first fit is due.
    advance : callable
        Called after each difference.
    """
    flat = plan.flat
    writer = _Writer(exposure=exposure, result=result, flat=flat)
    held: tuple[Integration, int] | None = None
    earlier: DifferenceFit | None = None
    fits = _fits(plan, exposure)
    if plan.may_share_light and not exposure.whole_groups:
        fits = guard_light(
            fits,
            exposure.steps,
            n_integrations=exposure.n_integrations,
            share_reads=exposure.group_dq is not None,
            record=result.shared.append,
        )
    for integration, j, found in fits:
        advance()
        fitted = found
        if plan.may_share_light:
            fitted = guarded(found, exposure, integration.number, j, flat=flat, without_light=True)
        if exposure.whole_groups:
            if earlier is not None and j:
                fitted = guarded_step(found, earlier, exposure, integration.number, j, flat=flat)
            earlier = fitted
        # The later group of a difference is also the earlier group of the next one, which must
        # be fitted before the group is overwritten.
        if held is not None:
            writer.write(*held)
        writer.add(integration, j, fitted)
        del found, fitted  # its noise is in the sum
        held = (integration, j)
        if j == exposure.n_differences - 1:
            writer.write(*held)
            held = None


def _fits(plan: Plan, exposure: Exposure) -> Iterator[tuple[Integration, int, DifferenceFit]]:
    """Fit all differences of all integrations, and return them in order."""
    keep_freed_memory()
    tasks = ((item, j) for item in plan.integrations for j in range(exposure.n_differences))
    # One buffer per thread, because the allocator keeps memory that threads allocate and free.
    shape = exposure.readout.to_detector(np.empty(exposure.image_shape, dtype=bool)).shape
    buffers: SimpleQueue[NDArray[np.float32]] = SimpleQueue()
    for _ in range(plan.n_threads):
        buffers.put(np.empty(shape, dtype=np.float32))

    def fit(task: tuple[Integration, int]) -> tuple[Integration, int, DifferenceFit]:
        integration, j = task
        buffer = buffers.get()
        try:
            fitted = integration.fit(j, buffer)
            # What the fits share must be returned to the light first.
            if not plan.may_share_light:
                fitted = guarded(
                    fitted,
                    exposure,
                    integration.number,
                    j,
                    flat=plan.flat,
                    without_light=plan.without_light,
                )
            return integration, j, fitted
        finally:
            buffers.put(buffer)

    return map_in_order(fit, tasks, n_threads=plan.n_threads)


class _Writer:
    """Subtracts the running sum of the noise from the groups, and fills the result."""

    def __init__(
        self, *, exposure: Exposure, result: CleanResult, flat: NDArray[np.float32] | None
    ) -> None:
        self.exposure = exposure
        self.result = result
        self.flat = flat  # in the detector frame
        self.total: NoiseImage | None = None

    def add(self, integration: Integration, j: int, fitted: DifferenceFit) -> None:
        """Add the noise of a difference to the sum, and record the results of the fit."""
        self._record(fitted, (integration.number, j + self.exposure.first_cleaned))
        if self.total is None or j == 0 or self.exposure.first_cleaned == 0:
            self.total = fitted.noise
        else:
            self.total = self.total + fitted.noise

    def write(self, integration: Integration, j: int) -> None:
        """Write the later group of a difference, and the first group of an integration."""
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

    def _subtract(self, total: NoiseImage, group: NDArray, *, out: NDArray) -> None:
        """Write a group minus the noise to ``out``, in strips to save an image of the noise."""
        readout = self.exposure.readout
        group, out = readout.to_detector(group), readout.to_detector(out)
        # Strips of contiguous rows in memory, which are columns if the axes are swapped.
        swapped = abs(readout.fast_axis) == 2
        for start in range(0, group.shape[swapped], STRIP_ROWS):
            strip = slice(start, start + STRIP_ROWS)
            part = (slice(None), strip) if swapped else (strip, slice(None))
            noise = total.image(*part)
            if self.flat is not None:
                noise = noise * self.flat[part]
            with np.errstate(invalid="ignore"):  # NaNs of a damaged file may be signalling
                np.subtract(group[part], noise, out=out[part])

    def _record(self, fitted: DifferenceFit, index: tuple[int, int]) -> None:
        """Record the results of a fit, and the products that were requested."""
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
        """Write a background in the science frame, multiplied by the flat field."""
        if isinstance(background, BoxBackground):
            out[:] = background.rows(0, len(out))
        elif isinstance(background, np.ndarray):
            out[:] = self.exposure.readout.to_science(background)
        else:
            out[:] = background
        if self.flat is not None:
            self.exposure.readout.to_detector(out)[:] *= self.flat
