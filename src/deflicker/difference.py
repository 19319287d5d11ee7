"""One difference: its background, the pixels that may be used, and its noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deflicker.background import model_background
from deflicker.noise import NOISE_MODELS, RowNoise
from deflicker.noise.fourier import FULL_FRAME
from deflicker.noise.median import BLOCK_ROWS, row_stripes
from deflicker.options import CleanOptions
from deflicker.readout import Readout
from deflicker.scene.clipping import ClipLimits, SortedValues, background_limits

__all__ = ["DifferenceFit", "fit_difference_in_place"]

WINDOW_CLIP = 3.0


@dataclass(frozen=True, kw_only=True)
class DifferenceFit:
    """Noise of one difference and what it was measured from.

    Parameters
    ----------
    noise : RowNoise
        Noise in the detector frame, finite everywhere.
    background : ndarray of float32 or float
        Background in the detector frame.
    n_used : int
        Number of pixels behind the noise.
    model_failed : bool, optional
        Whether the ``model`` background could not be made and the median was taken.
    """

    noise: RowNoise
    background: NDArray[np.float32] | float
    n_used: int
    model_failed: bool = False


def fit_difference_in_place(
    values: NDArray[np.float32],
    usable: NDArray[np.bool_],
    options: CleanOptions,
    *,
    readout: Readout,
    outputs: Sequence[slice],
) -> DifferenceFit:
    """Fit background and noise of one difference.

    Parameters
    ----------
    values : ndarray of float32, shape (n_slow, n_fast)
        The difference in the detector frame; its background is subtracted from it.
    usable : ndarray of bool, shape (n_slow, n_fast)
        True where a value may be used; finite there.
    options : CleanOptions
        Noise model, background and clipping level.
    readout : Readout
        Way back to the science frame, in which background boxes are counted.
    outputs : sequence of slice
        Fast-axis slices whose noise is fitted on their own.

    Returns
    -------
    DifferenceFit
        In the unit of ``values``. Without usable pixel noise and background are 0.
    """
    noise_model = NOISE_MODELS[options.fit_method]
    ordered = SortedValues.of(values, usable)
    if not len(ordered):
        nothing = noise_model(values, np.zeros_like(usable), outputs)
        return DifferenceFit(noise=nothing, background=0.0, n_used=0)
    background = usable
    if options.background_method is not None:
        ordered, background = _clip(values, usable, ordered)

    model = _model(values, background, options, readout)
    level = ordered.median if options.background_method and model is None else 0.0
    if model is not None:
        values -= model
        ordered = SortedValues.of(values, background)
    elif level:
        values -= np.float32(level)
        ordered.values[:] -= np.float32(level)
    n_sigma = _second_clip(options, values.shape)
    limits = background_limits(ordered, n_sigma=n_sigma) if n_sigma > 0 else None
    del ordered  # as large as the image
    if limits is not None:
        usable = _clip_along_rows(values, background, limits)
    return DifferenceFit(
        noise=noise_model(values, usable, outputs),
        background=level if model is None else model,
        n_used=int(np.count_nonzero(usable)),
        model_failed=options.background_method == "model" and model is None,
    )


def _second_clip(options: CleanOptions, shape: tuple[int, ...]) -> float:
    """Clipping level of the noise pixels; wider for windows, which reject outliers too.

    The noise of a rate is that of the last read minus that of the first. Errors of the
    differences between cancel as the noise does, if all are fitted to the same pixels:
    what one difference drops and the next keeps adds noise to the rate.
    """
    windows = options.fit_method == "fft" and shape != FULL_FRAME
    return max(options.n_sigma, WINDOW_CLIP) if windows and options.n_sigma else options.n_sigma


def _clip(
    values: NDArray[np.float32], usable: NDArray[np.bool_], ordered: SortedValues
) -> tuple[SortedValues, NDArray[np.bool_]]:
    """Drop what is not background from the sorted values and the usable pixels."""
    limits = background_limits(ordered)
    kept = ordered.between(limits.low, limits.high)
    # Without scatter (sigma 0) the centre may lie between the values and drop them all.
    return (kept, _accepted(values, usable, limits)) if len(kept) else (ordered, usable)


def _clip_along_rows(
    values: NDArray[np.float32], usable: NDArray[np.bool_], limits: ClipLimits
) -> NDArray[np.bool_]:
    """Drop outliers about the stripes."""
    central = _accepted(values, usable, limits)
    stripes = row_stripes(values, central, sigma=limits.sigma)
    clipped = _accepted(values, usable, limits, stripes=stripes)
    return clipped if clipped.any() else usable


def _accepted(
    values: NDArray[np.float32],
    usable: NDArray[np.bool_],
    limits: ClipLimits,
    *,
    stripes: NDArray[np.float32] | None = None,
) -> NDArray[np.bool_]:
    """Usable pixels within the limits, about stripes (n_slow, 1) if there are any."""
    accepted = np.empty_like(usable)
    for start in range(0, len(values), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        part = values[rows] if stripes is None else values[rows] - stripes[rows]
        np.logical_and(usable[rows], limits.accept(part), out=accepted[rows])
    return accepted


def _model(
    values: NDArray[np.float32],
    usable: NDArray[np.bool_],
    options: CleanOptions,
    readout: Readout,
) -> NDArray[np.float32] | None:
    """Background model in the detector frame; None if it is not wanted or fails."""
    if options.background_method != "model":
        return None
    try:
        background = model_background(
            readout.to_science(values),
            readout.to_science(usable),
            box_size=options.background_box_size,
        )
    except ValueError:
        return None
    return readout.to_detector(background)
