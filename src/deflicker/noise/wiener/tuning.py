"""Tuning constants of the Wiener method, which were chosen and not derived."""

from dataclasses import dataclass

from deflicker.scene.growth import (
    FAINTEST_PROFILE,
    FARTHEST_GROWTH,
    LEAST_BRIGHTNESS,
    SHORTEST_RUN,
)
from deflicker.stats.clipping import LEAST_SIGMA, MOST_SIGMA
from deflicker.utils.tunable import tunable

__all__ = ["WienerTuning"]


@dataclass(frozen=True, kw_only=True)
class WienerTuning:
    """Constants of the Wiener method; `tunables` lists their units, meanings and ranges."""

    # Which pixels are sky.
    least_sigma: float = tunable(
        LEAST_SIGMA,
        "least clipping level; below it the noise selects the pixels",
        unit="sigma",
        between=(0.25, 1),
    )
    most_sigma: float = tunable(
        MOST_SIGMA,
        "largest clipping level; above it sources are taken for sky",
        unit="sigma",
        between=(5, 20),
    )
    source_sigma: float = tunable(
        1.4, "detection limit of sources divided by n_sigma", between=(1.4, 2.8)
    )
    first_source_sigma: float = tunable(
        4.0,
        "least detection limit of sources before the noise is subtracted",
        unit="sigma",
        between=(2, 5.6),
    )
    # Separation of sky and noise in the mean of all differences.
    dark_percentile: float = tunable(
        10.0,
        "percentile of the sky boxes that is taken as the dark level",
        unit="%",
        between=(5, 10),
    )
    significant_brightness: float = tunable(
        16.0,
        "variances of the noise that are subtracted from the sky's squared brightness",
        between=(8, 16),
    )
    wing_fraction: float = tunable(
        0.03,
        "least brightness of the sky anywhere, relative to its brightest part",
        between=(0.03, 0.06),
    )
    noise_fraction: float = tunable(
        0.05,
        "least brightness of the sky anywhere, relative to the rms of the noise",
        between=(0.025, 0.1),
    )
    white_fraction: float = tunable(
        0.01,
        "fraction of the white variance that is added to the noise in noise_fraction",
        between=(0.005, 0.02),
    )
    halo_sigma: float = tunable(
        5.0, "pixels brighter than this have halos", unit="sigma", between=(2.5, 10)
    )
    halo_fraction: float = tunable(
        20.0,
        "prior deviation of the light of a halo, relative to that of its source",
        between=(10, 40),
    )
    knot_spacing: float = tunable(
        32.0, "distance of the knots of the sky", unit="pixels", between=(32, 64)
    )
    sky_scale: float = tunable(
        200.0,
        "distance over which the sky changes by about its own brightness",
        unit="pixels",
        between=(128, 256),
    )
    roughest_scale: float = tunable(
        64.0, "the same for the roughest sky, if a smoother one leaves light", unit="pixels"
    )
    sky_excess: float = tunable(
        1.2,
        "power at low frequencies, relative to the expected one, above which the sky is rougher",
    )
    least_excess: float = tunable(0.7, "the same that the roughest sky leaves")
    largest_scale: float = tunable(
        256.0, "period of waves that are also judged without shorter ones", unit="pixels"
    )
    largest_excess: float = tunable(
        3.0, "power of these waves, relative to the expected one, above which the sky is rougher"
    )
    least_largest: float = tunable(0.05, "the same that the roughest sky leaves")
    third_derivative: float = tunable(
        10.0,
        "prior deviation of the sky's third derivatives, in brightness per sky_scale^3",
        between=(10, 20),
    )
    lower_derivatives: float = tunable(
        3.0,
        "prior deviation of its first and second derivatives, in analogous units",
        between=(2.1, 6),
    )
    excess: float = tunable(
        2.0,
        "variance of the noise found in the mean, relative to the expected one, above which it "
        "must be light",
        between=(1.4, 4),
    )
    # Light that is neither masked nor smooth.
    significant_light: float = tunable(
        2.0, "significance of the power of light at some frequency", unit="sigma"
    )
    significant_stripes: float = tunable(
        3.0, "the same for light that is constant along rows", unit="sigma"
    )
    light_slope: float = tunable(
        3.0, "exponent of the power of light at frequencies where only stripes are"
    )
    crowded_fraction: float = tunable(
        0.5, "fraction of sky pixels below which light may fill the image"
    )
    grown_run: float = tunable(
        SHORTEST_RUN, "shortest run of masked pixels that is grown along its row", unit="pixels"
    )
    grown_brightness: float = tunable(
        LEAST_BRIGHTNESS, "least brightness of such a run", unit="sigma"
    )
    faintest_profile: float = tunable(
        FAINTEST_PROFILE,
        "light at which the growth stops, relative to the rms of the correlated noise",
    )
    farthest_growth: float = tunable(
        FARTHEST_GROWTH, "largest growth of a run at each end, relative to its length"
    )
    star_sigma: float = tunable(
        1.0, "width of the core of the point spread function", unit="pixels", between=(0.7, 2)
    )
    star_power: float = tunable(
        8.0,
        "power of the light of undetected stars, relative to the white variance",
        between=(4, 16),
    )
    # Integrations and differences.
    steady_sigma: float = tunable(
        5.0,
        "light below this many standard deviations of an integration is taken for constant: a "
        "change of 1 % of it cannot be seen",
        unit="sigma",
        between=(2.5, 10),
    )
    outlier_sigma: float = tunable(
        5.0,
        "deviation of a difference from the mean that marks an unflagged hit",
        unit="sigma",
        between=(2.5, 10),
    )
    incomplete: float = tunable(
        2.0,
        "factor on the variance of pixels with missing differences, where fewer reads cancel",
        between=(1, 4),
    )
    # Spectrum of the noise.
    dim_percentile: float = tunable(
        90.0,
        "percentile of the mean below which pixels have little photon noise",
        unit="%",
        between=(45, 100),
    )
    least_of_law: float = tunable(
        0.02,
        "least power per output, as a fraction of the power law fitted to the spectrum",
        between=(0.01, 0.04),
    )
    significant_slope: float = tunable(
        5.0,
        "significance above which a measured photon noise is used",
        unit="sigma",
        between=(2.5, 10),
    )
    # Light that is not linear in time.
    bright_sigma: float = tunable(
        10.0,
        "pixels brighter than this determine a trend of the light",
        unit="sigma",
        between=(5, 20),
    )
    bend: float = tunable(
        0.1,
        "fraction of the light by which pixels of an exposure may differ in their trend",
        between=(0.05, 0.2),
    )
    trend_chi_squared: float = tunable(
        30.0,
        "chi squared (2 degrees of freedom) above which a trend is real; chance of 3e-7",
        between=(15, 60),
    )
    # Solutions.
    # Residuals are relative to the right-hand side.
    tolerance: float = tunable(
        0.02, "relative residual of the noise of a difference", between=(0.01, 0.04)
    )
    sky_tolerance: float = tunable(
        1e-3, "relative residual between two searches for sources", between=(0.0005, 0.002)
    )
    gap_tolerance: float = tunable(
        3e-4,
        "relative residual where spectra mask whole rows, which converge last",
        between=(0.00015, 0.0006),
    )
    slow_cycles: float = tunable(
        8, "cycles per read-out up to which the preconditioner solves exactly", between=(4, 16)
    )
