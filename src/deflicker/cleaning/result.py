"""A cleaned exposure."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deflicker.noise.method import RemovedNoise, SharedPower
from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.ramps.exposure import Ramps

__all__ = ["CleanResult"]


@dataclass(kw_only=True)
class CleanResult:
    """A cleaned exposure and the results of the fits.

    Parameters
    ----------
    data : Ramps of float, shape (n_integrations, n_groups, ny, nx)
        The cleaned data, in the unit of the input.
    mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx)
        The scene mask; True where the pixel may be used.
    background : Ramps of float32, shape of ``data``, or None
        Background of each difference, at the index of its later group.
    noise : Ramps of float32, shape of ``data``, or None
        Output minus input.
    n_used : list of int
        Number of pixels from which the noise of each difference was measured.
    lost : list of tuple
        Integration and later group of the differences without usable pixels.
    dropped : list of tuple
        Integration and later group of the differences whose fit was dropped, because it would
        have made the difference noisier.
    n_model_failed : int
        Number of differences whose ``model`` background failed.
    n_not_converged : int
        Number of differences whose solution for the noise did not reach its tolerance.
    noise_power : list of float
        Mean square of the noise of each difference that was cleaned, before any flat field.
    removed : RemovedNoise or None
        Estimate of the fraction of the noise that was removed, if the method makes one.
    shared : list of SharedPower
        Power of the mean of the fits of each integration, where it is compared with the noise.
    spectrum : NoiseSpectrum or None
        Spectrum of the noise of one read, in the squared unit of the data, if the fit
        measures it.
    """

    data: Ramps
    mask: NDArray[np.bool_]
    background: Ramps | None = None
    noise: Ramps | None = None
    n_used: list[int] = field(default_factory=list)
    lost: list[tuple[int, int]] = field(default_factory=list)
    dropped: list[tuple[int, int]] = field(default_factory=list)
    n_model_failed: int = 0
    n_not_converged: int = 0
    noise_power: list[float] = field(default_factory=list)
    removed: RemovedNoise | None = None
    shared: list[SharedPower] = field(default_factory=list)
    spectrum: NoiseSpectrum | None = None

    @property
    def noise_rms(self) -> float:
        """Root mean square of the noise of all differences, in the unit of the data."""
        return math.sqrt(sum(self.noise_power) / len(self.noise_power)) if self.noise_power else 0.0

    @property
    def light_ratio(self) -> float:
        """Power of the mean of the fits relative to that of noise; 0 if it was not compared."""
        expected = sum(one.expected for one in self.shared)
        return sum(one.found for one in self.shared) / expected if expected > 0 else 0.0

    @property
    def light_kept(self) -> float:
        """Fraction of the power of the mean of the fits that was subtracted."""
        found = sum(one.found for one in self.shared)
        return sum(one.found * one.kept for one in self.shared) / found if found > 0 else 1.0

    @property
    def used_fraction(self) -> float:
        """Fraction of the pixels from which the noise was measured, averaged over differences."""
        ny, nx = self.data.shape[-2:]
        return sum(self.n_used) / (len(self.n_used) * ny * nx) if self.n_used else 0.0
