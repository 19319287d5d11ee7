"""Wiener filter of the outputs' records: the noise that is most probable given the pixels."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from deflicker.clock import Clock
from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.workers import map_in_order

__all__ = ["NoiseEquations", "NoisePrior", "Records", "solve_noise"]

log = logging.getLogger(__name__)

PADDING = 1.02
TOLERANCE = 0.02
MOST_ITERATIONS = 40
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
    Transforms are orthonormal. Records are longer than the read-out, so that its end
    does not touch its beginning.
    """

    clock: Clock
    n_threads: int = 1

    @property
    def size(self) -> int:
        """Ticks of a record."""
        return next_fast_len(int(PADDING * self.clock.n_ticks) + 64, real=True)

    def pixels(self, spectra: Spectra) -> NDArray[np.float32]:
        """Apply A: spectra (n_outputs, size // 2 + 1) to pixels (n_outputs, n_slow, width)."""
        pixels = np.empty(self.shape, dtype=np.float32)

        def transform(k: int) -> None:
            record = irfft(spectra[k], self.size, norm="ortho")
            pixels[k] = self.clock.pixels(record[np.newaxis])[0]

        self._for_outputs(transform)
        return pixels

    def spectra(self, pixels: NDArray[np.float32]) -> Spectra:
        """Apply the transpose of A: pixels to spectra; other ticks are zero."""
        spectra = np.empty((len(pixels), self.size // 2 + 1), dtype=np.complex64)

        def transform(k: int) -> None:
            record = np.zeros((1, self.size), dtype=np.float32)
            self.clock.fill(record, pixels[k : k + 1])
            spectra[k] = rfft(record[0], norm="ortho")

        self._for_outputs(transform)
        return spectra

    def _for_outputs(self, transform: Callable[[int], None]) -> None:
        for _ in map_in_order(transform, range(self.clock.n_outputs), n_threads=self.n_threads):
            pass

    def product(self, one: Spectra, other: Spectra) -> float:
        """Scalar product of records; all frequencies but the ends stand for two."""
        total = 0.0
        for x, y in zip(one, other, strict=True):
            # Parts of float32 are summed in blocks, as numpy does, and blocks in float64.
            total += 2 * float(np.sum(x.real * y.real, dtype=np.float64))
            total += 2 * float(np.sum(x.imag * y.imag, dtype=np.float64))
            total -= float(x[0].real * y[0].real)
            if self.size % 2 == 0:
                total -= float(x[-1].real * y[-1].real)
        return total

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n_outputs, n_slow, width)."""
        return self.clock.n_outputs, self.clock.n_slow, self.clock.width


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
        """Prior of the noise of a spectrum."""
        common, own = spectrum.at(records.size)
        mean = records.clock.n_outputs * common + own
        return cls(mean.astype(np.float32), own.astype(np.float32))

    def inverse(self, spectra: Spectra) -> Spectra:
        """Apply the inverse of S."""
        one = np.float32(1)
        return _in_modes(spectra, one / self.mean, one / self.deviation)

    def precondition(self, spectra: Spectra, weight: float) -> Spectra:
        """Apply the inverse of (S^-1 + weight), the equations of equal weights."""
        one, w = np.float32(1), np.float32(weight)
        mean = self.mean / (one + w * self.mean)
        return _in_modes(spectra, mean, self.deviation / (one + w * self.deviation))


@dataclass(frozen=True, kw_only=True)
class NoiseEquations:
    """The matrix S^-1 + A^T W A, and what is close to its inverse.

    Parameters
    ----------
    records : Records
        The map A.
    prior : NoisePrior
        Covariance S of the noise.
    weigh : callable
        Applies the weights W, a symmetric matrix, to pixels (n_outputs, n_slow, width)
        of float32; may change them.
    mean_weight : float
        Mean diagonal element of W, for the preconditioner.
    improve : callable, optional
        Given a residual and what the preconditioner made of it, changes the latter.
    """

    records: Records
    prior: NoisePrior
    weigh: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    mean_weight: float
    improve: Callable[[Spectra, Spectra], None] | None = None

    def apply(self, spectra: Spectra) -> Spectra:
        """Apply the matrix."""
        image = self.prior.inverse(spectra)
        image += self.records.spectra(self.weigh(self.records.pixels(spectra)))
        return image

    def precondition(self, residual: Spectra) -> Spectra:
        """Apply what is close to the inverse."""
        improved = self.prior.precondition(residual, self.mean_weight)
        if self.improve is not None:
            self.improve(residual, improved)
        return improved


def solve_noise(
    equations: NoiseEquations,
    data: NDArray[np.float32],
    *,
    tolerance: float = TOLERANCE,
    start: Spectra | None = None,
) -> Spectra:
    """Posterior mean of the noise.

    Parameters
    ----------
    equations : NoiseEquations
        Prior, weights and order of the pixels.
    data : ndarray of float32, shape (n_outputs, n_slow, width)
        Data d, pixels in read-out order; finite. May be changed.
    tolerance : float, optional
        Of the residual, relative to the first, both in the preconditioner's norm.
    start : ndarray of complex64, shape (n_outputs, size // 2 + 1), optional
        A solution of similar equations; changed.

    Returns
    -------
    ndarray of complex64, shape (n_outputs, size // 2 + 1)
        Spectra x of the noise; ``records.pixels`` gives its pixels, in the unit of the
        data. Where no pixel tells, they are the prior's guess from neighbours in time.

    Notes
    -----
    Solves ``(S^-1 + A^T W A) x = A^T W d`` by preconditioned conjugate gradients
    (Wiener 1949; in this form e.g. Elsner and Wandelt 2013, A&A 549, A111).
    """
    product = equations.records.product
    residual = equations.records.spectra(equations.weigh(data))
    del data
    direction = equations.precondition(residual)
    power = product(residual, direction)
    enough = tolerance**2 * power
    if start is None:
        solution = np.zeros_like(residual)
    else:
        solution = start
        residual -= equations.apply(solution)
        direction = equations.precondition(residual)
        power = product(residual, direction)
    for _ in range(MOST_ITERATIONS):
        if not power > enough:
            break
        image = equations.apply(direction)
        step = np.float32(power / product(direction, image))
        image *= step
        residual -= image
        solution += np.multiply(direction, step, out=image)
        del image
        improved = equations.precondition(residual)
        previous, power = power, product(residual, improved)
        direction *= np.float32(power / previous)
        direction += improved
    else:
        log.debug("The noise has not converged after %d iterations", MOST_ITERATIONS)
    return solution


def _in_modes(
    spectra: Spectra, mean: NDArray[np.float32], deviation: NDArray[np.float32]
) -> Spectra:
    """Multiply the outputs' mean and their deviations from it."""
    if len(spectra) == 1:
        return spectra * mean
    shared = spectra.mean(axis=0)
    shared *= mean - deviation
    result = spectra * deviation
    result += shared
    return result
