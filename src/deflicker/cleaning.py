"""The recipe: draft rate, scene mask, then the noise of each difference.

It reads as the functional specification of the step; what each word means is in the
modules below.
"""

import logging

import numpy as np
from numpy.typing import NDArray

from deflicker.arrays import CleanResult, Exposure, Output, Ramps
from deflicker.background import no_box_warnings
from deflicker.draft_rate import DraftRate, combine_rates, draft_rate
from deflicker.errors import CannotClean, NothingToClean
from deflicker.groups import clean_groups, fitted_one_by_one, plane_of
from deflicker.levels import fit_levels, report_levels
from deflicker.options import CleanOptions
from deflicker.scene import scene_mask

__all__ = ["check_input", "clean_exposure", "make_mask"]

log = logging.getLogger(__name__)


def clean_exposure(
    exposure: Exposure,
    options: CleanOptions | None = None,
    *,
    flat: NDArray[np.float32] | None = None,
    science: NDArray[np.bool_] | None = None,
    user_mask: NDArray[np.bool_] | None = None,
    out: Ramps | Output | None = None,
) -> CleanResult:
    """Fit and subtract the flicker noise of every difference of an exposure.

    Parameters
    ----------
    exposure : Exposure
        What to clean.
    options : CleanOptions, optional
        How to clean it.
    flat : ndarray of float32, shape (ny, nx), optional
        Flat field, finite and not zero, by which rates and differences are divided
        before the fits; what is fitted is multiplied by it.
    science : ndarray of bool, shape (ny, nx), optional
        True where science regions are to be masked.
    user_mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx), optional
        The scene mask to use, True where a pixel may be used; none is made then.
    out : Ramps or Output, shape of ``exposure.data``, optional
        Where to write the cleaned data; may be ``exposure.data`` itself. A new array
        by default.

    Returns
    -------
    CleanResult
        The cleaned data and what was found on the way.

    Raises
    ------
    NothingToClean
        If the exposure has no difference, or no pixel that may be used.
    CannotClean
        If an option or a mask does not fit the exposure. In both cases ``out`` holds
        what it held, or the data as they came.

    Notes
    -----
    The output is the input minus the running sum of the fitted noise. A difference
    that cannot be fitted has no noise and so leaves no step in the ramp, and a NaN
    stays in its group.

    Examples
    --------
    >>> import numpy as np
    >>> from deflicker import CleanOptions, Exposure, Readout, clean_exposure
    >>> image = np.random.default_rng(1).normal(10, 1, (64, 64)).astype(np.float32)
    >>> image[20] += 5
    >>> exposure = Exposure(
    ...     data=image[np.newaxis, np.newaxis],
    ...     pixel_dq=np.zeros((64, 64), np.uint32),
    ...     group_dq=None,
    ...     readout=Readout(fast_axis=1, slow_axis=2),
    ... )
    >>> cleaned = clean_exposure(exposure, CleanOptions(n_sigma=0)).data
    >>> bool(abs(np.median(cleaned[0, 0, 20]) - 10) < 0.5)
    True
    """
    options = options or CleanOptions()
    check_input(exposure, options, user_mask)
    if user_mask is not None and not any(
        plane_of(user_mask, i)[exposure.good_pixels(i)].any() for i in _integrations(exposure)
    ):
        msg = "user_mask leaves no pixel that PIXELDQ lets use; True (1) means OK to use"
        raise CannotClean(msg)
    _report_ignored(exposure, options)
    turned = None if flat is None else exposure.readout.turned(flat)
    levels = None
    if options.fit_method == "wiener":
        levels = fit_levels(exposure, options, flat=turned, science=science, user_mask=user_mask)
        mask = levels.scene_mask()
    elif user_mask is None:
        mask = make_mask(exposure, options, flat=flat, science=science)
        if not mask.any():
            msg = "no pixel can be used: all are flagged, not finite, zero or outliers"
            raise NothingToClean(msg)
    else:
        mask = user_mask
    log.info(
        "%s: %.1f %% of the pixels see background",
        "Scene mask" if user_mask is None else "User mask",
        100 * mask.mean(),
    )

    shape = exposure.data.shape
    output = _as_output(out)
    make_data = output.make_data
    result = CleanResult(
        data=np.empty(shape, exposure.data.dtype) if make_data is None else make_data(),
        mask=mask,
        background=output.make_zeros(shape) if options.save_background else None,
        noise=output.make_zeros(shape) if options.save_noise else None,
        spectrum=None if levels is None else levels.noise.spectrum,
    )
    if levels is None:
        integrations = fitted_one_by_one(exposure, mask, options=options, flat=turned)
    else:
        integrations, turned = levels.integrations(), None
    with no_box_warnings():
        clean_groups(
            exposure,
            result,
            integrations,
            flat=turned,
            n_threads=options.n_threads if levels is None else levels.n_threads(options),
            advance=output.advance,
        )
    if len(result.lost) == len(result.n_used):
        msg = "no difference has a usable pixel: all are flagged, not finite or masked"
        raise NothingToClean(msg)
    _report(result)
    if levels is not None:
        report_levels(levels, result)
    return result


