"""Spectrum of the noise of one read."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.facts import PIXEL_SECONDS

__all__ = ["HALF_SAMPLING", "NoiseSpectrum"]

HALF_SAMPLING = 0.5  # cycles per tick
LEAST_OF_WHITE = 1e-4
UNRESOLVED_SIZE = 1 << 12


@dataclass(frozen=True, kw_only=True)
class NoiseSpectrum:
    """Power of the noise against frequency.

    The power is normalised such that white noise has its variance at all frequencies, in the
    squared unit of the data.

    Parameters
    ----------
    frequency : ndarray of float64, shape (n,)
        Ascending frequencies in cycles per tick (10 microseconds), up to 0.5.
    common : ndarray of float64, shape (n,)
        Power of the correlated noise that all outputs share.
    per_output : ndarray of float64, shape (n,)
        Power of the correlated noise of one output that the others do not share.
    white : float
        Variance of the noise of a pixel that is independent of all other pixels.
    shared_fraction : float, optional
        Fraction of the correlated variance that all outputs share.

    Examples
    --------
    >>> from deflicker.noise.wiener.spectrum import typical_spectrum
    >>> spectrum = typical_spectrum(white=19.4, n_outputs=4)
    >>> bool(1000 < spectrum.knee < 20000)
    True
    """

    frequency: NDArray[np.float64]
    common: NDArray[np.float64]
    per_output: NDArray[np.float64]
    white: float
    shared_fraction: float = 0.0

    @property
    def knee(self) -> float:
        """Frequency in Hz above which white noise is stronger than correlated noise."""
        louder = self.common + self.per_output > self.white
        # Noise of alternating columns makes the power rise towards half the sampling frequency.
        slow = self.frequency < HALF_SAMPLING / 2
        if not np.any(louder & slow):
            return 0.0
        return float(self.frequency[louder & slow][-1] / PIXEL_SECONDS)

    @property
    def correlated_variance(self) -> float:
        """Variance of the correlated noise of a pixel."""
        power = self.common + self.per_output
        return float(2 * np.trapezoid(power, self.frequency))

    def scaled(self, factor: float) -> "NoiseSpectrum":
        """Spectrum of a combination of images, which scales all noise by the same factor.

        Parameters
        ----------
        factor : float
            Factor of the power.

        Returns
        -------
        NoiseSpectrum
            Spectrum with all powers multiplied.
        """
        return replace(
            self,
            common=self.common * factor,
            per_output=self.per_output * factor,
            white=self.white * factor,
        )

    def with_white(self, white: float) -> "NoiseSpectrum":
        """Spectrum with different white noise.

        Parameters
        ----------
        white : float
            Variance of the white noise; at least a tenth of the previous one is kept.

        Returns
        -------
        NoiseSpectrum
            Spectrum with the same correlated noise.
        """
        return replace(self, white=max(white, 0.1 * self.white))

    def at(self, size: int, *, binning: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Power at the frequencies of a record.

        Parameters
        ----------
        size : int
            Ticks of the record.
        binning : int, optional
            Number of pixels that are averaged in each tick.

        Returns
        -------
        common, per_output : ndarray of float64, shape (size // 2 + 1,)
            Powers at the frequencies of a real Fourier transform, but at least a
            ten-thousandth of the white noise, which keeps the equations well conditioned.
        """
        frequency = np.arange(size // 2 + 1) / (size * binning)
        floor = LEAST_OF_WHITE * self.white
        return (
            np.maximum(self._interpolate(self.common, frequency), floor) / binning,
            np.maximum(self._interpolate(self.per_output, frequency), floor) / binning,
        )

    def unresolved_variance(self, binning: int) -> float:
        """Variance of the correlated noise in means of pixels that they cannot resolve.

        Parameters
        ----------
        binning : int
            Pixels in a mean.

        Returns
        -------
        float
            Variance of a mean due to frequencies above half its sampling frequency.
        """
        common, per_output = self.at(UNRESOLVED_SIZE)
        frequency = np.arange(UNRESOLVED_SIZE // 2 + 1) / UNRESOLVED_SIZE
        fast = frequency > HALF_SAMPLING / binning
        angle = np.pi * frequency[fast]
        transfer = (np.sin(binning * angle) / (binning * np.sin(angle))) ** 2
        return float(2 * np.sum((common + per_output)[fast] * transfer) / UNRESOLVED_SIZE)

    def _interpolate(
        self, power: NDArray[np.float64], frequency: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Interpolate log power linearly in the log distance to the nearer end of the axis."""
        tiny = 1e-30 + 1e-12 * self.white
        logarithm = np.log(np.maximum(power, tiny))
        low = self.frequency <= HALF_SAMPLING / 2
        slow = frequency <= HALF_SAMPLING / 2
        result = np.empty(len(frequency))
        step = frequency[1] if len(frequency) > 1 else 1.0
        near = np.log(np.maximum(frequency[slow], step / 2))
        result[slow] = np.interp(near, np.log(self.frequency[low]), logarithm[low])
        # Half the sampling frequency is treated as frequency 0 is at the other end.
        distance = np.log(np.maximum(HALF_SAMPLING - frequency[~slow], step / 2))
        known = np.log(np.maximum(HALF_SAMPLING - self.frequency[~low], step / 2))
        if known.size:
            result[~slow] = np.interp(distance, known[::-1], logarithm[~low][::-1])
        else:
            result[~slow] = logarithm[-1]
        return np.exp(result)
