"""Wiener filter of the outputs' records: the most probable noise given the pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from deflicker.noise.wiener.prior import NoisePrior
from deflicker.noise.wiener.records import Records, Spectra
from deflicker.noise.wiener.tuning import WienerTuning

__all__ = ["NoiseEquations", "Weights", "solve_noise"]

MOST_ITERATIONS = 80


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
