"""One difference: its background, the pixels that may be used, and its noise."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.measured import is_measured
from deflicker.detector.readout import Readout
from deflicker.noise.fit import DifferenceFit
from deflicker.noise.noise_image import NoiseImage
from deflicker.options import CleanOptions
from deflicker.scene.background import BoxBackground, model_background
from deflicker.stats.clipping import ClipLimits, SortedValues, background_limits
from deflicker.stats.row_medians import BLOCK_ROWS, row_stripes

__all__ = ["NoiseModel", "RowModel", "fit_difference_in_place"]

NoiseModel = Callable[..., NoiseImage]


class RowModel(Protocol):
    """What the fit of a difference asks of a noise method."""

    @property
    def fit(self) -> NoiseModel:
        """Noise model: ``fit(values, usable, outputs)``, see `RowMethod`."""

    @property
    def least_clip(self) -> Callable[[tuple[int, ...]], float]:
        """Least clipping level for an image of a given shape, in standard deviations."""


def fit_difference_in_place(
    difference: Callable[[], NDArray[np.float32]],
    usable: NDArray[np.bool_],
    options: CleanOptions,
    *,
    method: RowModel,
    readout: Readout,
    outputs: Sequence[slice],
) -> DifferenceFit:
    """Fit background and noise of one difference.

    Parameters
    ----------
    difference : callable
        Computes the difference each time it is called, possibly in the same memory: a
        C-contiguous array of float32, shape (n_slow, n_fast), in the detector frame, which
        is then changed. Computing it twice is cheaper than keeping it in memory together
        with its sorted values, which are as large.
    usable : ndarray of bool, shape (n_slow, n_fast)
        True where a finite value may be used; overwritten.
    options : CleanOptions
        Background and clipping level.
    method : RowModel
        Noise model.
    readout : Readout
        Conversion to the science frame, in which background boxes are counted.
    outputs : sequence of slice
        Fast-axis slices whose noise is fitted separately.

    Returns
    -------
    DifferenceFit
        In the unit of the difference. Without usable pixels, noise and background are 0.
    """
    values = difference()
    usable &= is_measured(values)
    ordered = SortedValues.of(values, usable, overwrite_image=True)
    del values
    if not len(ordered):
        return DifferenceFit(noise=method.fit(difference(), usable, outputs))
    first, level = None, 0.0
    if options.background_method is not None:
        first, ordered = _clip(ordered)
        level = ordered.median
    model = None
    if options.background_method == "model":
        del ordered
        values = difference()
        background = usable.copy()
        _restrict(background, values, first)
        model = _model(values, background, options, readout)
        _subtract(level if model is None else model, values, readout)
        ordered = SortedValues.of(values, background, overwrite_image=True)
        del values, background
    elif level:
        ordered.values[:] -= np.float32(level)
    n_sigma = options.n_sigma and max(options.n_sigma, method.least_clip(usable.shape))
    second = background_limits(ordered, n_sigma=n_sigma) if n_sigma > 0 else None
    del ordered

    values = difference()
    if second is not None:
        _restrict(usable, values, first)
    _subtract(level if model is None else model, values, readout)
    if second is not None:
        usable = _clip_along_rows(values, usable, second)
    return DifferenceFit(
        noise=method.fit(values, usable, outputs),
        background=level if model is None else model,
        n_used=int(np.count_nonzero(usable)),
        model_failed=options.background_method == "model" and model is None,
    )


def _clip(ordered: SortedValues) -> tuple[ClipLimits | None, SortedValues]:
    """Clipping limits of the background, and the values within; None and all if none is."""
    limits = background_limits(ordered)
    kept = ordered.between(limits.low, limits.high)
    # With zero scatter, the centre may lie between two values, and the limits exclude all.
    return (limits, kept) if len(kept) else (None, ordered)


def _clip_along_rows(
    values: NDArray[np.float32], usable: NDArray[np.bool_], limits: ClipLimits
) -> NDArray[np.bool_]:
    """Drop pixels that are outliers relative to the stripes."""
    clipped = usable.copy()
    _restrict(clipped, values, limits)
    stripes = row_stripes(values, clipped, sigma=limits.sigma)
    clipped[:] = usable
    _restrict(clipped, values, limits, stripes=stripes)
    return clipped if clipped.any() else usable


def _restrict(
    usable: NDArray[np.bool_],
    values: NDArray[np.float32],
    limits: ClipLimits | None,
    *,
    stripes: NDArray[np.float32] | None = None,
) -> None:
    """Drop in place values beyond the limits, relative to stripes (n_slow, 1) if given."""
    if limits is None:
        return
    for start in range(0, len(values), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        with np.errstate(invalid="ignore", over="ignore"):  # in pixels that are not usable
            part = values[rows] if stripes is None else values[rows] - stripes[rows]
            usable[rows] &= limits.accept(part)


def _subtract(
    background: BoxBackground | float, values: NDArray[np.float32], readout: Readout
) -> None:
    """Subtract a background in place."""
    with np.errstate(invalid="ignore", over="ignore"):  # NaNs of a damaged file may be signalling
        if isinstance(background, BoxBackground):
            background.subtract_from(readout.to_science(values))
        elif background:
            values -= np.float32(background)


def _model(
    values: NDArray[np.float32],
    usable: NDArray[np.bool_],
    options: CleanOptions,
    readout: Readout,
) -> BoxBackground | None:
    """Background model; None if it fails."""
    try:
        return model_background(
            readout.to_science(values),
            readout.to_science(usable),
            box_size=options.background_box_size,
        )
    except ValueError:
        return None
