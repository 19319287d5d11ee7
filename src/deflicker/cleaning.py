"""The recipe: draft rate, scene mask, then the noise of each difference.

It reads as the functional specification of the step; what each word means is in the
modules below.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deflicker.arrays import CleanResult, Exposure, Output, Ramps
from deflicker.background import no_box_warnings
from deflicker.drafts import MaskMaker, masks_of_exposure
from deflicker.errors import CannotClean, NothingToClean
from deflicker.groups import Integration, clean_groups, fitted_one_by_one, plane_of
from deflicker.guard import check_unit
from deflicker.levels import Levels, fit_levels, report_levels
from deflicker.median_image import (
    check_template,
    fitted_images,
    series_background,
    series_template,
    uses_template,
)
from deflicker.options import CleanOptions
from deflicker.stable_scene import Series
from deflicker.template import Template

__all__ = ["check_input", "clean_exposure"]

log = logging.getLogger(__name__)

MOST_NAMED = 5  # differences in one line of the log
# Clipping levels in standard deviations: below the first, pixels are chosen by their noise;
# beyond the second, sources are background.
LEAST_SIGMA, MOST_SIGMA = 0.5, 10.0
FEWEST_USED = 0.05  # of all pixels


def clean_exposure(  # noqa: PLR0913 - each tells something else of the scene
    exposure: Exposure,
    options: CleanOptions | None = None,
    *,
    flat: NDArray[np.float32] | None = None,
    science: NDArray[np.bool_] | None = None,
    user_mask: NDArray[np.bool_] | None = None,
    template: Template | None = None,
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
    template : Template, optional
        That of the series of which the exposure is a part, for ``median_image``; made from
        the exposure's own integrations by default.
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
    exposure = fitted_images(exposure, options)
    check_input(exposure, options, user_mask)
    check_unit(exposure)
    if user_mask is not None and not any(
        plane_of(user_mask, i)[exposure.good_pixels(i)].any() for i in _integrations(exposure)
    ):
        msg = "user_mask leaves no pixel that PIXELDQ lets use; True (1) means OK to use"
        raise CannotClean(msg)
    _report_ignored(exposure, options)
    maker = MaskMaker(exposure=exposure, options=options, flat=flat, science=science)
    plan = _plan(maker, user_mask=user_mask, template=template)
    mask, levels = plan.mask, plan.levels
    if not mask.any():
        msg = "no pixel can be used: all are flagged, not finite, zero or outliers"
        raise NothingToClean(msg)
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
    with no_box_warnings():
        clean_groups(
            exposure,
            result,
            plan.integrations,
            flat=plan.flat,
            n_threads=options.n_threads if levels is None else levels.n_threads(options),
            advance=output.advance,
        )
    if len(result.lost) == len(result.n_used):
        msg = "no difference has a usable pixel: all are flagged, not finite or masked"
        raise NothingToClean(msg)
    if len(result.lost) + len(result.dropped) == len(result.n_used):
        msg = "every fit would have made its difference noisier"
        raise NothingToClean(msg)
    _report(result)
    _report_fit_of_few(result, options)
    if levels is not None:
        report_levels(levels, result)
    return result


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What is known before the fits: the mask, and the integrations that know how to fit."""

    mask: NDArray[np.bool_]
    integrations: Iterable[Integration]
    flat: NDArray[np.float32] | None = None  # by which noise is multiplied
    levels: Levels | None = None


def _plan(
    maker: MaskMaker, *, user_mask: NDArray[np.bool_] | None, template: Template | None
) -> _Plan:
    """Make the mask, and what the noise model needs of the whole exposure."""
    exposure, options = maker.exposure, maker.options
    turned = None if maker.flat is None else exposure.readout.turned(maker.flat)
    if options.fit_method == "wiener":
        levels = fit_levels(
            exposure, options, flat=turned, science=maker.science, user_mask=user_mask
        )
        mask = levels.scene_mask()
        return _Plan(mask=mask, integrations=levels.integrations(), levels=levels)
    if uses_template(options):
        template = template or series_template([exposure], maker, user_mask=user_mask)
        check_template(exposure, template)
        background = series_background(template, maker, user_mask=user_mask)
        mask = background if user_mask is None else user_mask
        if user_mask is None and not options.single_mask:
            mask = masks_of_exposure(maker)
        series = Series(
            exposure=exposure,
            options=options,
            template=template,
            background=background,
            mask=mask,
            uses_dim=user_mask is None,
        )
        return _Plan(mask=mask, integrations=series.integrations())
    mask = masks_of_exposure(maker) if user_mask is None else user_mask
    integrations = fitted_one_by_one(exposure, mask, options=options, flat=turned)
    return _Plan(mask=mask, integrations=integrations, flat=turned)


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
    if exposure.n_differences < 1 or (exposure.group_dq is not None and exposure.data.shape[1] < 2):
        msg = "a ramp of one group has no difference; at least two groups are needed"
        raise NothingToClean(msg)
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
        "background_method='median_image'": options.background_method == "median_image",
    }
    for name, given in ignored.items():
        if given:
            log.warning("fit_method='wiener' does not need it: %s is ignored", name)


def _report_fit_of_few(result: CleanResult, options: CleanOptions) -> None:
    """Warn of a clipping level, or a mask, with which the noise cannot be measured well."""
    percent = 100 * result.used_fraction
    if 0 < options.n_sigma < LEAST_SIGMA:
        log.warning(
            "n_sigma=%g chooses pixels by their noise, and little of it can be removed: the noise "
            "was measured on %.2g %% of the pixels; levels of 1.5 to 5 are usual",
            options.n_sigma,
            percent,
        )
    elif options.n_sigma > MOST_SIGMA:
        log.warning(
            "n_sigma=%g masks no source: the noise was measured on %.3g %% of the pixels, whatever "
            "they see; levels of 1.5 to 5 are usual",
            options.n_sigma,
            percent,
        )
    elif result.used_fraction < FEWEST_USED:
        log.warning(
            "The noise was measured on %.2g %% of the pixels only: what is left of it may be much; "
            "the masks, flags and n_sigma=%g leave no more",
            percent,
            options.n_sigma,
        )


def _report(result: CleanResult) -> None:
    """Say what was done, once."""
    number = len(result.n_used)
    log.info(
        "Removed noise from %d of %d differences, rms %.4g, measured on %.1f %% of the pixels",
        number - len(result.lost) - len(result.dropped),
        number,
        result.noise_rms,
        100 * result.used_fraction,
    )
    if result.lost:
        log.warning(
            "%d of %d differences have no usable pixel and keep their noise: %s",
            len(result.lost),
            number,
            _named(result.lost),
        )
    if result.dropped:
        log.warning(
            "%d of %d fits would have made their difference noisier and were dropped: %s",
            len(result.dropped),
            number,
            _named(result.dropped),
        )
    if result.n_model_failed:
        log.warning(
            "background_method='model' could not be fitted to %d of %d differences; "
            "their median was taken",
            result.n_model_failed,
            number,
        )


def _named(places: list[tuple[int, int]]) -> str:
    """Name the first few of some differences by integration and later group."""
    named = "; ".join(f"integration {i + 1}, group {j + 1}" for i, j in places[:MOST_NAMED])
    return named + ("; ..." if len(places) > MOST_NAMED else "")
