"""Tuning constants of the background of a series, which were chosen and not derived."""

from dataclasses import dataclass

from deflicker.utils.tunable import tunable

__all__ = ["SeriesTuning"]


@dataclass(frozen=True, kw_only=True)
class SeriesTuning:
    """Constants of ``median_image``; `tunables` lists their units, meanings and ranges."""

    illuminated_sigma: float = tunable(
        10.0,
        "pixels of the template brighter than this measure its brightness",
        unit="sigma",
        between=(5, 20),
    )
    fewest_illuminated: float = tunable(
        20, "fewest pixels that can measure the brightness", unit="pixels", between=(10, 40)
    )
    fewest_dark: float = tunable(
        8,
        "fewest pixels of background that determine the level of a row",
        unit="pixels",
        between=(4, 16),
    )
    dim_fraction: float = tunable(
        0.01,
        "largest light of a pixel in which noise may be measured, relative to the brightest pixel "
        "near it: colours and drifts change light by about a thousandth, and the level of a row "
        "that is measured in such pixels by a hundredth of that",
        between=(0.005, 0.02),
    )
    dim_distance: float = tunable(
        31,
        "width of the box of near pixels: wider than a spectrum or a star",
        unit="pixels",
        between=(15.5, 62),
    )
    brightness_outlier: float = tunable(
        4.0,
        "deviation from the fitted brightness above which a pixel is an outlier",
        unit="sigma",
        between=(2, 8),
    )
    largest_brightness_error: float = tunable(
        0.05, "error above which a brightness counts as unknown", between=(0.025, 0.1)
    )
    light_sigma: float = tunable(
        3.5,
        "levels of rows above this are light; noise exceeds it once in 2000 levels",
        unit="sigma",
        between=(3.5, 7),
    )
    slack: float = tunable(
        2.0,
        "mean square of nearby levels, relative to the noise variance, that noise can explain",
        between=(1.4, 4),
    )
