"""Fits of an exposure, of its integrations and of their differences, with the Wiener filter.

Let m be the mean of all differences of an exposure. The scene is in m, but not in the
deviations from m, so that all good pixels determine the noise of these (level 2). The noise
of m is determined, together with the sky, by the pixels that contain only sky (level 1). The
noise of single integrations lies between the two and is fitted to pixels that do not vary.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from deflicker.noise.fit import DifferenceFit
from deflicker.noise.method import SharedPower
from deflicker.noise.noise_image import NoiseImage
from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.noise.wiener.detector_noise import DetectorNoise
from deflicker.noise.wiener.light_trend import LightTrend
from deflicker.noise.wiener.mean_image import Differences, MeanImage
from deflicker.noise.wiener.noise_fit import fit_noise
from deflicker.noise.wiener.records import Records
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.noise.wiener.weighted_image import WeightedImage
from deflicker.options import CleanOptions

__all__ = ["IntegrationFit", "WienerFit"]

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
    shared : SharedPower
        Variance of the noise that was found in the mean, that which the model lets expect, and
        the fraction of the first that is not light.
    removed_variance : float, optional
        Variance of the noise of the mean that this removes according to the model of noise, light
        and sky.
    roughness : float, optional
        Roughness of the sky, between 0 and 1 for the stiffest and the roughest one.
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
    shared: SharedPower
    removed_variance: float = 0.0
    roughness: float = 0.0
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