def _as_output(out: Ramps | Output | None) -> Output:
    if isinstance(out, Output):
        return out
    return Output() if out is None else Output(make_data=lambda: out)


def _integrations(exposure: Exposure) -> range:
    return range(exposure.n_integrations)


def check_input(
    exposure: Exposure, options: CleanOptions, user_mask: NDArray[np.bool_] | None
) -> None:
    """Stop before any work where an option or the mask does not fit the exposure."""
    image = exposure.image_shape
    if 0 in exposure.data.shape:
        msg = f"the exposure holds no data: its shape is {exposure.data.shape}"
        raise NothingToClean(msg)
    if exposure.n_differences < 1:
        msg = "a ramp of one group has no difference; at least two groups are needed"
        raise NothingToClean(msg)
    if options.background_method == "median_image":
        msg = "background_method='median_image' is not available yet; use 'median' or 'model'"
        raise CannotClean(msg)
    box = options.background_box_size
    has_boxes = options.background_method == "model"
    if has_boxes and box is not None and (box[0] > image[0] or box[1] > image[1]):
        msg = f"background_box_size {box} is larger than the image {image} (rows, columns)"
        raise CannotClean(msg)
    shapes = (image, (exposure.n_integrations, *image))
    if user_mask is not None and user_mask.shape not in shapes:
        needed = " or ".join(str(shape) for shape in shapes)
        msg = f"user_mask has shape {user_mask.shape}; this exposure needs {needed}"
        raise CannotClean(msg)


def make_mask(
    exposure: Exposure,
    options: CleanOptions,
    *,
    flat: NDArray[np.float32] | None,
    science: NDArray[np.bool_] | None,
) -> NDArray[np.bool_]:
    """Scene mask of the combined rate, or one for each integration."""

    def mask_of(rate: NDArray[np.float32]) -> NDArray[np.bool_]:
        return scene_mask(
            rate if flat is None else rate / flat,
            n_sigma=options.n_sigma,
            fit_histogram=options.fit_histogram,
            science=science,
            readout=exposure.readout,
        )

    rates = (_rate(exposure, i, n_threads=options.n_threads) for i in _integrations(exposure))
    if options.single_mask:
        return mask_of(combine_rates(rates))
    masks = np.empty((exposure.n_integrations, *exposure.image_shape), dtype=bool)
    for mask, item in zip(masks, rates, strict=True):
        mask[:] = mask_of(item.rate)
    return masks


def _rate(exposure: Exposure, integration: int, *, n_threads: int) -> DraftRate:
    """Rate of one integration, NaN where PIXELDQ forbids the pixel."""
    if exposure.group_dq is None:
        image = exposure.data[integration][0].astype(np.float32)
        drafted = DraftRate(image, np.isfinite(image).astype(np.uint16))
    else:
        drafted = draft_rate(
            exposure.data[integration],
            exposure.group_dq[integration],
            group_time=exposure.group_time,
            n_threads=n_threads,
        )
    bad = ~exposure.good_pixels(integration)
    drafted.rate[bad] = np.nan
    drafted.n_differences[bad] = 0
    return drafted


def _report_ignored(exposure: Exposure, options: CleanOptions) -> None:
    """Name the options that do not apply."""
    if options.fit_method == "wiener":
        _report_ignored_by_wiener(options)
        return
    if options.fit_by_channel and options.fit_method == "fft":
        log.warning("fit_method='fft' fits whole rows: fit_by_channel is ignored")
    elif options.fit_by_channel and exposure.readout.n_outputs == 1:
        log.warning("The detector has one output: fit_by_channel is ignored")
    if options.background_box_size is not None and options.background_method != "model":
        log.warning("Only the model background has boxes: background_box_size is ignored")


def _report_ignored_by_wiener(options: CleanOptions) -> None:
    ignored = {
        "fit_by_channel": options.fit_by_channel,
        "fit_histogram": options.fit_histogram,
        "single_mask": not options.single_mask,
        "background_box_size": options.background_box_size is not None,
    }
    for name, given in ignored.items():
        if given:
            log.warning("fit_method='wiener' does not need it: %s is ignored", name)


def _report(result: CleanResult) -> None:
    """Say what was done, once."""
    number = len(result.n_used)
    log.info(
        "Removed noise from %d of %d differences, rms %.4g, measured on %.1f %% of the pixels",
        number - len(result.lost),
        number,
        result.noise_rms,
        100 * result.used_fraction,
    )
    if result.lost:
        named = "; ".join(f"integration {i + 1}, group {j + 1}" for i, j in result.lost[:5])
        log.warning(
            "%d of %d differences have no usable pixel and keep their noise: %s%s",
            len(result.lost),
            number,
            named,
            "; ..." if len(result.lost) > 5 else "",
        )
    if result.n_model_failed:
        log.warning(
            "background_method='model' could not be fitted to %d of %d differences; "
            "their median was taken",
            result.n_model_failed,
            number,
        )
