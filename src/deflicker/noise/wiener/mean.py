"""Noise and sky of an image, fitted together to the pixels without sources."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.clock import Clock
from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.noise.wiener.coupling import SlowModes
from deflicker.noise.wiener.sky import SkySplines, SmoothSky, sky_penalty
from deflicker.noise.wiener.solver import (
    NoiseEquations,
    NoisePrior,
    Records,
    Spectra,
    solve_noise,
)
from deflicker.noise.wiener.stars import spare_faint_stars
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.noise.wiener.weights import ObservedPixels, RecordWeights
from deflicker.scene.sources import (
    BOX,
    CROWDED,
    find_sources,
    fine_structure,
    noise_level,
    sky_map,
    source_halos,
)
from deflicker.stats.row_medians import row_medians

__all__ = ["SkyFit", "WeightedImage", "fit_noise", "fit_noise_and_sky"]

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]

# Number of alternations between solving and searching for sources. Few pixels separate noise from
# sky less well, and one more solution costs little.
SOLUTIONS, FEW_PIXELS = 2, 1 << 20


@dataclass(frozen=True, kw_only=True)
class SkyFit:
    """Noise and sky of a mean image.

    Parameters
    ----------
    noise : ndarray of float32, shape (n_slow, n_fast)
        Noise in DN per group; its mean is 0.
    sky : ndarray of float32, shape (n_slow, n_fast)
        Sky in DN per group, before the flat field.
    mask : ndarray of bool, shape (n_slow, n_fast)
        True for pixels that were used as sky.
    converged : bool, optional
        Whether the last solutions reached the requested tolerance.
    """

    noise: Image
    sky: Image
    mask: Usable
    converged: bool = True


@dataclass(frozen=True, kw_only=True)
class WeightedImage:
    """An image of sky, sources and noise.

    Parameters
    ----------
    values : ndarray of float32, shape (n_slow, n_fast)
        In the detector frame, in DN.
    variance : ndarray of float32, shape (n_slow, n_fast)
        White variance of the pixels in DN squared, positive.
    usable : ndarray of bool, shape (n_slow, n_fast)
        True where the image may be used, which is at least one pixel.
    flat : ndarray of float32, shape (n_slow, n_fast), optional
        Flat field, which multiplies sky and sources, but not the noise.
    has_stars : bool, optional
        Whether there may be stars anywhere. Light of those too faint to be detected is then
        not taken for noise.
    first_mask : ndarray of bool, shape (n_slow, n_fast), optional
        Sky pixels of an earlier fit; by default, sources are searched for.
    """

    values: Image
    variance: Image
    usable: Usable
    flat: Image | None = None
    has_stars: bool = False
    first_mask: Usable | None = None

    @property
    def weights(self) -> Image:
        """Inverse variance, 0 where the image may not be used."""
        weights = np.zeros_like(self.variance)
        return np.divide(1, self.variance, out=weights, where=self.usable)

    def observed(self, light: Image) -> Image:
        """Light multiplied by the flat field."""
        return light if self.flat is None else light * self.flat

    def before_flat(self, light: Image) -> Image:
        """Light divided by the flat field."""
        return light if self.flat is None else light / self.flat

    def without(self, light: Image) -> "WeightedImage":
        """Image after subtraction of some light; 0 where it may not be used."""
        values = np.where(self.usable, self.values - self.observed(light), np.float32(0))
        return replace(self, values=values)


def fit_noise_and_sky(  # noqa: PLR0913 - the last four are settings
    image: WeightedImage,
    spectrum: NoiseSpectrum,
    clock: Clock,
    *,
    n_sigma: float = 2.0,
    has_sky: bool = True,
    n_threads: int = 1,
    tuning: WienerTuning | None = None,
) -> SkyFit:
    """Fit the noise of an image together with its sky.

    Parameters
    ----------
    image : WeightedImage
        The image.
    spectrum : NoiseSpectrum
        Spectrum of its noise.
    clock : Clock
        Order of the pixels.
    n_sigma : float, optional
        Clipping level for sources; 0 masks none.
    has_sky : bool, optional
        Whether to fit a sky; otherwise the image contains only noise and sources.
    n_threads : int, optional
        Threads to use.
    tuning : WienerTuning, optional
        Tuning constants.

    Returns
    -------
    SkyFit
        Noise, sky and mask.

    Notes
    -----
    The sky is a surface of splines with a Gaussian prior, and is eliminated from the
    equations of the noise, see `deflicker.noise.wiener.sky`. After each solution, sources are
    searched for in the residual, and masked in the next one.
    """
    tuning = tuning or WienerTuning()
    usable = image.usable
    middle, crowded = _level(image, spectrum)
    level = middle if has_sky else None
    limit = tuning.source_sigma * n_sigma
    mask = usable
    if limit > 0 and image.first_mask is not None:
        mask = image.first_mask
    elif limit > 0:
        found = _first_sources(
            image,
            spectrum,
            clock,
            (max(limit, tuning.first_source_sigma), limit),
            level=middle if crowded else None,
            n_threads=n_threads,
        )
        mask = _left_over(usable, found)
        del found
    state = _SkyAndNoise(image, spectrum, clock, level=level, n_threads=n_threads, tuning=tuning)
    del image
    solutions = SOLUTIONS + (usable.size < FEW_PIXELS)
    for _ in range(solutions if limit > 0 else 1):
        state.solve(mask)
        if limit > 0:
            residual = state.residual()
            mask = _left_over(
                usable,
                find_sources(
                    residual,
                    usable,
                    n_sigma=limit,
                    white=spectrum.white,
                    correlated=spectrum.correlated_variance,
                    n_threads=n_threads,
                ),
            )
            if level is not None:
                residual += state.detail
                residual -= level
                state.detail = fine_structure(residual, mask, n_threads=n_threads)
                state.detail += level
            del residual  # frees memory for the solution
    noise, finished = state.finish(mask)
    converged = state.converged and finished
    return SkyFit(noise=noise, sky=state.sky(), mask=mask, converged=converged)


def _left_over(usable: Usable, sources: Usable) -> Usable:
    """Usable pixels without sources; all usable pixels if none would remain."""
    mask = usable & ~sources
    return mask if mask.any() else usable


def _level(image: WeightedImage, spectrum: NoiseSpectrum) -> tuple[np.float32, bool]:
    """Level of the sky (median, or mode if crowded), and whether light fills the image."""
    limit = CROWDED * (spectrum.white + spectrum.correlated_variance) ** 0.5
    values = image.before_flat(image.values)[image.usable]
    level, sigma = noise_level(values, limit)
    return np.float32(level), sigma >= limit


def _first_sources(
    image: WeightedImage,
    spectrum: NoiseSpectrum,
    clock: Clock,
    limits: tuple[float, float],
    *,
    level: np.float32 | None,
    n_threads: int,
) -> Usable:
    """Sources in an image that contains its noise, before and after subtracting row medians."""
    usable = image.usable
    noise = {"white": spectrum.white, "correlated": spectrum.correlated_variance}
    values = image.before_flat(image.values)
    residual = values - (sky_map(values, usable)[1] if level is None else level)
    found = find_sources(residual, usable, n_sigma=limits[0], n_threads=n_threads, **noise)
    for k in range(clock.n_outputs):
        part = slice(k * clock.width, (k + 1) * clock.width)
        observed = np.ascontiguousarray(usable[:, part] & ~found[:, part])
        levels = row_medians(np.ascontiguousarray(residual[:, part]), observed)
        residual[:, part] -= levels[:, np.newaxis]
    return found | find_sources(
        residual, usable & ~found, n_sigma=limits[1], n_threads=n_threads, **noise
    )


class _SkyAndNoise:
    """Current estimates of the noise and sky of an image.

    All solutions but the last are for means of a few pixels, which cost less.
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
        self._noise = self._smooth = np.zeros(bins, dtype=np.float32)
        self.converged = True  # of the last solution
        self._solution: Spectra | None = None
        self._slow_modes: SlowModes | None = None

    def sky(self) -> Image:
        """Sky, before the flat field."""
        sky = np.repeat(self._smooth, self.size, axis=1)
        sky += self.detail
        return sky

    def residual(self) -> Image:
        """Residual of the image after noise and sky, divided by the flat field."""
        residual = self.image.values - np.repeat(self._noise, self.size, axis=1)
        residual = self.image.before_flat(residual)
        residual -= self.sky()
        return residual

    def solve(self, mask: Usable) -> None:
        """Fit slow noise and smooth sky to the pixels of the mask."""
        observed = self._observed(mask)
        brightness = self._brightness(observed) if self.has_sky else None
        observed = observed.binned(self.size)
        observed = replace(observed, weights=observed.weights * self._known)
        sky = None
        if brightness is not None:
            sky = SmoothSky(
                self.splines,
                weights=observed.of_sky(observed.of_sky(observed.weights)),
                penalty=sky_penalty(self.splines, brightness, tuning=self.tuning),
                halos=self._halos(mask),
                halo_fraction=self.tuning.halo_fraction,
            )
        if sky is not None and self._slow_modes is None:
            # The preconditioner of the first mask is good enough for the later ones.
            self._slow_modes = SlowModes(
                sky, observed, self.prior, self.records, cycles=int(self.tuning.slow_cycles)
            )
        weights = RecordWeights(observed, self.records, sky)
        equations = NoiseEquations(
            records=self.records,
            prior=self.prior,
            weights=weights,
            mean_weight=float(observed.weights.mean(dtype=np.float64)),
            correction=self._slow_modes,
        )
        rhs = weights.right_hand_side(observed.values)
        self._solution, self.converged = solve_noise(
            equations, rhs, tolerance=self.tuning.sky_tolerance, start=self._solution
        )
        pixels = self.records.pixels(self._solution)
        self._noise = _without_level(self.records.clock.image(pixels))
        if sky is not None:
            without_noise = observed.values - self._noise
            self._smooth = sky.image(observed.of_sky(observed.weights * without_noise))

    def finish(self, mask: Usable) -> tuple[Image, bool]:
        """Fit the noise at full resolution with the sky fixed; `solve` must not follow."""
        records = Records(self.clock, self.n_threads)
        start = None if self._solution is None else self.records.refined(self._solution, records)
        self._solution = self._slow_modes = None
        return fit_noise(
            self._last_image(mask), self.spectrum, records, start=start, tuning=self.tuning
        )

    def _last_image(self, mask: Usable) -> WeightedImage:
        """Image after subtraction of the sky; the original is freed for lack of memory."""
        image = replace(self.image.without(self.sky()), usable=mask)
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


