"""Noise of one read of an exposure, measured in differences without the scene."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice, pairwise

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.clock import Clock
from deflicker.errors import NothingToClean
from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.noise.wiener.directions import find_directions
from deflicker.noise.wiener.light_trend import LightTrend
from deflicker.noise.wiener.mean_image import Differences, MeanImage
from deflicker.noise.wiener.spectrum import measure_spectrum, typical_spectrum
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.stats.constants import MAD_TO_SIGMA, MEDIAN_OF_SQUARE

__all__ = [
    "DetectorNoise",
    "guess_detector_noise",
    "has_trend",
    "measure_detector_noise",
    "measure_image_noise",
]

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]

# The spectrum is measured in a few differences with about this many pixels in total.
SAMPLE_PIXELS = 1 << 23
MOST_SAMPLES = 16
TREND_SAMPLES = 4  # differences; a nonlinear ramp deviates from its mean in nearly all of them
GAIN_ROWS = 4  # every fourth row is enough to measure the photon noise
GAIN_PERCENTILES = (1, 50, 80, 90, 95, 98, 99, 99.7)
GAIN_PIXELS = 100
# Variances relative to those of a typical detector whose white noise is the scatter of
# neighbouring pixels.
LEAST_WHITE, MOST_CORRELATED = 0.5, 4.0
SQUARE_ERROR = 2.5


@dataclass(frozen=True)
class DetectorNoise:
    """Noise of one read, or of one rate image.

    Parameters
    ----------
    spectrum : NoiseSpectrum
        Spectrum of the noise, without photon noise.
    photon_variance_per_dn : float
        Photon variance of a difference per DN of light.
    """

    spectrum: NoiseSpectrum
    photon_variance_per_dn: float = 0.0

    def is_like(self, typical: "DetectorNoise") -> bool:
        """Whether this may be the noise of a real detector.

        Parameters
        ----------
        typical : DetectorNoise
            Noise of a typical detector, of the same scale.

        Returns
        -------
        bool
            True if the white noise is not much weaker and the correlated noise not much
            stronger than typical.
        """
        ours, other = self.spectrum, typical.spectrum
        return (
            ours.white > LEAST_WHITE * other.white
            and ours.correlated_variance < MOST_CORRELATED * other.correlated_variance
        )


def measure_detector_noise(  # noqa: PLR0913 - the last two are settings
    differences: Differences,
    mean: MeanImage,
    clock: Clock,
    *,
    allowed: Usable,
    trend: LightTrend | None = None,
    n_threads: int = 1,
    tuning: WienerTuning | None = None,
) -> tuple[DetectorNoise | None, Clock]:
    """Measure the noise from the deviations of the differences from their mean.

    Parameters
    ----------
    differences : Differences
        Differences of an exposure.
    mean : MeanImage
        Mean of all of them.
    clock : Clock
        Assumed read-out order of the pixels.
    allowed : ndarray of bool, shape (n_slow, n_fast)
        Pixels that may be used.
    trend : LightTrend, optional
        Correction for light that is not linear in time.
    n_threads : int, optional
        Threads to use.
    tuning : WienerTuning, optional
        Tuning constants.

    Returns
    -------
    noise : DetectorNoise or None
        None if there is only one difference, or too few pixels.
    clock : Clock
        Read-out order, with the read directions of the outputs as measured from the noise.
    """
    exposure = differences.exposure
    if exposure.n_differences * exposure.n_integrations == 1 or not allowed.any():
        return None, clock
    tuning = tuning or WienerTuning()
    samples = _Samples(differences, mean, allowed, trend, tuning)
    images = iter(samples)
    first = next(images, None)
    if first is None:
        return None, clock
    clock = replace(clock, mirrored=find_directions(*first, clock))
    spectrum = measure_spectrum(
        chain([first], images), clock, n_threads=n_threads, least_of_law=tuning.least_of_law
    )
    if spectrum is None:
        return None, clock
    scale = float(np.mean(samples.factors))
    slopes = samples.photon_slopes
    per_dn = max(float(np.median(slopes)), 0.0) if slopes else 0.0
    dim = allowed & (mean.values <= samples.bright)
    light = max(float(np.median(mean.values[dim])), 0.0)
    photons = per_dn * light * (1 - 1 / exposure.n_differences)
    spectrum = spectrum.with_white(spectrum.white - photons).scaled(1 / scale)
    return DetectorNoise(spectrum, photon_variance_per_dn=per_dn), clock


def has_trend(
    differences: Differences,
    mean: MeanImage,
    trend: LightTrend,
    *,
    allowed: Usable,
    tuning: WienerTuning | None = None,
) -> bool:
    """Whether the light is not linear in time, judged from a few differences.

    Parameters
    ----------
    differences : Differences
        Differences of an exposure.
    mean : MeanImage
        Mean of all of them.
    trend : LightTrend
        Bright pixels of that mean.
    allowed : ndarray of bool, shape (n_slow, n_fast)
        Pixels that may be used; at least one.
    tuning : WienerTuning, optional
        Tuning constants.

    Returns
    -------
    bool
        True if one of them deviates from the mean by more than noise can explain.
    """
    samples = _Samples(differences, mean, allowed, trend, tuning or WienerTuning())
    some = islice(samples.deviations(), TREND_SAMPLES)
    return any(samples.has_trend for _ in some)


class _Samples:
    """Deviations of a few differences from their mean; iteration fills lists of results."""

    def __init__(
        self,
        differences: Differences,
        mean: MeanImage,
        allowed: Usable,
        trend: LightTrend | None,
        tuning: WienerTuning,
    ) -> None:
        self.tuning = tuning
        self.differences, self.mean, self.allowed = differences, mean, allowed
        self.trend, self.has_trend = trend, False
        self.bright = np.float32(np.percentile(mean.values[allowed], tuning.dim_percentile))
        self.factors: list[float] = []
        self.photon_slopes: list[float] = []

    def __iter__(self) -> Iterator[tuple[Image, Usable]]:
        n = self.differences.exposure.n_differences
        for j, of_integration, values, good in self.deviations():
            if n > 1:
                step = of_integration.step(j)
                slope = _photon_variance_per_dn(
                    values, good, of_integration.values, self.tuning.significant_slope
                )
                self.photon_slopes.append(slope / (step * (1 - step / n)))
            dim = good & (of_integration.values <= self.bright)
            yield values, _without_outliers(values, dim, self.tuning.outlier_sigma)

    def deviations(self) -> Iterator[tuple[int, MeanImage, Image, Usable]]:
        """Yield index, mean of the integration, deviation from it, and good pixels of each."""
        exposure = self.differences.exposure
        n, n_integrations = exposure.n_differences, exposure.n_integrations
        buffer = np.empty(self.mean.values.shape, dtype=np.float32)
        for i, j in _sample(self.mean):
            several = n_integrations > 1 and n > 1
            of_integration = self.differences.mean([i]) if several else self.mean
            values, good = self.differences.deviation(
                i, j, of_integration, among=of_integration.complete & self.allowed, out=buffer
            )
            factor = of_integration.deviation_factor(i, j) if good.any() else 0.0
            if not factor > 0:
                continue
            self.factors.append(factor)
            if self.trend is not None and n > 1:
                shared = of_integration.shared_factor(i, j) / n_integrations
                scale = self.trend.remove(
                    values, good, of_integration.values, factor=factor, shared=shared
                )
                self.has_trend |= scale != 0
            yield j, of_integration, values, good


def _sample(mean: MeanImage) -> list[tuple[int, int]]:
    """Evenly spread pairs of integration and difference that are measured."""
    pairs = sorted(mean.used)
    wanted = min(max(SAMPLE_PIXELS // mean.values.size, 2), MOST_SAMPLES, len(pairs))
    return [pairs[k] for k in ((np.arange(wanted) + 0.5) * len(pairs) / max(wanted, 1)).astype(int)]


def _without_outliers(values: Image, good: Usable, n_sigma: float) -> Usable:
    if not good.any():
        return good
    sigma = np.float32(MAD_TO_SIGMA * np.median(np.abs(values[good])))
    return good & (np.abs(values) < np.float32(n_sigma) * sigma)


def _photon_variance_per_dn(values: Image, good: Usable, light: Image, significant: float) -> float:
    """Slope of variance against light, from the differences of neighbouring pixels."""
    values, light = values[::GAIN_ROWS], light[::GAIN_ROWS]
    both = good[::GAIN_ROWS, 1:] & good[::GAIN_ROWS, :-1]
    brightness = (light[:, 1:][both] + light[:, :-1][both]) / 2
    square = (values[:, 1:][both] - values[:, :-1][both]) ** 2 / 2
    if not brightness.size:
        return 0.0
    edges = np.percentile(brightness, GAIN_PERCENTILES)
    middles, variances, numbers = [], [], []
    for low, high in pairwise(edges):
        some = (brightness >= low) & (brightness < high)
        if np.count_nonzero(some) >= GAIN_PIXELS:
            middles.append(float(np.median(brightness[some])))
            variances.append(float(np.median(square[some])) / MEDIAN_OF_SQUARE)
            numbers.append(np.count_nonzero(some))
    if len(middles) < 2 or min(variances) <= 0:
        return 0.0
    return _significant_slope(
        np.array(middles), np.array(variances), np.array(numbers), significant
    )


def _significant_slope(
    x: NDArray[np.float64],
    variances: NDArray[np.float64],
    numbers: NDArray[np.int_],
    significant: float,
) -> float:
    """Slope of a weighted straight-line fit to variances; 0 if it is not significant."""
    # The median of n squared Gaussian deviates has a relative error of about 2.3 / sqrt(n).
    errors = SQUARE_ERROR * variances / np.sqrt(numbers)
    weights = errors**-2
    centred = x - np.average(x, weights=weights)
    power = float(np.sum(weights * centred**2))
    if power <= 0:
        return 0.0
    slope = float(np.sum(weights * centred * variances)) / power
    return slope if slope > significant / power**0.5 else 0.0


def guess_detector_noise(mean: MeanImage, clock: Clock, *, allowed: Usable) -> DetectorNoise:
    """Noise of a typical detector, scaled to the scatter of neighbouring pixels.

    Parameters
    ----------
    mean : MeanImage
        Mean of the differences.
    clock : Clock
        Order of the pixels.
    allowed : ndarray of bool, shape (n_slow, n_fast)
        Pixels that may be used.

    Returns
    -------
    DetectorNoise
        Noise with a typical spectrum.

    Raises
    ------
    NothingToClean
        If neighbouring pixels do not differ.
    """
    values = mean.values
    fast = (values[:, 1:] - values[:, :-1])[allowed[:, 1:] & allowed[:, :-1]]
    slow = (values[1:] - values[:-1])[allowed[1:] & allowed[:-1]]
    # The light of a spectrum adds scatter along one axis and correlated noise along the slow
    # axis; the smaller scatter is closer to the white noise.
    scatter = [MAD_TO_SIGMA * float(np.median(np.abs(s))) for s in (fast, slow) if s.size]
    white = min(scatter, default=0.0) ** 2 / 2
    if not white > 0:
        msg = "fit_method='wiener' finds no noise in the exposure: use 'median'"
        raise NothingToClean(msg)
    spectrum = typical_spectrum(white=white, n_outputs=clock.n_outputs)
    return DetectorNoise(spectrum.scaled(1 / mean.factor))


def measure_image_noise(
    mean: MeanImage,
    noise: Image,
    usable: Usable,
    clock: Clock,
    *,
    tuning: WienerTuning | None = None,
) -> DetectorNoise | None:
    """Measure the noise of the only image of an exposure, after subtraction of its sky.

    Parameters
    ----------
    mean : MeanImage
        Mean of the differences.
    noise : ndarray of float32, shape (n_slow, n_fast)
        The mean after subtraction of its sky.
    usable : ndarray of bool, shape (n_slow, n_fast)
        Pixels that contain only noise.
    clock : Clock
        Order of the pixels.
    tuning : WienerTuning, optional
        Tuning constants.

    Returns
    -------
    DetectorNoise or None
        None if too few pixels are usable.
    """
    tuning = tuning or WienerTuning()
    image = noise, _without_outliers(noise, usable, tuning.outlier_sigma)
    spectrum = measure_spectrum([image], clock, least_of_law=tuning.least_of_law)
    return None if spectrum is None else DetectorNoise(spectrum.scaled(1 / mean.factor))
