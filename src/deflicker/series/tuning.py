"""Numbers of the background of a series that were chosen and not derived."""

from dataclasses import dataclass

from deflicker.utils.tunable import tunable

__all__ = ["SeriesTuning"]


@dataclass(frozen=True, kw_only=True)
class SeriesTuning:
    """Numbers of ``median_image``; `tunables` lists them with units, meanings and ranges."""

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
        "fewest pixels of background that tell the level of a row",
        unit="pixels",
        between=(4, 16),
    )
    dim_fraction: float = tunable(
        0.01,
        "light of a pixel that may tell noise, for that of the brightest one near it: colours and "
        "drifts change light by a thousandth or so, and a row that is measured on such pixels by "
        "a hundredth of that",
        between=(0.005, 0.02),
    )
    dim_distance: float = tunable(
        31,
        "width of the box that is near: wider than a spectrum or a star",
        unit="pixels",
        between=(15.5, 62),
    )
    brightness_outlier: float = tunable(
        4.0,
        "deviation of a pixel from the brightness that is an outlier",
        unit="sigma",
        between=(2, 8),
    )
    largest_brightness_error: float = tunable(
        0.05, "error of a brightness beyond which it is not known", between=(0.025, 0.1)
    )
    light_sigma: float = tunable(
        3.5,
        "levels of rows that stick out of the noise by more are light; noise does so once in 2000 "
        "levels",
        unit="sigma",
        between=(3.5, 7),
    )
    slack: float = tunable(
        2.0,
        "mean square of few levels near a row, for their variance, that may be noise alone",
        between=(1.4, 4),
    )