def fit_noise(
    image: WeightedImage,
    spectrum: NoiseSpectrum,
    records: Records,
    *,
    start: Spectra | None = None,
    tolerance: float | None = None,
    tuning: WienerTuning | None = None,
) -> tuple[Image, bool]:
    """Fit the noise of an image without sky and sources, except for undetected faint stars.

    Parameters
    ----------
    image : WeightedImage
        The image; finite.
    spectrum : NoiseSpectrum
        Spectrum of its noise.
    records : Records
        Order of the pixels.
    start : ndarray of complex64, shape (n_outputs, records.size // 2 + 1), optional
        First guess of the spectra of the noise; overwritten.
    tolerance : float, optional
        Tolerance of the residual, see `solve_noise`; that of ``tuning`` by default. Gaps of
        several rows converge last, and need a smaller one.
    tuning : WienerTuning, optional
        Tuning constants.

    Returns
    -------
    noise : ndarray of float32, shape (n_slow, n_fast)
        Noise in DN, of mean 0, finite everywhere.
    converged : bool
        Whether the solution reached the tolerance.
    """
    tuning = tuning or WienerTuning()
    tolerance = tuning.tolerance if tolerance is None else tolerance
    clock = records.clock
    pixels = ObservedPixels(image.values, image.weights)
    weights = RecordWeights(pixels, records)
    prior = NoisePrior.of(spectrum, records)
    mean_weight = float(pixels.weights.mean(dtype=np.float64))
    used = np.count_nonzero(pixels.weights) / pixels.weights.size
    equations = NoiseEquations(
        records=records, prior=prior, weights=weights, mean_weight=mean_weight
    )
    rhs = weights.right_hand_side(pixels.values)
    has_stars = image.has_stars
    del image, pixels  # frees memory for the solution
    solution, converged = solve_noise(equations, rhs, tolerance=tolerance, start=start)
    del equations, weights, rhs
    if has_stars and mean_weight > 0:
        spare_faint_stars(
            solution, records, prior, used=used, mean_weight=mean_weight, tuning=tuning
        )
    return _without_level(clock.image(records.pixels(solution))), converged


def _without_level(noise: Image) -> Image:
    """Subtract the mean of the noise, in place: the level belongs to the sky."""
    noise -= np.float32(noise.mean(dtype=np.float64))
    return noise
