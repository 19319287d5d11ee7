"""All backgrounds, by ``background_method``: of each difference, or of a series."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from deflicker.noise.method import Job, Plan
from deflicker.noise.registry import AUTO, METHODS
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
    """A background that is subtracted before the fits.

    Parameters
    ----------
    name : str or None
        Value of ``background_method``.
    of_series : bool, optional
        Whether it is a template of a series of integrations, whose groups are then fitted one
        by one; otherwise it is measured in each difference.
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
    """Whether a template of a series is used.

    Parameters
    ----------
    options : CleanOptions
        Options of the cleaning.

    Returns
    -------
    bool
        True for the background of a series if the noise method needs a background.
    """
    background = BACKGROUNDS[options.background_method]
    if options.fit_method == AUTO:
        return background.of_series
    return background.of_series and METHODS[options.fit_method].needs_background


def divides_differences(options: CleanOptions) -> bool:
    """Whether differences are divided by a flat field, if there is one.

    Parameters
    ----------
    options : CleanOptions
        Options of the cleaning.

    Returns
    -------
    bool
        False if light and noise are fitted together, or a template is subtracted.
    """
    background = BACKGROUNDS[options.background_method]
    return METHODS[options.fit_method].needs_background and not background.of_series


def fitted_images(exposure: Exposure, options: CleanOptions) -> Exposure:
    """Convert an exposure to the images that are fitted.

    Parameters
    ----------
    exposure : Exposure
        Exposure to be cleaned.
    options : CleanOptions
        Options of the cleaning.

    Returns
    -------
    Exposure
        The same arrays; with a template, groups take the place of differences.
    """
    return replace(exposure, whole_groups=True) if uses_template(options) else exposure


def plan_of(job: Job, template: Template | None) -> Plan:
    """Prepare the fits.

    Parameters
    ----------
    job : Job
        Exposure, options and masks.
    template : Template or None
        Template of the series, if there is one.

    Returns
    -------
    Plan
        Plan made by the noise method, or by the series and its template.

    Raises
    ------
    NothingToClean, CannotClean
        If the exposure cannot be cleaned; the message contains the reason.
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
