"""Tuning constants of the method ``fft``, most of them chosen by Rauscher (2024)."""

from dataclasses import dataclass

from deflicker.utils.tunable import tunable

__all__ = ["NscleanTuning"]


@dataclass(frozen=True, kw_only=True)
class NscleanTuning:
    """Constants of ``fft``; `tunables` lists their units, meanings and ranges.

    The corners of the filters and the density's width in full frames are those of Rauscher
    (2024, PASP 136, 015001) and of the NSClean code that the paper describes.
    """

    # Full frames.
    half_power: float = tunable(
        1 / 256,
        "frequency of half power of the low-pass filter",
        unit="1/pixel",
        between=(1 / 256, 1 / 128),
    )
    roll_off: float = tunable(
        1 / 1024, "width of its cosine roll-off", unit="1/pixel", between=(1 / 2048, 1 / 512)
    )
    density_sigma: float = tunable(
        32.0,
        "width of the Gaussian for the local density of usable pixels",
        unit="pixels",
        between=(22.4, 64),
    )
    row_outlier: float = tunable(
        3.0,
        "deviation from the median of a row above which a pixel is an outlier",
        unit="sigma",
        between=(2.1, 6),
    )
    # Windows of sub-arrays.
    window_pixels: float = tunable(
        512, "usable pixels in a window", unit="pixels", between=(256, 1024)
    )
    window_outlier: float = tunable(
        4.0,
        "deviation from the median image level above which a pixel is an outlier",
        unit="sigma",
        between=(2.8, 8),
    )
    window_clip: float = tunable(
        3.0, "least clipping level of a difference of a sub-array", unit="sigma", between=(3, 6)
    )
    narrow_corner: float = tunable(
        1061.0,
        "frequency up to which the filter of narrow sub-arrays passes all",
        unit="Hz",
        between=(743, 2122),
    )
    wide_corner: float = tunable(
        150.0,
        "the same for wide ones (ALLSLITS), whose rows take longer to read",
        unit="Hz",
        between=(75, 300),
    )
    most_low: float = tunable(32, "largest number of low frequencies in a window", between=(16, 64))
    most_high: float = tunable(
        8, "largest number of frequencies near the column alternation", between=(4, 16)
    )
