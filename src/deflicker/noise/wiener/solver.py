"""Wiener filter of the outputs' records: the most probable noise given the pixels."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

from deflicker.detector.clock import Clock
from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.utils.threads import map_in_order

__all__ = ["NoiseEquations", "NoisePrior", "Records", "Weights", "solve_noise"]

PADDING = 1.02
MOST_ITERATIONS = 40
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
        return _in_modes(spectra, self.mean, self.deviation)

    def inverse(self, part: Spectra, block: slice) -> Spectra:
        """Apply the inverse of S to a block of the frequencies."""
        one = np.float32(1)
        return _in_modes(part, one / self.mean[block], one / self.deviation[block])

    def noise_gain(
        self, part: Spectra, light: NDArray[np.float32], block: slice, *, weight: float
    ) -> Spectra:
        """Apply (S + weight^-1) (S + weight^-1 + light)^-1: Wiener gain of noise against light."""
        white = np.float32(1 / weight)
        mean, deviation = self.mean[block] + white, self.deviation[block] + white
        return _in_modes(part, mean / (mean + light), deviation / (deviation + light))

    def precondition(self, part: Spectra, block: slice, *, weight: float) -> Spectra:
        """Apply (S^-1 + weight)^-1, the solution of the equations for equal weights."""
        one, w = np.float32(1), np.float32(weight)
        mean, deviation = self.mean[block], self.deviation[block]
        mean, deviation = mean / (one + w * mean), deviation / (one + w * deviation)
        return _in_modes(part, mean, deviation)


class Weights(Protocol):
    """Symmetric matrix W of the weights of pixels."""

    def normal(self, spectra: Spectra, /) -> Spectra:
        """Apply A^T W A."""


@dataclass(frozen=True, kw_only=True)
class NoiseEquations:
    """The matrix S^-1 + A^T W A and its preconditioner.

    Parameters
    ----------
    records : Records
        The map A.
    prior : NoisePrior
        Covariance S of the noise.
    weights : Weights
        The symmetric matrix W.
    mean_weight : float
        Mean diagonal element of W, for the preconditioner.
    correction : callable, optional
        Called with a residual and the preconditioned residual; changes the latter.
    """

    records: Records
    prior: NoisePrior
    weights: Weights
    mean_weight: float
    correction: Callable[[Spectra, Spectra], None] | None = None

    def apply(self, spectra: Spectra) -> Spectra:
        """Apply the matrix."""
        image = self.weights.normal(spectra)
        for block in self.records.blocks():
            image[:, block] += self.prior.inverse(spectra[:, block], block)
        return image

    def precondition(self, residual: Spectra, *, out: Spectra) -> None:
        """Apply the preconditioner, which is close to the inverse."""
        for block in self.records.blocks():
            part = residual[:, block]
            out[:, block] = self.prior.precondition(part, block, weight=self.mean_weight)
        if self.correction is not None:
            self.correction(residual, out)


def solve_noise(
    equations: NoiseEquations,
    rhs: Spectra,
    *,
    tolerance: float = WienerTuning.tolerance,
    start: Spectra | None = None,
) -> tuple[Spectra, bool]:
    """Posterior mean of the noise.

    Parameters
    ----------
    equations : NoiseEquations
        Prior, weights and order of the pixels.
    rhs : ndarray of complex64, shape (n_outputs, size // 2 + 1)
        Right-hand side ``A^T W d``; overwritten.
    tolerance : float, optional
        Norm of the residual at which to stop, relative to that of the right-hand side, both in
        the norm of the preconditioner.
    start : ndarray of complex64, shape (n_outputs, size // 2 + 1), optional
        Solution of similar equations, as a first guess; overwritten.

    Returns
    -------
    spectra : ndarray of complex64, shape (n_outputs, size // 2 + 1)
        Spectra x of the noise; ``records.pixels`` gives its pixels, in the unit of the
        data. Where there are no pixels, the prior predicts them from neighbours in time.
    converged : bool
        Whether the residual reached ``tolerance``.

    Notes
    -----
    Solves ``(S^-1 + A^T W A) x = A^T W d`` by preconditioned conjugate gradients
    (Wiener 1949; in this form e.g. Elsner and Wandelt 2013, A&A 549, A111).
    """
    records = equations.records
    residual = rhs
    direction = np.empty_like(residual)
    equations.precondition(residual, out=direction)
    power = records.product(residual, direction)
    enough = tolerance**2 * power
    if start is None:
        solution = np.zeros_like(residual)
    else:
        solution = start
        residual -= equations.apply(solution)
        equations.precondition(residual, out=direction)
        power = records.product(residual, direction)
    for _ in range(MOST_ITERATIONS):
        if not power > enough:
            break
        image = equations.apply(direction)
        step = np.float32(power / records.product(direction, image))
        for block in records.blocks():
            residual[:, block] -= step * image[:, block]
            solution[:, block] += step * direction[:, block]
        corrected = image  # reuses the memory
        equations.precondition(residual, out=corrected)
        previous, power = power, records.product(residual, corrected)
        share = np.float32(power / previous)
        for block in records.blocks():
            direction[:, block] *= share
            direction[:, block] += corrected[:, block]
        del image, corrected
    return solution, power <= enough


def _dot(one: NDArray[np.complex64], other: NDArray[np.complex64]) -> float:
    """Real part of the product of contiguous arrays, short enough to sum in float32."""
    return float(np.einsum("i,i->", one.view(np.float32), other.view(np.float32)))


def _in_modes(
    spectra: Spectra, mean: NDArray[np.float32], deviation: NDArray[np.float32]
) -> Spectra:
    """Multiply the mean of the outputs and their deviations from it by different factors."""
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
