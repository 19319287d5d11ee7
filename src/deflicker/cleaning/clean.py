"""The recipe: draft rate, scene mask, then the noise of each difference.

It reads like the functional specification of the step; the modules below define the details.
"""

import logging

import numpy as np
from numpy.typing import NDArray

from deflicker.cleaning.automatic import choose_method
from deflicker.cleaning.backgrounds import fitted_images, plan_of
from deflicker.cleaning.groups import clean_groups
from deflicker.cleaning.guard import check_unit
from deflicker.cleaning.report import report_result
from deflicker.cleaning.result import CleanResult
from deflicker.errors import CannotClean, NothingToClean
from deflicker.noise.method import Job, Plan
from deflicker.noise.registry import METHODS
from deflicker.options import CleanOptions
from deflicker.ramps.exposure import Exposure, Output, Ramps
from deflicker.ramps.masks import mask_of_integration
from deflicker.scene.background import no_box_warnings
from deflicker.scene.draft_masks import MaskMaker
from deflicker.scene.known_light import KnownLight
from deflicker.series.template import Template

__all__ = ["check_input", "clean_exposure"]

log = logging.getLogger(__name__)


def clean_exposure(  # noqa: PLR0913 - each is a different input
    exposure: Exposure,
    options: CleanOptions | None = None,
    *,
    flat: NDArray[np.float32] | None = None,
    science: NDArray[np.bool_] | None = None,
    user_mask: NDArray[np.bool_] | None = None,
    template: Template | None = None,
    known: KnownLight | None = None,
    out: Ramps | Output | None = None,
    tuning: object | None = None,
) -> CleanResult:
    """Fit and subtract the flicker noise of every difference of an exposure.

    Parameters
    ----------
    exposure : Exposure
        Exposure to clean.
    options : CleanOptions, optional
        Options of the cleaning.
    flat : ndarray of float32, shape (ny, nx), optional
        Flat field, finite and not zero, by which rates and differences are divided
        before the fits; the fitted noise and background are multiplied by it.
    science : ndarray of bool, shape (ny, nx), optional
        True where science regions are to be masked.
    user_mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx), optional
        Scene mask to use, True where a pixel may be used; made from the data if None.
    template : Template, optional
        Template of the series to which the exposure belongs, for ``median_image``; made from
        the integrations of the exposure by default.
    known : KnownLight, optional
        Light that other exposures of the field show, in DN/s. The noise is fitted to what is left
        without it; it stays in the cleaned data.
    out : Ramps or Output, shape of ``exposure.data``, optional
        Destination of the cleaned data; may be ``exposure.data`` itself. A new array
        by default.
    tuning : WienerTuning, NscleanTuning, ShrinkageTuning or SeriesTuning, optional
        Tuning constants of a noise method, or of the background of a series, that replace
        the default ones; see ``python -m benchmarks.tuning``. It has no effect where another
        method is used; with ``median_image`` only SeriesTuning has one.

    Returns
    -------
    CleanResult
        The cleaned data and the results of the fits.

    Raises
    ------
    NothingToClean
        If the exposure has no difference, or no pixel that may be used.
    CannotClean
        If an option or a mask does not fit the exposure. In both cases, ``out`` is unchanged
        or contains the input data.

    Notes
    -----
    The output is the input minus the running sum of the fitted noise. The noise of a
    difference that cannot be fitted is set to 0, so that no step arises in the ramp. A NaN
    affects only its own group.

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
    options = choose_method(options or CleanOptions())
    exposure = fitted_images(exposure, options)
    check_input(exposure, options, user_mask)
    check_unit(exposure)
    method = METHODS[options.fit_method]
    for warning in method.ignored(options, exposure.readout):
        log.warning(warning)
    maker = MaskMaker(exposure=exposure, options=options, flat=flat, science=science, known=known)
    plan = plan_of(Job(maker=maker, user_mask=user_mask, tuning=tuning), template)
    _report_mask(plan.mask, is_given=user_mask is not None)

    output = _as_output(out)
    result = _empty_result(exposure, plan, options, output)
    with no_box_warnings():
        clean_groups(exposure, result, plan, advance=output.advance)
    _check_result(result)
    report_result(result, n_sigma=plan.n_sigma)
    result.removed = plan.report(result.noise_rms)
    return result


def _report_mask(mask: NDArray[np.bool_], *, is_given: bool) -> None:
    """Log the fraction of background pixels; raise if there are none."""
    if not mask.any():
        msg = "no pixel can be used: all are flagged, not finite, zero or outliers"
        raise NothingToClean(msg)
    log.info(
        "%s: %.1f %% of the pixels see background",
        "User mask" if is_given else "Scene mask",
        100 * mask.mean(),
    )


def _empty_result(
    exposure: Exposure, plan: Plan, options: CleanOptions, output: Output
) -> CleanResult:
    """Make the arrays for the results."""
    shape, make_data = exposure.data.shape, output.make_data
    return CleanResult(
        data=np.empty(shape, exposure.data.dtype) if make_data is None else make_data(),
        mask=plan.mask,
        background=output.make_zeros(shape) if options.save_background else None,
        noise=output.make_zeros(shape) if options.save_noise else None,
        shared=[] if plan.shared is None else [plan.shared],
        spectrum=plan.spectrum,
    )


def _check_result(result: CleanResult) -> None:
    """Raise if no difference was cleaned."""
    if len(result.lost) == len(result.n_used):
        msg = "no difference has a usable pixel: all are flagged, not finite or masked"
        raise NothingToClean(msg)
    if len(result.lost) + len(result.dropped) == len(result.n_used):
        msg = "every fit would have made its difference noisier"
        raise NothingToClean(msg)


def _as_output(out: Ramps | Output | None) -> Output:
    if isinstance(out, Output):
        return out
    return Output() if out is None else Output(make_data=lambda: out)


def check_input(
    exposure: Exposure, options: CleanOptions, user_mask: NDArray[np.bool_] | None
) -> None:
    """Raise before any work if an option or the mask does not fit the exposure."""
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
    if user_mask is not None and not _leaves_pixels(exposure, user_mask):
        msg = "user_mask leaves no pixel that PIXELDQ lets use; True (1) means OK to use"
        raise CannotClean(msg)


def _leaves_pixels(exposure: Exposure, mask: NDArray[np.bool_]) -> bool:
    return any(
        mask_of_integration(mask, number)[exposure.good_pixels(number)].any()
        for number in range(exposure.n_integrations)
    )
