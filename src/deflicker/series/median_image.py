"""The background method ``median_image``: its conditions, its template and its mask."""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deflicker.errors import CannotClean, NothingToClean
from deflicker.ramps.exposure import Exposure
from deflicker.ramps.masks import majority_mask
from deflicker.scene.draft_masks import MaskMaker
from deflicker.series.template import Template, make_template
from deflicker.series.template_noise import remove_template_noise
from deflicker.series.tuning import SeriesTuning

__all__ = [
    "check_same_series",
    "check_template",
    "series_background",
    "series_template",
]

log = logging.getLogger(__name__)


def series_template(
    exposures: Sequence[Exposure],
    maker: MaskMaker,
    *,
    user_mask: NDArray[np.bool_] | None = None,
    tuning: SeriesTuning | None = None,
) -> Template:
    """Template of a series.

    Parameters
    ----------
    exposures : sequence of Exposure
        Segments of the series, with the same groups and pixels.
    maker : MaskMaker
        Separates background and scene of the template.
    user_mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx), optional
        Mask to use instead.
    tuning : SeriesTuning, optional
        Tuning constants.

    Returns
    -------
    Template
        Median of each group over all integrations, without its noise.

    Raises
    ------
    NothingToClean
        If there is only one integration.
    CannotClean
        If the segments have different groups or pixels.
    """
    _check_segments(exposures)
    template = make_template(
        exposures,
        background=lambda rate: _background(rate, maker, user_mask),
        n_threads=maker.options.n_threads,
    )
    background = series_background(template, maker, user_mask=user_mask)
    remove_template_noise(template, exposures, background, options=maker.options, tuning=tuning)
    return template


def series_background(
    template: Template, maker: MaskMaker, *, user_mask: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Background of a template, the same for all segments.

    Parameters
    ----------
    template : Template
        The template of a series.
    maker : MaskMaker
        Makes the mask from the rate of the template.
    user_mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx), optional
        Mask to use instead.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        True where the template contains only background.
    """
    return _background(template.rate(maker.exposure.times), maker, user_mask)


def _background(
    rate: NDArray[np.float32], maker: MaskMaker, user_mask: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    return maker.mask(rate) if user_mask is None else majority_mask(user_mask)


def check_template(exposure: Exposure, template: Template) -> None:
    """Raise if a template has different groups or pixels.

    Parameters
    ----------
    exposure : Exposure
        Exposure that is to be cleaned.
    template : Template
        Template of its series.

    Raises
    ------
    CannotClean
        If the shapes differ.
    """
    shape = exposure.data.shape[1:]
    if template.groups.shape != shape:
        msg = (
            f"the template has groups, rows, columns {template.groups.shape} and the exposure "
            f"{shape}: give the template of its own series"
        )
        raise CannotClean(msg)


def check_same_series(segments: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Raise if exposures, or an exposure and a template, are not of one series.

    Parameters
    ----------
    segments : sequence of tuple
        Name of each in messages, and its FITS keywords with their values. A keyword that is
        missing in one of them is not compared.

    Raises
    ------
    CannotClean
        If keywords differ; the message contains them and their values in two segments.
    """
    known: dict[str, tuple[str, Any]] = {}
    for name, keywords in segments:
        different = []
        for keyword, value in keywords.items():
            first, expected = known.setdefault(keyword, (name, value))
            if not _same(value, expected):
                different.append(f"{keyword} is {expected} in {first} and {value} in {name}")
        if different:
            msg = (
                f"median_image is for one series, and these are two: {'; '.join(different)}; "
                "clean each series by itself, with a template of its own"
            )
            raise CannotClean(msg)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        # Files from different software versions have times that differ in their last digits.
        return math.isclose(one, other, rel_tol=1e-5)
    return bool(one == other)


def _check_segments(exposures: Sequence[Exposure]) -> None:
    """Raise if there is one integration only, or if segments are not of one series."""
    shapes = sorted({exposure.data.shape[1:] for exposure in exposures})
    if len(shapes) > 1:
        msg = (
            "segments of one series have the same groups, rows and columns, these have "
            f"{' and '.join(map(str, shapes))}: clean them one by one"
        )
        raise CannotClean(msg)
    number = sum(exposure.n_integrations for exposure in exposures)
    if number == 1:
        msg = (
            "background_method='median_image' needs several integrations, and there is one: use "
            "'median' or 'model', or give the template of the whole series"
        )
        raise NothingToClean(msg)
    if number == 2:
        log.warning("The median of two integrations is their mean, which holds half of their noise")
