"""Tuning constants of the Wiener method, which were chosen and not derived."""

from dataclasses import dataclass

from deflicker.stats.clipping import LEAST_SIGMA, MOST_SIGMA
from deflicker.utils.tunable import tunable

__all__ = ["WienerTuning"]


@dataclass(frozen=True, kw_only=True)
class WienerTuning:
    """Constants of the Wiener method; `tunables` lists their units, meanings and ranges."""

    # Which pixels are sky.
    least_sigma: float = tunable(
        LEAST_SIGMA, "least clipping level; below it the noise selects the pixels", unit="sigma"
    )
    most_sigma: float = tunable(
        MOST_SIGMA, "largest clipping level; above it sources are taken for sky", unit="sigma"
    )
    source_sigma: float = tunable(1.4, "detection limit of sources divided by n_sigma")
    first_source_sigma: float = tunable(
        4.0, "least detection limit of sources before the noise is subtracted", unit="sigma"
    )
    # Separation of sky and noise in the mean of all differences.
    dark_percentile: float = tunable(
        10.0, "percentile of the sky boxes that is taken as the dark level", unit="%"
    )
    significant_brightness: float = tunable(
        16.0, "variances of the noise that are subtracted from the sky's squared brightness"
    )
    wing_fraction: float = tunable(
        0.03, "least brightness of the sky anywhere, relative to its brightest part"
    )
    noise_fraction: float = tunable(
        0.05, "least brightness of the sky anywhere, relative to the rms of the noise"
    )
    white_fraction: float = tunable(
        0.01, "fraction of the white variance that is added to the noise in noise_fraction"
    )
    halo_sigma: float = tunable(5.0, "pixels brighter than this have halos", unit="sigma")
    halo_fraction: float = tunable(
        20.0, "prior deviation of the light of a halo, relative to that of its source"
    )
    knot_spacing: float = tunable(32.0, "distance of the knots of the sky", unit="pixels")
    sky_scale: float = tunable(
        256.0, "distance over which the sky changes by about its own brightness", unit="pixels"
    )
    third_derivative: float = tunable(
        10.0, "prior deviation of the sky's third derivatives, in brightness per sky_scale^3"
    )
    lower_derivatives: float = tunable(
        3.0, "prior deviation of its first and second derivatives, in analogous units"
    )
    excess: float = tunable(
        2.0,
        "variance of the noise found in the mean, relative to the expected one, above which it "
        "must be light",
    )
    star_sigma: float = tunable(
        1.0, "width of the core of the point spread function", unit="pixels"
    )
    star_power: float = tunable(
        8.0, "power of the light of undetected stars, relative to the white variance"
    )
    # Integrations and differences.
    steady_sigma: float = tunable(
        5.0,
        "light below this many standard deviations of an integration is taken for constant: a "
        "change of 1 % of it cannot be seen",
        unit="sigma",
    )
    outlier_sigma: float = tunable(
        5.0, "deviation of a difference from the mean that marks an unflagged hit", unit="sigma"
    )
    incomplete: float = tunable(
        2.0, "factor on the variance of pixels with missing differences, where fewer reads cancel"
    )
    # Spectrum of the noise.
    dim_percentile: float = tunable(
        90.0, "percentile of the mean below which pixels have little photon noise", unit="%"
    )
    least_of_law: float = tunable(
        0.02, "least power per output, as a fraction of the power law fitted to the spectrum"
    )
    significant_slope: float = tunable(
        5.0, "significance above which a measured photon noise is used", unit="sigma"
    )
    # Light that is not linear in time.
    bright_sigma: float = tunable(
        10.0, "pixels brighter than this determine a trend of the light", unit="sigma"
    )
    bend: float = tunable(
        0.1, "fraction of the light by which pixels of an exposure may differ in their trend"
    )
    trend_chi_squared: float = tunable(
        30.0, "chi squared (2 degrees of freedom) above which a trend is real; chance of 3e-7"
    )
    # Solutions.
    # Residuals are relative to the right-hand side.
    tolerance: float = tunable(0.02, "relative residual of the noise of a difference")
    sky_tolerance: float = tunable(1e-3, "relative residual between two searches for sources")
    gap_tolerance: float = tunable(
        3e-4, "relative residual where spectra mask whole rows, which converge last"
    )
    slow_cycles: float = tunable(
        8, "cycles per read-out up to which the preconditioner solves exactly"
    )
