"""Records of the outputs: the map between noise in Fourier space and pixels."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

from deflicker.detector.clock import Clock
from deflicker.utils.threads import map_in_order

__all__ = ["Records", "Spectra"]

PADDING = 1.02
MOST_BINNED = 4
BLOCK = 1 << 13  # frequencies
Spectra = NDArray[np.complex64]


@dataclass(frozen=True)
class Records:
    """The map A from noise in Fourier space to pixels in read-out order, and back.

    Parameters
    ----------
    clock : Clock
        Order of the pixels.
    n_threads : int, optional
        Threads that share the outputs.

    Notes
    -----
    A record is the time series of one output. Transforms are orthonormal. Records are longer
    than the read-out, so that its end is not next to its beginning in the periodic transform.
    """

    clock: Clock
    n_threads: int = 1

    @cached_property
    def size(self) -> int:
        """Ticks of a record, whose duration is the same for all binnings of the clock."""
        pixels = int(PADDING * self.clock.n_ticks * self.clock.binning) + 64
        quarter = next_fast_len(-(-pixels // MOST_BINNED), real=True)
        return quarter * MOST_BINNED // self.clock.binning

    def values(self, spectra: Spectra) -> NDArray[np.float32]:
        """Values at all ticks: spectra (n_outputs, size // 2 + 1) to (n_outputs, size)."""
        values = np.empty((len(spectra), self.size), dtype=np.float32)

        def transform(k: int) -> None:
            np.fft.irfft(spectra[k], self.size, norm="ortho", out=values[k])

        self._for_outputs(transform)
        return values

    def weighted(self, spectra: Spectra, weights: NDArray[np.float32]) -> Spectra:
        """Apply A^T w A with weights (n_outputs, size) that are 0 between the pixels."""
        result = np.empty_like(spectra)

        def transform(k: int) -> None:
            values = np.fft.irfft(spectra[k], self.size, norm="ortho")
            values *= weights[k]
            np.fft.rfft(values, norm="ortho", out=result[k])

        self._for_outputs(transform)
        return result

    def pixels(self, spectra: Spectra) -> NDArray[np.float32]:
        """Apply A: spectra (n_outputs, size // 2 + 1) to pixels (n_outputs, n_slow, width)."""
        return self.clock.pixels(self.values(spectra))

    def filled(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values (n_outputs, size) at the ticks of an image (n_slow, n_fast), 0 at others."""
        values = np.zeros((self.clock.n_outputs, self.size), dtype=np.float32)
        self.clock.fill_image(values, image)
        return values

    def spectra(self, values: NDArray[np.float32]) -> Spectra:
        """Apply the transpose of A to values (n_outputs, size) that are 0 between the pixels."""
        spectra = np.empty((len(values), self.size // 2 + 1), dtype=np.complex64)

        def transform(k: int) -> None:
            np.fft.rfft(values[k], norm="ortho", out=spectra[k])

        self._for_outputs(transform)
        return spectra

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        """Threads of all transforms; they end with the records."""
        return ThreadPoolExecutor(self.n_threads)

    def _for_outputs(self, transform: Callable[[int], None]) -> None:
        outputs, n_threads = range(self.clock.n_outputs), self.n_threads
        pool = self._threads if n_threads > 1 else None
        for _ in map_in_order(transform, outputs, n_threads=n_threads, pool=pool):
            pass

    def refined(self, spectra: Spectra, finer: "Records") -> Spectra:
        """Spectra for the records of a finer clock, 0 at the additional frequencies.

        Parameters
        ----------
        spectra : ndarray of complex64, shape (n_outputs, size // 2 + 1)
            Spectra of these records.
        finer : Records
            Records of the same pixels, less binned.

        Returns
        -------
        ndarray of complex64, shape (n_outputs, finer.size // 2 + 1)
            The same noise.
        """
        ratio = self.clock.binning // finer.clock.binning
        if ratio == 1:
            return spectra
        result = np.zeros((len(spectra), finer.size // 2 + 1), dtype=np.complex64)
        known = self.size // 2  # half the sampling frequency has no phase to shift
        # The mean of pixels belongs to the time of their middle, not of the first pixel.
        angle = -np.pi * (ratio - 1) / finer.size * np.arange(known)
        result[:, :known] = spectra[:, :known] * (ratio**0.5 * np.exp(1j * angle))
        return result

    def blocks(self) -> list[slice]:
        """Slices of the frequencies that fit into a processor's cache."""
        n = self.size // 2 + 1
        return [slice(start, start + BLOCK) for start in range(0, n, BLOCK)]

    def product(self, one: Spectra, other: Spectra) -> float:
        """Scalar product of records; all frequencies but the first and last count twice."""
        total = 0.0
        for x, y in zip(one, other, strict=True):
            total += 2 * sum(_dot(x[block], y[block]) for block in self.blocks())
            total -= float(x[0].real * y[0].real)
            if self.size % 2 == 0:
                total -= float(x[-1].real * y[-1].real)
        return total


def _dot(one: NDArray[np.complex64], other: NDArray[np.complex64]) -> float:
    """Real part of the product of contiguous arrays, short enough to sum in float32."""
    return float(np.einsum("i,i->", one.view(np.float32), other.view(np.float32)))
