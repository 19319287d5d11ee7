"""Options chosen from the data: background, outputs separate or together, flat field."""

import logging
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deflicker.autoparam.trial_fits import SceneStatistics, Setting, measure_scene
from deflicker.cleaning.backgrounds import BACKGROUNDS
from deflicker.cleaning.clean import check_input
from deflicker.noise.registry import METHODS
from deflicker.options import CleanOptions
from deflicker.ramps.exposure import Exposure

__all__ = ["Choice", "choose_options", "may_choose", "resolve_options"]

log = logging.getLogger(__name__)

# Backgrounds of single differences, of which one must be subtracted.
CHOICES = tuple(name for name, one in BACKGROUNDS.items() if name and not one.of_series)
NAMES = ("background_method", "fit_by_channel", "apply_flat_field")
DEFAULTS = CleanOptions()
# Relative excess of variance over the best choice up to which an earlier choice, such as the
# defaults, is preferred.
LEAST_GAIN = 0.1
EXPOSURE_TYPES = ("NRC_IMAGE", "NIS_IMAGE")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Options that suit an exposure.

    Parameters
    ----------
    background_method : str or None
        As in `CleanOptions`.
    fit_by_channel : bool
        As in `CleanOptions`.
    apply_flat_field : bool
        Whether to divide by the flat field before fits.
    expected : mapping of tuple to float
        For each background method, and outputs together or separate: rms in the mean
        difference of the light that is taken for noise and of the row noise that remains.
    """

    background_method: str | None
    fit_by_channel: bool
    apply_flat_field: bool = False
    expected: Mapping[Setting, float]


def may_choose(options: CleanOptions, *, exp_type: str) -> bool:
    """Whether there is something to choose; log a warning if there is not.

    Parameters
    ----------
    options : CleanOptions
        Options of the user.
    exp_type : str
        ``meta.exposure.type``.

    Returns
    -------
    bool
        True for median noise of NIRCam and NIRISS images.
    """
    kind = exp_type.upper()
    if kind not in EXPOSURE_TYPES:
        log.warning(
            "autoparam is for %s, not %s: it is ignored", " and ".join(EXPOSURE_TYPES), kind
        )
    elif not METHODS[options.fit_method].suits_choice:
        log.warning("fit_method=%r does not need it: autoparam is ignored", options.fit_method)
    elif BACKGROUNDS[options.background_method].of_series:
        log.warning(
            "background_method=%r does not need it: autoparam is ignored", options.background_method
        )
    else:
        return True
    return False


def choose_options(statistics: SceneStatistics) -> Choice:
    """Choose the setting with the least sum of light removed, noise missed and error added.

    Parameters
    ----------
    statistics : SceneStatistics
        Statistics of the trial fits.

    Returns
    -------
    Choice
        The first setting, in the order of the statistics, with at most 10 % more variance than
        the best one: smaller differences are not significant enough to leave the defaults.

    Notes
    -----
    The levels of a fit have the variance ``noise + light``, and ``error`` is the part of
    ``noise`` due to their measurement errors. The residual is the sum of the light that is
    removed, the error that is added, and the noise that is missed,
    ``noise_all - (noise - error)``.

    Examples
    --------
    >>> from deflicker.autoparam.choice import choose_options
    >>> from deflicker.autoparam.row_levels import RowStatistics
    >>> from deflicker.autoparam.trial_fits import SceneStatistics
    >>> median = RowStatistics(light=4.0, noise=1.0, error=0.01)  # a gradient of the sky
    >>> model = RowStatistics(light=0.1, noise=0.7, error=0.01)
    >>> rows = {("median", False): median, ("model", False): model}
    >>> choose_options(SceneStatistics(masked_fraction=0.1, rows=rows)).background_method
    'model'
    """
    rows = statistics.rows
    all_noise = max(each.noise - each.error for each in rows.values())
    residual = {
        setting: each.light + each.error + (all_noise - (each.noise - each.error)) + each.outputs
        for setting, each in rows.items()
    }
    enough = (1 + LEAST_GAIN) * min(residual.values())
    method, by_channel = next(setting for setting, each in residual.items() if each <= enough)
    return Choice(
        background_method=method,
        fit_by_channel=by_channel,
        apply_flat_field=statistics.flat is not None and statistics.flat.fits,
        expected={setting: math.sqrt(variance) for setting, variance in residual.items()},
    )


def resolve_options(
    exposure: Exposure,
    options: CleanOptions,
    *,
    flat: NDArray[np.float32] | None = None,
    user_mask: NDArray[np.bool_] | None = None,
    given: Collection[str] = (),
) -> tuple[CleanOptions, dict[str, Any]]:
    """Choose the options that the user left open.

    Parameters
    ----------
    exposure : Exposure
        Exposure to be cleaned.
    options : CleanOptions
        Options of the user; those that differ from the defaults are kept.
    flat : ndarray of float32, shape (ny, nx), optional
        Flat field that may be used, if any.
    user_mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx), optional
        Scene mask of the user, if any.
    given : collection of str, optional
        Names of parameters that the user set, and that are kept: ``background_method``,
        ``fit_by_channel`` and ``apply_flat_field``; with the latter, ``flat`` is used if given.

    Returns
    -------
    options : CleanOptions
        Options with the chosen values.
    used : dict
        Names and values of all three parameters; ``apply_flat_field`` is whether to clean
        with the flat field.

    Raises
    ------
    NothingToClean, CannotClean
        As in `clean_exposure`, for reasons that are known before any fit.

    Examples
    --------
    >>> from deflicker import CleanOptions, Exposure
    >>> from deflicker.autoparam.choice import resolve_options
    >>> from deflicker.simulation.exposures import Scenario, simulate
    >>> sky = simulate(Scenario(shape=(128, 128), n_outputs=1, n_stars=0), seed=2)
    >>> exposure = Exposure(
    ...     data=sky.data,
    ...     pixel_dq=sky.pixel_dq,
    ...     group_dq=sky.group_dq,
    ...     readout=sky.scenario.readout,
    ... )
    >>> options, used = resolve_options(exposure, CleanOptions())
    >>> options.background_method, used["apply_flat_field"]
    ('median', False)
    """
    check_input(exposure, options, user_mask)
    fixed = {name for name in NAMES if name in given}
    fixed |= {name for name in NAMES[:2] if getattr(options, name) != getattr(DEFAULTS, name)}
    must_divide = flat is not None and "apply_flat_field" in fixed
    statistics = measure_scene(
        exposure,
        options,
        settings=_settings(exposure, options, fixed),
        flat=flat,
        must_divide=must_divide,
        user_mask=user_mask,
    )
    choice = choose_options(statistics)
    if must_divide:
        choice = replace(choice, apply_flat_field=True)
    _tell(choice, statistics, fixed)
    chosen = replace(
        options,
        background_method=choice.background_method,
        fit_by_channel=choice.fit_by_channel,
    )
    return chosen, {name: getattr(choice, name) for name in NAMES}


def _settings(exposure: Exposure, options: CleanOptions, fixed: Collection[str]) -> list[Setting]:
    """Candidate settings, the defaults first."""
    methods: tuple[str | None, ...] = CHOICES
    box = options.background_box_size or (1, 1)
    if "background_method" in fixed:
        methods = (options.background_method,)
    elif box[0] > exposure.image_shape[0] or box[1] > exposure.image_shape[1]:
        methods = ("median",)
    apart: tuple[bool, ...] = (False, True)
    if "fit_by_channel" in fixed or exposure.readout.n_outputs == 1:
        apart = (options.fit_by_channel,)
    return list(product(methods, apart))


def _tell(choice: Choice, statistics: SceneStatistics, fixed: Collection[str]) -> None:
    """Log the choice and the numbers on which it is based."""
    text = ", ".join(
        f"{name}={getattr(choice, name)}{' (given)' if name in fixed else ''}" for name in NAMES
    )
    numbers = ", ".join(
        f"{method} {'by channel ' if by_channel else ''}{rms:.3g}"
        for (method, by_channel), rms in choice.expected.items()
    )
    flat = statistics.flat
    log.info(
        "autoparam: %s; %.1f %% of the pixels masked, offsets of the outputs %s, %s; expected rms "
        "of eaten light and missed noise in the mean difference: %s",
        text,
        100 * statistics.masked_fraction,
        " ".join(f"{offset:.3g}" for offset in statistics.offsets),
        "no flat field"
        if flat is None
        else f"the light shows {flat.share:.2f} +- {flat.error:.2f} of the flat field",
        numbers,
    )
