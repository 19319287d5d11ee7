"""Numbers of the Wiener method that were chosen and not derived."""

from dataclasses import dataclass

from deflicker.stats.clipping import LEAST_SIGMA, MOST_SIGMA
from deflicker.utils.tunable import tunable

__all__ = ["WienerTuning"]


@dataclass(frozen=True, kw_only=True)
class WienerTuning:
    """Numbers of the Wiener method; `tunables` lists them with units, meanings and ranges."""

    # Which pixels are sky.
    least_sigma: float = tunable(
        LEAST_SIGMA, "least clipping level; below it pixels are chosen by their noise", unit="sigma"
    )
    most_sigma: float = tunable(
        MOST_SIGMA, "largest clipping level; beyond it sources are background", unit="sigma"
    )
    source_sigma: float = tunable(1.4, "limit of the sources for each unit of n_sigma")
    first_source_sigma: float = tunable(
        4.0, "least limit of the sources while the noise is in the image", unit="sigma"
    )
    # What is sky, and what is noise, of the mean of all differences.
    dark_percentile: float = tunable(
        10.0, "percentile of the boxes of the sky that is its dark level", unit="%"
    )
    significant_brightness: float = tunable(
        16.0, "brightness of the sky counts beyond this many variances of the noise"
    )
    wing_fraction: float = tunable(
        0.03, "least brightness of the sky anywhere, for that of its brightest part"
    )
    noise_fraction: float = tunable(
        0.05, "least brightness of the sky anywhere, for the rms of the noise"
    )
    white_fraction: float = tunable(
        0.01, "part of the white variance that counts as noise there, where no other is"
    )
    halo_sigma: float = tunable(5.0, "pixels brighter than this have halos", unit="sigma")
    halo_fraction: float = tunable(
        20.0, "prior deviation of the light of a halo for that of its source"
    )
    knot_spacing: float = tunable(32.0, "distance of the knots of the sky", unit="pixels")
    sky_scale: float = tunable(
        256.0, "distance over which the sky changes by about itself", unit="pixels"
    )
    third_derivative: float = tunable(
        10.0, "prior deviation of the sky's third derivatives, in brightness per sky_scale^3"
    )
    lower_derivatives: float = tunable(
        3.0, "prior deviation of its first and second derivatives, in the same way"
    )
    excess: float = tunable(
        2.0,
        "variance of what is found in the mean beyond which it is light, for that of its noise",
    )
    star_sigma: float = tunable(
        1.0, "width of the core of the point spread function", unit="pixels"
    )
    star_power: float = tunable(
        8.0, "power of the light of stars too faint to be found, for the white variance"
    )
    # Integrations and differences.
    steady_sigma: float = tunable(
        5.0,
        "light below this many standard deviations of an integration is taken for constant: a "
        "change of 1 % of it cannot be seen",
        unit="sigma",
    )
    outlier_sigma: float = tunable(
        5.0, "deviation of a difference from the mean that is a hit nobody flagged", unit="sigma"
    )
    incomplete: float = tunable(
        2.0, "variance of pixels that miss differences, whose other reads have noise of their own"
    )
    # Spectrum of the noise.
    dim_percentile: float = tunable(
        90.0, "percentile of the mean below which pixels have little photon noise", unit="%"
    )
    least_of_law: float = tunable(
        0.02, "power below this fraction of the power law through the spectrum is not believed"
    )
    significant_slope: float = tunable(
        5.0, "standard errors beyond which photon noise is believed", unit="sigma"
    )
    # Light that is not linear in time.
    bright_sigma: float = tunable(
        10.0, "pixels brighter than this tell a trend of the light", unit="sigma"
    )
    bend: float = tunable(
        0.1, "fraction of the light by which pixels of an exposure may differ in their trend"
    )
    trend_chi_squared: float = tunable(
        30.0, "chi squared of two degrees of freedom beyond which there is a trend; 3e-7 by chance"
    )
    # Solutions.
    tolerance: float = tunable(0.02, "residual of the noise of a difference, for the first")
    sky_tolerance: float = tunable(1e-3, "residual between two searches for sources, for the first")
    gap_tolerance: float = tunable(
        3e-4, "residual where spectra mask whole rows, which are filled last, for the first"
    )
    slow_cycles: float = tunable(
        8, "slowest waves of a read-out that the preconditioner solves for exactly"
    )
