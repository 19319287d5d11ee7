"""Noise and sky of an image, fitted together to the pixels without sources."""

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.clock import Clock
from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.noise.wiener.sky_and_noise import SkyAndNoise, may_measure_light
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.noise.wiener.weighted_image import SkyFit, WeightedImage
from deflicker.scene.growth import grow_along_rows
from deflicker.scene.sources import (
    CROWDED,
    find_compact_sources,
    find_sources,
    fine_structure,
    noise_level,
    sky_map,
)
from deflicker.stats.row_medians import row_medians

__all__ = ["fit_noise_and_sky"]

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]

# Number of alternations between solving and searching for sources. Few pixels separate noise from
# sky less well, and one more solution costs little.
SOLUTIONS, FEW_PIXELS = 2, 1 << 20


def fit_noise_and_sky(  # noqa: PLR0913 - the last four are settings
    image: WeightedImage,
    spectrum: NoiseSpectrum,
    clock: Clock,
    *,
    n_sigma: float = 2.0,
    has_sky: bool = True,
    guard_light: bool = True,
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
    guard_light : bool, optional
        Whether to leave alone what is stronger in an octave of frequency than noise can be.
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
    equations of the noise, see `deflicker.noise.wiener.sky`. Light that is neither masked nor
    smooth has a power spectrum, see `deflicker.noise.wiener.light`, which is measured after each
    solution. Then sources are searched for in the residual, and masked in the next one.

    If the first search leaves few pixels, light may fill the image, of which the faint parts only
    seem to be sky. Then a fit that masks only compact sources is tried too, and kept if
    its residual leaves more sky.
    """
    tuning = tuning or WienerTuning()
    middle, crowded = _level(image, spectrum)
    fit = _Alternation(
        image,
        spectrum,
        clock,
        level=middle if has_sky else None,
        limit=tuning.source_sigma * n_sigma,
        guard_light=guard_light,
        n_threads=n_threads,
        tuning=tuning,
    )
    usable = image.usable
    if not fit.limit > 0:
        del image
        state, mask = fit.start(usable)
        return fit.finish(state, mask)
    few = tuning.crowded_fraction * np.count_nonzero(usable)
    if image.first_mask is not None:
        state, mask = fit.start(image.first_mask)
    else:
        first = fit.first_mask(middle if crowded else None)
        state, mask = fit.start(first)
        found = min(np.count_nonzero(first), np.count_nonzero(mask))
        if found < few and may_measure_light(usable.shape):
            compact = usable & ~find_compact_sources(image.before_flat(image.values), usable)
            other, other_mask = fit.start(compact)
            if np.count_nonzero(other_mask) > found:
                state, mask = other, other_mask
            del other, other_mask
    del image
    for _ in range(SOLUTIONS + (usable.size < FEW_PIXELS) - 1):
        state.solve(mask)
        mask = fit.search(state)
    return fit.finish(state, mask)


class _Alternation:
    """Solutions for noise and sky that alternate with searches for sources."""

    def __init__(  # noqa: PLR0913 - all are kept
        self,
        image: WeightedImage,
        spectrum: NoiseSpectrum,
        clock: Clock,
        *,
        level: np.float32 | None,
        limit: float,
        guard_light: bool,
        n_threads: int,
        tuning: WienerTuning,
    ) -> None:
        self.guard_light = guard_light
        self.image, self.spectrum, self.clock = image, spectrum, clock
        self.level, self.limit, self.n_threads, self.tuning = level, limit, n_threads, tuning
        self.noise = {"white": spectrum.white, "correlated": spectrum.correlated_variance}

    def start(self, mask: Usable) -> tuple[SkyAndNoise, Usable]:
        """Solve for the first time with the sky pixels of a mask, and search for sources."""
        state = SkyAndNoise(
            self.image,
            self.spectrum,
            self.clock,
            level=self.level,
            n_threads=self.n_threads,
            tuning=self.tuning,
        )
        if not self.limit > 0:
            state.choose_scale(mask)
            return state, mask
        state.choose_scale(self._grown(mask))
        return state, self.search(state)

    def search(self, state: SkyAndNoise) -> Usable:
        """Search for sources in the residual; return the sky pixels, and update its structure."""
        usable = self.image.usable
        residual = state.residual()
        found = find_sources(
            residual, usable, n_sigma=self.limit, n_threads=self.n_threads, **self.noise
        )
        mask = self._grown(_left_over(usable, found))
        if self.level is not None:
            residual += state.detail
            residual -= self.level
            state.detail = fine_structure(residual, mask, n_threads=self.n_threads)
            state.detail += self.level
        return mask

    def finish(self, state: SkyAndNoise, mask: Usable) -> SkyFit:
        """Last solution; no other may follow."""
        del self.image  # frees memory for the solution
        return state.finish(mask, guard_light=self.guard_light)

    def _grown(self, mask: Usable) -> Usable:
        tuning = self.tuning
        light = self.image.before_flat(self.image.values) - (self.level or np.float32(0))
        return grow_along_rows(
            mask,
            light,
            self.image.usable,
            noise=self.spectrum.correlated_variance,
            white=self.spectrum.white,
            shortest=int(tuning.grown_run),
            bright=tuning.grown_brightness,
            faintest=tuning.faintest_profile,
            farthest=tuning.farthest_growth,
        )

    def first_mask(self, level: np.float32 | None) -> Usable:
        """Sky pixels of the image with its noise, before and after subtracting row medians.

        ``level`` is that of the sky of a crowded image.
        """
        image, clock, limit = self.image, self.clock, self.limit
        usable, n_threads = image.usable, self.n_threads
        values = image.before_flat(image.values)
        residual = values - (sky_map(values, usable)[1] if level is None else level)
        high = max(limit, self.tuning.first_source_sigma)
        found = find_sources(residual, usable, n_sigma=high, n_threads=n_threads, **self.noise)
        for k in range(clock.n_outputs):
            part = slice(k * clock.width, (k + 1) * clock.width)
            observed = np.ascontiguousarray(usable[:, part] & ~found[:, part])
            levels = row_medians(np.ascontiguousarray(residual[:, part]), observed)
            residual[:, part] -= levels[:, np.newaxis]
        found |= find_sources(
            residual, usable & ~found, n_sigma=limit, n_threads=n_threads, **self.noise
        )
        return _left_over(usable, found)


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
