"""All backgrounds, by the values of ``background_method``: of each difference, or of a series."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from deflicker.noise.method import Job, Plan
from deflicker.noise.registry import METHODS
from deflicker.options import CleanOptions
from deflicker.ramps.exposure import Exposure
from deflicker.scene.draft_masks import masks_of_exposure
from deflicker.series.median_image import check_template, series_background, series_template
from deflicker.series.stable_scene import Series
from deflicker.series.template import Template
from deflicker.series.tuning import SeriesTuning

__all__ = [
    "BACKGROUNDS",
    "Background",
    "divides_differences",
    "fitted_images",
    "plan_of",
    "uses_template",
]


@dataclass(frozen=True, kw_only=True)
class Background:
    """A background that is removed before the fits.

    Parameters
    ----------
    name : str or None
        Value of ``background_method``.
    of_series : bool, optional
        Whether it is a template of a series of integrations, whose groups are then fitted one
        by one; else it is one of each difference.
    """

    name: str | None
    of_series: bool = False


BACKGROUNDS: Mapping[str | None, Background] = MappingProxyType(
    {
        background.name: background
        for background in (
            Background(name="median"),
            Background(name="model"),
            Background(name="median_image", of_series=True),
            Background(name=None),
        )
    }
)


def uses_template(options: CleanOptions) -> bool:
    """Tell whether a template of a series is made.

    Parameters
    ----------
    options : CleanOptions
        How an exposure is to be cleaned.

    Returns
    -------
    bool
        True for the background of a series, where the noise method needs a background.
    """
    background = BACKGROUNDS[options.background_method]
    return background.of_series and METHODS[options.fit_method].needs_background


def divides_differences(options: CleanOptions) -> bool:
    """Tell whether differences are divided by a flat field, if there is one.

    Parameters
    ----------
    options : CleanOptions
        How an exposure is to be cleaned.

    Returns
    -------
    bool
        False where light and noise are fitted together, or a template is taken off.
    """
    background = BACKGROUNDS[options.background_method]
    return METHODS[options.fit_method].needs_background and not background.of_series


def fitted_images(exposure: Exposure, options: CleanOptions) -> Exposure:
    """See an exposure as the images that are fitted.

    Parameters
    ----------
    exposure : Exposure
        Any.
    options : CleanOptions
        How it is to be cleaned.

    Returns
    -------
    Exposure
        The same arrays; with a template, groups stand for differences.
    """
    return replace(exposure, whole_groups=True) if uses_template(options) else exposure


def plan_of(job: Job, template: Template | None) -> Plan:
    """Find all that is to be known before the fits.

    Parameters
    ----------
    job : Job
        What is to be cleaned.
    template : Template or None
        That of the series, where there is one.

    Returns
    -------
    Plan
        By the noise method, or by the series and its template.

    Raises
    ------
    NothingToClean, CannotClean
        With the reason.
    """
    if uses_template(job.options):
        return _plan_of_series(job, template)
    return METHODS[job.options.fit_method].plan(job)


def _plan_of_series(job: Job, template: Template | None) -> Plan:
    exposure, options, maker, user_mask = job.exposure, job.options, job.maker, job.user_mask
    tuning = job.tuning_of(SeriesTuning)
    template = template or series_template([exposure], maker, user_mask=user_mask, tuning=tuning)
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
        tuning=tuning,
    )
    return Plan(
        mask=mask,
        integrations=series.integrations(),
        n_threads=options.n_threads,
        n_sigma=options.n_sigma,
    )
