"""Alternating estimates of the noise, the sky and other light of a mean image."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.clock import Clock
from deflicker.noise.method import SharedPower
from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.noise.wiener.coupling import SlowModes
from deflicker.noise.wiener.light import LightPower, ModePowers, Waves
from deflicker.noise.wiener.noise_fit import noise_image, noise_spectra, without_level
from deflicker.noise.wiener.octaves import spare_light
from deflicker.noise.wiener.prior import NoisePrior, variance_of
from deflicker.noise.wiener.records import Records, Spectra
from deflicker.noise.wiener.sky import SkySplines, SmoothSky, sky_penalty
from deflicker.noise.wiener.solver import NoiseEquations, solve_noise
from deflicker.noise.wiener.stars import star_power
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.noise.wiener.weighted_image import SkyFit, WeightedImage
from deflicker.noise.wiener.weights import ObservedPixels, RecordWeights
from deflicker.scene.sources import BOX, sky_map, source_halos

__all__ = ["SkyAndNoise", "may_measure_light"]

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]


# Fewer rows or columns have too few waves to tell light from noise by their power.
FEWEST_PIXELS = 64


def may_measure_light(shape: tuple[int, ...]) -> bool:
    """Whether an image is large enough to measure the power of its light.

    Parameters
    ----------
    shape : tuple of int
        (n_slow, n_fast).

    Returns
    -------
    bool
        True from 64 pixels in both directions.
    """
    return min(shape) >= FEWEST_PIXELS


class SkyAndNoise:
    """Current estimates of the noise, the sky and other light of an image.

    All solutions but the last are for means of a few pixels, which cost less.

    Parameters
    ----------
    image : WeightedImage
        The image.
    spectrum : NoiseSpectrum
        Spectrum of its noise.
    clock : Clock
        Order of the pixels.
    level : float32 or None
        Level of the sky; None if there is no sky.
    n_threads : int
        Threads to use.
    tuning : WienerTuning
        Tuning constants.
    """

    def __init__(
        self,
        image: WeightedImage,
        spectrum: NoiseSpectrum,
        clock: Clock,
        *,
        level: np.float32 | None,
        n_threads: int,
        tuning: WienerTuning,
    ) -> None:
        self.tuning = tuning
        self.image, self.spectrum, self.clock, self.n_threads = image, spectrum, clock, n_threads
        self.splines = SkySplines(
            image.values.shape, spacing=tuning.knot_spacing, width=clock.width
        )
        self.has_sky = level is not None
        self._level = np.float32(0) if level is None else level
        self.size = self.splines.fast_bin
        # Transforms of binned records are too short to gain from threads.
        self.records = Records(clock.binned(self.size), n_threads if self.size == 1 else 1)
        self.prior = NoisePrior.of(spectrum, self.records)
        # Means of pixels resolve only the slow noise; the fast noise adds to their white noise.
        white, fast = spectrum.white / self.size, spectrum.unresolved_variance(self.size)
        self._known = np.float32(white / (white + fast))
        self.detail = np.full_like(image.values, self._level)  # level and fine structure of the sky
        bins = (clock.n_slow, clock.n_fast // self.size)
        self._noise = self._smooth = self._field = np.zeros(bins, dtype=np.float32)
        self._total: Spectra | None = None  # noise and light
        self._roughness = 0.0  # of the sky
        self._hidden = 0.0  # variance of slow noise that the sky hides
        self._measures_light = may_measure_light(image.values.shape)
        self._waves = Waves.of(self.records)
        self.light = LightPower.none(self.records.clock, tuning)

    def sky(self) -> Image:
        """Sky, before the flat field."""
        return self._sky(self._smooth + self._field)

    def _sky(self, binned: Image) -> Image:
        sky = np.repeat(binned, self.size, axis=1)
        sky += self.detail
        return sky

    def residual(self) -> Image:
        """Residual of the image after noise and sky, divided by the flat field."""
        residual = self.image.values - np.repeat(self._noise, self.size, axis=1)
        residual = self.image.before_flat(residual)
        residual -= self.sky()
        return residual

    def choose_scale(self, mask: Usable) -> None:
        """Fit the pixels of the mask with a sky as rough as noise and sky then explain the image.

        The lowest frequencies are compared with what is expected of them. If a stiff sky leaves
        too much, the scale is interpolated between that of a stiff and that of a rough sky. The
        very lowest ones are also judged alone, since they are a few among many.
        """
        tuning = self.tuning
        powers = self._fit(mask)
        if self.has_sky and self._measures_light:
            excess = powers.excess(below=0.5 / tuning.knot_spacing)
            if excess > tuning.sky_excess:
                self._roughness = float(
                    np.log(excess / tuning.sky_excess) / np.log(excess / tuning.least_excess)
                )
            largest = powers.excess(below=1 / tuning.largest_scale)
            if largest > tuning.largest_excess:
                rough = float(np.log(largest) / np.log(largest / tuning.least_largest))
                self._roughness = max(self._roughness, rough)
            if self._roughness:
                powers = self._fit(mask)
        self._measure_light(powers)

    def solve(self, mask: Usable) -> None:
        """Fit slow noise, smooth sky and other light to the pixels of the mask."""
        self._measure_light(self._fit(mask))

    def _measure_light(self, powers: ModePowers) -> None:
        if self._measures_light:
            self.light = self.light.measured(powers, binning=self.size)

    def _fit(self, mask: Usable) -> ModePowers:
        observed = self._observed(mask)
        brightness = self._brightness(observed) if self.has_sky else None
        observed = observed.binned(self.size)
        observed = replace(observed, weights=observed.weights * self._known)
        sky = None
        if brightness is not None:
            ratio = self.tuning.roughest_scale / self.tuning.sky_scale
            scale = self.tuning.sky_scale * ratio**self._roughness
            tuning = replace(self.tuning, sky_scale=scale)
            sky = SmoothSky(
                self.splines,
                weights=observed.of_sky(observed.of_sky(observed.weights)),
                penalty=sky_penalty(self.splines, brightness, tuning=tuning),
                halos=self._halos(mask),
                halo_fraction=tuning.halo_fraction,
            )
        prior = self.prior.with_light(self.light.at(self._waves, binning=self.size))
        slow_modes = None
        if sky is not None:
            cycles = int(self.tuning.slow_cycles)
            slow_modes = SlowModes(sky, observed, prior, self.records, cycles=cycles)
        weights = RecordWeights(observed, self.records, sky)
        ticks = self.clock.n_outputs * self.records.size
        mean_weight = float(observed.weights.sum(dtype=np.float64)) / ticks
        if slow_modes is not None:
            self._hidden = slow_modes.hidden_variance(self.prior, mean_weight=mean_weight)
        equations = NoiseEquations(
            records=self.records,
            prior=prior,
            weights=weights,
            mean_weight=float(observed.weights.mean(dtype=np.float64)),
            correction=slow_modes,
        )
        rhs = weights.right_hand_side(observed.values)
        self._total, _ = solve_noise(
            equations, rhs, tolerance=self.tuning.sky_tolerance, start=self._total
        )
        total = without_level(self._image(self._total))
        self._noise = without_level(self._image(self.prior.share(self._total, prior)))
        self._field = total - self._noise
        if sky is not None:
            without_noise = observed.values - total
            self._smooth = sky.image(observed.of_sky(observed.weights * without_noise))
        return ModePowers.of(
            self._total,
            prior,
            self.records,
            self._waves,
            mean_weight=mean_weight,
            used=np.count_nonzero(observed.weights) / ticks,
        )

    def _image(self, spectra: Spectra) -> Image:
        return self.records.clock.image(self.records.pixels(spectra))

    def finish(self, mask: Usable, *, guard_light: bool) -> SkyFit:
        """Fit the noise at full resolution with the sky fixed; `solve` must not follow."""
        records = Records(self.clock, self.n_threads)
        start = None if self._total is None else self.records.refined(self._total, records)
        self._total = None
        image, waves = self._last_image(mask), Waves.of(records)
        mean_weight = float(image.weights.mean(dtype=np.float64))
        light = self.light.at(waves)
        if image.has_stars and mean_weight > 0:
            used = np.count_nonzero(mask) / mask.size
            power = np.float32(self.tuning.star_power * used / mean_weight)
            light += power * star_power(waves, sigma=self.tuning.star_sigma)
        prior = NoisePrior.of(self.spectrum, records)
        noise, converged = noise_spectra(
            image, prior, records, light=light, start=start, tolerance=self.tuning.tolerance
        )
        del image
        modes = prior.removed_power(light, mean_weight=mean_weight)
        expected = variance_of(modes, records)
        spared, modes = spare_light(noise, modes, waves)
        removed = variance_of(modes, records) - self._hidden
        del modes, prior, light, waves
        fitted = noise_image(noise, records)
        found = kept = float(np.var(fitted, dtype=np.float64))
        if spared is not noise:
            del noise
            without = noise_image(spared, records)
            kept = float(np.var(without, dtype=np.float64))
            fitted = without if guard_light else fitted
        return SkyFit(
            noise=fitted,
            sky=self.sky(),
            mask=mask,
            converged=converged,
            roughness=self._roughness,
            removed_variance=max(removed, 0.0),
            shared=SharedPower(
                found=found, expected=expected, kept=kept / found if found > 0 else 1.0
            ),
        )

    def _last_image(self, mask: Usable) -> WeightedImage:
        """Image after subtraction of the sky; the original is freed for lack of memory."""
        image = replace(self.image.without(self._sky(self._smooth)), usable=mask)
        del self.image
        return image

    def _observed(self, mask: Usable) -> ObservedPixels:
        """Pixels of the mask, after subtraction of the fine structure of the sky."""
        image = replace(self.image.without(self.detail), usable=mask)
        return ObservedPixels(image.values, image.weights, image.flat)

    def _brightness(self, observed: ObservedPixels) -> NDArray[np.float64]:
        """Brightness of the sky near each spline, with a lower limit, for its prior."""
        limit = self.tuning.significant_brightness * _box_variance(self.spectrum, self.clock)
        values = self.image.before_flat(observed.values)
        bright = _brightness(
            values, observed.weights > 0, self.splines, dark=self.tuning.dark_percentile
        )
        power = np.maximum(bright**2 - limit, 0)
        noise = self.spectrum.correlated_variance + self.tuning.white_fraction * self.spectrum.white
        least = self.tuning.wing_fraction**2 * power.max() + self.tuning.noise_fraction**2 * noise
        return np.sqrt(power + least)

    def _halos(self, mask: Usable) -> NDArray[np.float32]:
        """Wings of the sources that the mask excludes."""
        light = self.image.before_flat(self.image.values) - self._level
        light -= np.repeat(self._smooth, self.size, axis=1)
        faint = light < self.image.before_flat(
            np.float32(self.tuning.halo_sigma) * np.sqrt(self.image.variance)
        )
        light[faint | mask | ~self.image.usable] = 0
        return source_halos(light, binning=self.size)


def _box_variance(spectrum: NoiseSpectrum, clock: Clock) -> float:
    """Variance of the noise in sky boxes, each the mean of the levels of BOX rows."""
    slow = spectrum.frequency < 0.5 / (BOX * clock.row_ticks)
    power = spectrum.common + spectrum.per_output
    whole = spectrum.correlated_variance
    rows = 2 * float(np.trapezoid(power[slow], spectrum.frequency[slow])) if slow.any() else 0.0
    return rows + max(whole - rows, 0.0) / BOX


def _brightness(
    values: Image, usable: Usable, splines: SkySplines, *, dark: float
) -> NDArray[np.float64]:
    """Brightness of the sky above its level near each spline."""
    boxes, _ = sky_map(values, usable)
    rows, columns = (
        np.clip((centres * number / size).astype(int), 0, number - 1)
        for centres, number, size in zip(splines.centres(), boxes.shape, values.shape, strict=True)
    )
    above = np.abs(boxes - np.percentile(boxes, dark))
    return above[np.ix_(rows, columns)].astype(np.float64)
