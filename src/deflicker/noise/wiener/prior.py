"""Prior of the noise in records: its power at each frequency."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.noise.wiener.records import Records, Spectra

__all__ = ["NoisePrior", "in_modes", "variance_of"]


@dataclass(frozen=True)
class NoisePrior:
    """Covariance S of the records: diagonal in frequency, and in the modes of the outputs.

    The mean of the outputs is one mode, their deviations from it are the others.

    Parameters
    ----------
    mean, deviation : ndarray of float32, shape (size // 2 + 1,)
        Power of the modes.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    @classmethod
    def of(cls, spectrum: NoiseSpectrum, records: Records) -> "NoisePrior":
        """Prior of noise with a given spectrum."""
        common, per_output = spectrum.at(records.size, binning=records.clock.binning)
        mean = records.clock.n_outputs * common + per_output
        return cls(mean.astype(np.float32), per_output.astype(np.float32))

    def apply(self, spectra: Spectra) -> Spectra:
        """Apply S to spectra (n_outputs, size // 2 + 1)."""
        return in_modes(spectra, self.mean, self.deviation)

    def inverse(self, part: Spectra, block: slice) -> Spectra:
        """Apply the inverse of S to a block of the frequencies."""
        one = np.float32(1)
        return in_modes(part, one / self.mean[block], one / self.deviation[block])

    def with_light(self, light: NDArray[np.float32]) -> "NoisePrior":
        """Prior of noise and light together: the light of the outputs is independent."""
        return NoisePrior(self.mean + light, self.deviation + light)

    def removed_power(
        self, light: NDArray[np.float32] | None, *, mean_weight: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Expected power of the posterior mean of the noise, if pixels have equal weights.

        Parameters
        ----------
        light : ndarray of float32, shape (size // 2 + 1,), or None
            Power of the light in the image.
        mean_weight : float
            Mean inverse variance of the ticks, including unused ones (0).

        Returns
        -------
        mean, deviation : ndarray of float32, shape (size // 2 + 1,)
            ``S^2 / (S + L + 1 / weight)`` of the mode that is the mean of the outputs, and of each
            other mode. It is also the power of the noise that is removed.
        """
        if not mean_weight > 0:
            return np.zeros_like(self.mean), np.zeros_like(self.deviation)
        rest = np.full_like(self.mean, 1 / mean_weight)
        if light is not None:
            rest += light
        mean = np.square(self.mean) / (self.mean + rest)
        return mean, np.square(self.deviation) / (self.deviation + rest)

    def share(self, spectra: Spectra, total: "NoisePrior") -> Spectra:
        """Apply S T^-1: the noise in the posterior mean of a total with the prior T."""
        return in_modes(spectra, self.mean / total.mean, self.deviation / total.deviation)

    def precondition(self, part: Spectra, block: slice, *, weight: float) -> Spectra:
        """Apply (S^-1 + weight)^-1, the solution of the equations for equal weights."""
        one, w = np.float32(1), np.float32(weight)
        mean, deviation = self.mean[block], self.deviation[block]
        mean, deviation = mean / (one + w * mean), deviation / (one + w * deviation)
        return in_modes(part, mean, deviation)


def variance_of(power: tuple[NDArray[np.float32], NDArray[np.float32]], records: Records) -> float:
    """Variance of the pixels of records whose modes have a given power.

    Parameters
    ----------
    power : tuple of ndarray of float32, shape (size // 2 + 1,)
        Power of the mean of the outputs, and of each other mode.
    records : Records
        Order of the pixels.

    Returns
    -------
    float
        Sum over all frequencies, of both signs, in the unit of the power.
    """
    mean, deviation = power
    n_outputs = records.clock.n_outputs
    both = mean + (n_outputs - 1) * deviation
    return float(2 * both.sum(dtype=np.float64) - both[0]) / (n_outputs * records.size)


def in_modes(
    spectra: Spectra, mean: NDArray[np.float32], deviation: NDArray[np.float32]
) -> Spectra:
    """Multiply the mean of the outputs and their deviations from it by different factors.

    Parameters
    ----------
    spectra : ndarray of complex64, shape (n_outputs, n)
        Spectra of the outputs.
    mean, deviation : ndarray of float32, shape (n,)
        The factors.

    Returns
    -------
    ndarray of complex64, shape (n_outputs, n)
        The products.
    """
    if len(spectra) == 1:
        return _scaled(spectra, mean)
    shared = _scaled(spectra.mean(axis=0, keepdims=True), mean - deviation)
    result = _scaled(spectra, deviation)
    result += shared
    return result


def _scaled(spectra: Spectra, power: NDArray[np.float32]) -> Spectra:
    """Product with real numbers, which numpy would first convert to complex ones."""
    pairs = np.ascontiguousarray(spectra).view(np.float32) * np.repeat(power, 2)
    return pairs.view(np.complex64)
