"""Wiener cleaning: noise of the mean of all differences, and of the deviations from it.

Let m be the mean of all differences of an exposure. The scene is in m, but not in the
deviations from m, so that all good pixels determine the noise of these (level 2). The noise
of m is determined, together with the sky, by the pixels that contain only sky (level 1). The
noise of single integrations lies between the two and is fitted to pixels that do not vary.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.clock import Clock
from deflicker.errors import NothingToClean
from deflicker.noise.fit import DifferenceFit
from deflicker.noise.noise_image import NoiseImage
from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.noise.wiener.detector_noise import (
    DetectorNoise,
    guess_detector_noise,
    has_trend,
    measure_detector_noise,
    measure_image_noise,
)
from deflicker.noise.wiener.light_trend import LightTrend
from deflicker.noise.wiener.mean import SkyFit, WeightedImage, fit_noise, fit_noise_and_sky
from deflicker.noise.wiener.mean_image import Differences, MeanImage
from deflicker.noise.wiener.solver import Records
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.options import CleanOptions
from deflicker.ramps.exposure import Exposure

__all__ = [
    "IntegrationFit",
    "WienerFit",
    "clipping_level",
    "fit_wiener",
    "report_fit",
]

log = logging.getLogger(__name__)

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class WienerFit:
    """Noise and sky of an exposure, known before its differences are fitted.

    Parameters
    ----------
    differences : Differences
        Differences of the exposure.
    records : Records
        Order of the pixels.
    noise : DetectorNoise
        Noise of one read.
    mean : MeanImage
        Mean of all differences.
    noise_of_mean : ndarray of float32, shape (n_slow, n_fast)
        Noise of the mean in DN per group.
    mask : ndarray of bool, shape (n_slow, n_fast)
        True for pixels of the mean that were used as sky.
    background : ndarray of float32, shape (n_slow, n_fast), or float
        Sky of the mean, multiplied by the flat field, in DN per group; 0 unless it is saved.
    converged : bool, optional
        Whether the solution for the mean reached its tolerance.
    trend : LightTrend, optional
        Correction for light that is not linear in time.
    tuning : WienerTuning, optional
        Tuning constants.
    """

    differences: Differences
    records: Records
    noise: DetectorNoise
    mean: MeanImage
    noise_of_mean: Image
    mask: Usable
    background: Image | float = 0.0
    converged: bool = True
    trend: LightTrend | None = None
    tuning: WienerTuning = field(default_factory=WienerTuning)

    def n_threads(self, options: CleanOptions) -> int:
        """Number of differences to fit at the same time.

        Parameters
        ----------
        options : CleanOptions
            Options with the number of threads.

        Returns
        -------
        int
            1 if the outputs of a difference share the threads.
        """
        return 1 if self.records.n_threads > 1 else options.n_threads

    def scene_mask(self) -> Usable:
        """Pixels of the mean that were used as sky.

        Returns
        -------
        ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx)
            In the science frame; the user's mask if there is one.
        """
        if self.differences.user_mask is not None:
            return self.differences.user_mask
        readout = self.differences.exposure.readout
        return np.ascontiguousarray(readout.to_science(self.mask))

    def integrations(self) -> Iterator["IntegrationFit"]:
        """Fit one integration after the other.

        Yields
        ------
        IntegrationFit
            Mean and noise of the next integration.
        """
        n = self.differences.exposure.n_integrations
        if n == 1:
            yield IntegrationFit(self, 0, self.mean, self.noise_of_mean, self.converged)
            return
        for number in range(n):
            mean = self.differences.mean([number])
            noise, converged = self._own(mean, n)
            noise += self.noise_of_mean
            yield IntegrationFit(self, number, mean, noise, converged and self.converged)

    @cached_property
    def _dark(self) -> np.float32:
        """Level of the sky."""
        return (
            np.float32(np.median(self.mean.values[self.mask])) if self.mask.any() else np.float32(0)
        )

    def _own(self, mean: MeanImage, n: int) -> tuple[Image, bool]:
        """Noise of the mean of one of ``n`` integrations, relative to the mean of all."""
        # The deviation from the mean of all has a fraction 1 - 1 / n of the variance.
        spectrum = self.noise.spectrum.scaled(mean.factor * (1 - 1 / n))
        variance = mean.variance(
            spectrum.white,
            self.noise.photon_variance_per_dn * (1 - 1 / n),
            incomplete=self.tuning.incomplete,
        )
        # Pixels that are masked only for their light are used too, where it is so faint that a
        # change of it cannot be seen.
        steady = mean.usable & (
            np.abs(self.mean.values - self._dark) < self.tuning.steady_sigma * np.sqrt(variance)
        )
        observed = self.mask & mean.usable | steady
        values = np.where(observed, mean.values - self.mean.values, np.float32(0))
        image = WeightedImage(values=values, variance=variance, usable=observed)
        return fit_noise(
            image, spectrum, self.records, tolerance=self.tuning.gap_tolerance, tuning=self.tuning
        )


@dataclass(frozen=True)
class IntegrationFit:
    """Mean of an integration and its noise, with which its differences are fitted.

    Parameters
    ----------
    exposure_fit : WienerFit
        Noise and sky of the exposure.
    number : int
        Index of the integration.
    mean : MeanImage
        Mean of the integration's differences.
    noise : ndarray of float32, shape (n_slow, n_fast)
        Noise of that mean in DN per group.
    converged : bool, optional
        Whether the solutions for it reached their tolerance.
    """

    exposure_fit: WienerFit
    number: int
    mean: MeanImage
    noise: Image
    converged: bool = True

    def fit(self, j: int, buffer: Image) -> DifferenceFit:
        """Fit the noise of one difference.

        Parameters
        ----------
        j : int
            Index of the difference.
        buffer : ndarray of float32, shape (n_slow, n_fast)
            Work array; overwritten.

        Returns
        -------
        DifferenceFit
            Sum of the noise of the mean and of the deviation from it.
        """
        exposure_fit = self.exposure_fit
        n = exposure_fit.differences.exposure.n_differences
        step = self.mean.step(j)
        factor = self.mean.deviation_factor(self.number, j) if n > 1 else 0.0
        if factor > 0:
            # A pedestal, which `deviation` subtracts, would make all pixels outliers.
            values, good = exposure_fit.differences.deviation(self.number, j, self.mean, out=buffer)
            if exposure_fit.trend is not None:
                shared = self.mean.shared_factor(self.number, j)
                shared /= exposure_fit.differences.exposure.n_integrations
                step += exposure_fit.trend.remove(
                    values, good, self.mean.values, factor=factor, shared=shared
                )
        else:
            values, good = exposure_fit.differences.valid(self.number, j, out=buffer)
        converged = self.converged
        noise = self.noise if step == 1 else self.noise * np.float32(step)
        if factor > 0 and good.any():
            spectrum = exposure_fit.noise.spectrum.scaled(factor)
            image = self._image(j, values, good, spectrum)
            fitted, converged = fit_noise(
                image, spectrum, exposure_fit.records, tuning=exposure_fit.tuning
            )
            converged &= self.converged
            fitted += noise
            noise = fitted
        n_used = int(np.count_nonzero(good))
        if n_used == 0:
            return DifferenceFit(noise=NoiseImage(np.zeros_like(buffer)))
        return DifferenceFit(
            noise=NoiseImage(noise),
            background=exposure_fit.background,
            n_used=n_used,
            converged=converged,
        )

    def _image(self, j: int, values: Image, good: Usable, spectrum: NoiseSpectrum) -> WeightedImage:
        """Weighted image of a deviation from the mean; sets ``good`` to False for outliers."""
        n, step = self.exposure_fit.differences.exposure.n_differences, self.mean.step(j)
        variance = np.maximum(self.mean.values, 0)
        variance *= np.float32(
            self.exposure_fit.noise.photon_variance_per_dn * step * (1 - step / n)
        )
        variance += np.float32(spectrum.white)
        # A pixel with only one valid difference equals its mean, and constrains nothing.
        good &= self.mean.number > 1
        limit = variance + np.float32(spectrum.correlated_variance)
        limit *= np.float32(self.exposure_fit.tuning.outlier_sigma**2)
        with np.errstate(over="ignore"):
            good &= np.square(values) < limit
        np.copyto(values, np.float32(0), where=~good)
        return WeightedImage(values=values, variance=variance, usable=good)


def fit_wiener(
    exposure: Exposure,
    options: CleanOptions,
    *,
    flat: Image | None,
    science: Usable | None,
    user_mask: Usable | None,
    tuning: WienerTuning | None = None,
) -> WienerFit:
    """Measure the noise spectrum of an exposure, and the noise of its mean (level 1).

    Parameters
    ----------
    exposure : Exposure
        The exposure.
    options : CleanOptions
        Clipping level, and whether there is a sky.
    flat : ndarray of float32, shape (n_slow, n_fast), or None
        Flat field, in the detector frame.
    science : ndarray of bool, shape (ny, nx), or None
        True where science regions are to be masked.
    user_mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx), or None
        True where a pixel may be used.
    tuning : WienerTuning, optional
        Tuning constants.

    Returns
    -------
    WienerFit
        Result from which the differences of each integration are fitted.

    Raises
    ------
    NothingToClean
        If no pixel can be used, or there is no noise.
    """
    tuning = tuning or WienerTuning()
    differences = Differences(exposure, user_mask)
    mean = differences.mean(range(exposure.n_integrations))
    readout = exposure.readout
    n_slow, n_fast = differences.shape
    clock = Clock(
        n_slow=n_slow, n_fast=n_fast, n_outputs=readout.n_outputs, interleaved=readout.interleaved
    )
    # As in every scene mask, a value of exactly zero is not a measurement.
    allowed = mean.usable & (mean.values != 0)
    if science is not None:
        allowed &= ~readout.to_detector(science)
    if not allowed.any():
        msg = "no pixel can be used: all are flagged, not finite, zero or masked"
        raise NothingToClean(msg)

    n_sigma = clipping_level(options, tuning)

    def fit(noise: DetectorNoise, first: Usable | None = None) -> SkyFit:
        spectrum = noise.spectrum.scaled(mean.factor)
        return _fit_mean(
            WeightedImage(
                values=mean.values,
                variance=mean.variance(
                    spectrum.white, noise.photon_variance_per_dn, incomplete=tuning.incomplete
                ),
                usable=allowed,
                flat=flat,
                has_stars=exposure.has_stars,
                first_mask=first,
            ),
            spectrum,
            clock,
            n_sigma=n_sigma,
            has_sky=options.background_method is not None,
            n_threads=options.n_threads,
            tuning=tuning,
        )

    noise, clock, trend = _noise_and_trend(
        differences, mean, clock, allowed, n_threads=options.n_threads, tuning=tuning
    )
    if noise is None:
        noise = guess_detector_noise(mean, clock, allowed=allowed)
        guessed = fit(noise)
        noise = _noise_without(guessed, mean, clock, flat=flat, tuning=tuning)
        fitted = fit(noise, guessed.mask)
    else:
        fitted = fit(noise)
    fitted = _without_light(fitted, noise, mean, excess=tuning.excess)
    if n_sigma != options.n_sigma:
        log.warning(
            "n_sigma=%g leaves no sky, or takes light for sky: %g is taken, with which %.1f %% of "
            "the pixels are sky",
            options.n_sigma,
            n_sigma,
            100 * fitted.mask.mean(),
        )
    background: Image | float = 0.0
    if options.save_background:
        background = fitted.sky if flat is None else fitted.sky * flat
    return WienerFit(
        differences=differences,
        # Several outputs share the threads; with a single one, the differences do.
        records=Records(clock, options.n_threads if clock.n_outputs > 1 else 1),
        noise=noise,
        mean=mean,
        noise_of_mean=fitted.noise,
        mask=fitted.mask,
        background=background,
        converged=fitted.converged,
        trend=trend,
        tuning=tuning,
    )


def _noise_and_trend(
    differences: Differences,
    mean: MeanImage,
    clock: Clock,
    allowed: Usable,
    *,
    n_threads: int,
    tuning: WienerTuning,
) -> tuple[DetectorNoise | None, Clock, LightTrend | None]:
    """Measure the noise, and again without the trend of the light if there is one."""

    def measure(trend: LightTrend | None) -> tuple[DetectorNoise | None, Clock]:
        return measure_detector_noise(
            differences,
            mean,
            clock,
            allowed=allowed,
            trend=trend,
            n_threads=n_threads,
            tuning=tuning,
        )

    def trend_of(noise: DetectorNoise) -> LightTrend | None:
        return LightTrend.of(
            mean,
            noise.spectrum,
            Records(clock),
            photon_variance_per_dn=noise.photon_variance_per_dn,
            allowed=allowed,
            tuning=tuning,
        )

    noise, clock = measure(None)
    if noise is None or differences.exposure.n_differences == 1:
        return noise, clock, None
    trend = trend_of(noise)
    if trend is None or not has_trend(differences, mean, trend, allowed=allowed, tuning=tuning):
        return noise, clock, None
    log.warning(
        "Light is not linear in the times of the groups (meta.exposure.read_times, groups that "
        "were dropped, or an incomplete linearity correction): the light that this leaves in "
        "differences is not taken for noise"
    )
    again, clock = measure(trend)
    noise = again or noise
    return noise, clock, trend_of(noise)


def _fit_mean(
    image: WeightedImage, spectrum: NoiseSpectrum, clock: Clock, **options: Any
) -> SkyFit:
    """Fit noise and sky, if there are enough pixels to separate them."""
    try:
        return fit_noise_and_sky(image, spectrum, clock, **options)
    except np.linalg.LinAlgError as error:
        msg = (
            f"fit_method='wiener' cannot tell noise from sky in {clock.n_slow} rows of "
            f"{clock.n_fast} pixels, of which {np.count_nonzero(image.usable)} can be used: "
            "use 'median'"
        )
        raise NothingToClean(msg) from error


def clipping_level(options: CleanOptions, tuning: WienerTuning | None = None) -> float:
    """Clipping level, limited to a range that keeps sky and masks sources.

    Parameters
    ----------
    options : CleanOptions
        Options with the requested level.
    tuning : WienerTuning, optional
        Tuning constants.

    Returns
    -------
    float
        In standard deviations; 0 masks nothing.
    """
    n_sigma, tuning = options.n_sigma, tuning or WienerTuning()
    return min(max(n_sigma, tuning.least_sigma), tuning.most_sigma) if n_sigma else n_sigma


def _without_light(
    fitted: SkyFit, noise: DetectorNoise, mean: MeanImage, *, excess: float
) -> SkyFit:
    """Set the noise of the mean to 0 if it is stronger than noise can be."""
    found = float(np.var(fitted.noise, dtype=np.float64))
    expected = noise.spectrum.correlated_variance * mean.factor
    if found <= excess * expected:
        return fitted
    if len(mean.used) == 1:
        msg = (
            "fit_method='wiener' cannot tell the noise from light that fills most of the image: "
            "give a user_mask, or use 'median'"
        )
        raise NothingToClean(msg)
    log.warning(
        "Light fills most of the image, and hides the noise of the mean of all differences: "
        "only what they differ by is removed; a user_mask of the sky may help"
    )
    return replace(fitted, noise=np.zeros_like(fitted.noise))


def _noise_without(
    first: SkyFit, mean: MeanImage, clock: Clock, *, flat: Image | None, tuning: WienerTuning
) -> DetectorNoise:
    """Measure the noise of the mean after subtraction of a first guess of its sky.

    Too few pixels per row, or residual light, can give a spectrum that no detector has; a
    typical one is then used.
    """
    residual = mean.values - (first.sky if flat is None else first.sky * flat)
    usable = first.mask & mean.complete
    typical = guess_detector_noise(replace(mean, values=residual), clock, allowed=usable)
    measured = measure_image_noise(mean, residual, usable, clock, tuning=tuning)
    return measured if measured is not None and measured.is_like(typical) else typical


def report_fit(exposure_fit: WienerFit, noise_rms: float) -> None:
    """Log the measured noise in three lines.

    Parameters
    ----------
    exposure_fit : WienerFit
        Fit with the spectrum.
    noise_rms : float
        Root mean square of what was removed from the differences.
    """
    spectrum, exposure = exposure_fit.noise.spectrum, exposure_fit.differences.exposure
    common = 2 * np.trapezoid(spectrum.common, spectrum.frequency)
    per_output = 2 * np.trapezoid(spectrum.per_output, spectrum.frequency)
    log.info(
        "Noise of one read: rms %.3g common to the outputs, %.3g per output, %.3g white",
        max(common, 0.0) ** 0.5,
        max(per_output, 0.0) ** 0.5,
        spectrum.white**0.5,
    )
    log.info(
        "Correlated noise falls below the white noise at %.3g kHz; the outputs share %.0f %% of it",
        spectrum.knee / 1000,
        100 * spectrum.shared_fraction,
    )
    reads = 1 if exposure.group_dq is None else 2
    expected = reads * spectrum.correlated_variance
    log.info(
        "Removed %.0f %% of the variance of the correlated noise",
        100 * min(noise_rms**2 / expected, 1.0) if expected > 0 else 0.0,
    )
