"""First fit of a Wiener cleaning: spectrum, sky, and noise of the mean of all differences."""

import logging
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.clock import Clock
from deflicker.errors import NothingToClean
from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.noise.wiener.detector_noise import (
    DetectorNoise,
    guess_detector_noise,
    has_trend,
    measure_detector_noise,
    measure_image_noise,
)
from deflicker.noise.wiener.levels import WienerFit
from deflicker.noise.wiener.light_trend import LightTrend
from deflicker.noise.wiener.mean import fit_noise_and_sky
from deflicker.noise.wiener.mean_image import Differences, MeanImage
from deflicker.noise.wiener.records import Records
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.noise.wiener.weighted_image import SkyFit, WeightedImage
from deflicker.options import CleanOptions
from deflicker.ramps.exposure import Exposure
from deflicker.scene.known_light import KnownLight

__all__ = ["clipping_level", "fit_wiener"]

log = logging.getLogger(__name__)

MUCH_LIGHT = 0.1  # fraction of the noise that is worth a warning

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]


def fit_wiener(  # noqa: PLR0913 - each is a different input
    exposure: Exposure,
    options: CleanOptions,
    *,
    flat: Image | None,
    science: Usable | None,
    user_mask: Usable | None,
    known: KnownLight | None = None,
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
    known : KnownLight, optional
        Light of a difference of mean duration that is known, in the detector frame.
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
    # The photons of the light that is known are in the mean all the same.
    unknown = mean if known is None else replace(mean, values=mean.values - known.light)

    def fit(noise: DetectorNoise, first: Usable | None = None) -> SkyFit:
        spectrum = noise.spectrum.scaled(mean.factor)
        variance = mean.variance(
            spectrum.white, noise.photon_variance_per_dn, incomplete=tuning.incomplete
        )
        return _fit_mean(
            WeightedImage(
                values=unknown.values,
                variance=variance if known is None else variance + np.square(known.error),
                usable=allowed,
                flat=flat,
                has_stars=exposure.has_stars,
                first_mask=first,
            ),
            spectrum,
            clock,
            n_sigma=n_sigma,
            has_sky=options.background_method is not None,
            guard_light=options.guard_light,
            n_threads=options.n_threads,
            tuning=tuning,
        )

    noise, clock, trend = _noise_and_trend(
        differences, mean, clock, allowed, n_threads=options.n_threads, tuning=tuning
    )
    if noise is None:
        noise = guess_detector_noise(unknown, clock, allowed=allowed)
        guessed = fit(noise)
        noise = _noise_without(guessed, unknown, clock, flat=flat, tuning=tuning)
        fitted = fit(noise, guessed.mask)
    else:
        fitted = fit(noise)
    if options.guard_light:
        fitted = _without_light(fitted, mean, excess=tuning.excess)
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
        shared=fitted.shared,
        removed_variance=fitted.removed_variance,
        roughness=fitted.roughness,
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


def _without_light(fitted: SkyFit, mean: MeanImage, *, excess: float) -> SkyFit:
    """Set the noise of the mean to 0 if it is stronger than noise beside the light can be."""
    shared = fitted.shared
    if shared.found <= excess * shared.expected:
        if shared.kept < 1 - MUCH_LIGHT:
            log.warning(
                "Noise of the mean of all differences is stronger at some frequencies than noise "
                "can be: %.0f %% of its variance is light and was left alone (guard_light=False "
                "takes it for noise)",
                100 * (1 - shared.kept),
            )
        return fitted
    if len(mean.used) == 1:
        msg = (
            "fit_method='wiener' cannot tell the noise from light that fills most of the image: "
            "give a user_mask, or use 'median'"
        )
        raise NothingToClean(msg)
    return replace(fitted, noise=np.zeros_like(fitted.noise), shared=replace(shared, kept=0.0))


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
