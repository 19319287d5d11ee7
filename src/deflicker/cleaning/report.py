"""Log messages about the result of a cleaning."""

import logging

from deflicker.cleaning.result import CleanResult
from deflicker.stats.clipping import LEAST_SIGMA, MOST_SIGMA

__all__ = ["report_result"]

log = logging.getLogger(__name__)

MOST_NAMED = 5  # differences in one line of the log
LIGHT_RATIO = 2.0  # below it, what was left alone is not worth a warning
FEWEST_USED = 0.05  # fraction of all pixels


def report_result(result: CleanResult, *, n_sigma: float) -> None:
    """Log the result of a cleaning, and warn of settings with which it cannot work well.

    Parameters
    ----------
    result : CleanResult
        Result of the cleaning.
    n_sigma : float
        Clipping level that was used.
    """
    _report_differences(result)
    _report_fit_of_few(result, n_sigma)


def _report_fit_of_few(result: CleanResult, n_sigma: float) -> None:
    """Warn if the clipping level or the mask is unsuitable for measuring the noise."""
    percent = 100 * result.used_fraction
    if 0 < n_sigma < LEAST_SIGMA:
        log.warning(
            "n_sigma=%g chooses pixels by their noise, and little of it can be removed: the noise "
            "was measured on %.2g %% of the pixels; levels of 1.5 to 5 are usual",
            n_sigma,
            percent,
        )
    elif n_sigma > MOST_SIGMA:
        log.warning(
            "n_sigma=%g masks no source: the noise was measured on %.3g %% of the pixels, whatever "
            "they see; levels of 1.5 to 5 are usual",
            n_sigma,
            percent,
        )
    elif result.used_fraction < FEWEST_USED:
        log.warning(
            "The noise was measured on %.2g %% of the pixels only, and much of it may be left; "
            "the masks, flags and n_sigma=%g leave no more pixels",
            percent,
            n_sigma,
        )


def _report_differences(result: CleanResult) -> None:
    """Log the result once for all differences."""
    number = len(result.n_used)
    log.info(
        "Removed noise from %d of %d differences, rms %.4g, measured on %.1f %% of the pixels",
        number - len(result.lost) - len(result.dropped),
        number,
        result.noise_rms,
        100 * result.used_fraction,
    )
    if result.light_ratio > LIGHT_RATIO and result.light_kept < 1:
        log.warning(
            "What the differences have in common is %.3g times as strong as their noise can be: "
            "%.1f %% of it is light and was left alone (guard_light=False takes it for noise); a "
            "user_mask of the sky may help",
            result.light_ratio,
            100 * (1 - result.light_kept),
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
    if result.n_not_converged:
        log.warning(
            "The noise of %d of %d differences has not converged: some of it may be left",
            result.n_not_converged,
            number,
        )


def _named(places: list[tuple[int, int]]) -> str:
    """List the first few differences by integration and later group."""
    named = "; ".join(f"integration {i + 1}, group {j + 1}" for i, j in places[:MOST_NAMED])
    return named + ("; ..." if len(places) > MOST_NAMED else "")
