"""Preconditioner for slow noise, whose equations are coupled to those of the sky."""

import numpy as np
from numpy.typing import NDArray

from deflicker.noise.wiener.prior import NoisePrior
from deflicker.noise.wiener.records import Records, Spectra
from deflicker.noise.wiener.sky import SmoothSky
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.noise.wiener.weights import ObservedPixels, in_bins

__all__ = ["SlowModes"]


class SlowModes:
    """Exact solution for the slowest noise of each output, as a part of a preconditioner.

    Noise of a few cycles per read-out looks like a sky that changes along the slow axis. The
    preconditioner for equal weights assumes that the pixels determine this noise, but the
    true weights, from which the sky is eliminated, hardly constrain it. Without the exact
    solution, conjugate gradients hardly converge at these frequencies.

    Parameters
    ----------
    sky : SmoothSky
        The sky that is eliminated.
    pixels : ObservedPixels
        Weights and flat field of the pixels.
    prior : NoisePrior
        Covariance of the noise.
    records : Records
        Times at which the pixels are read.
    cycles : int, optional
        Highest frequency that is solved for exactly, in cycles per read-out.
    """

    def __init__(
        self,
        sky: SmoothSky,
        pixels: ObservedPixels,
        prior: NoisePrior,
        records: Records,
        *,
        cycles: int = int(WienerTuning.slow_cycles),
    ) -> None:
        clock = records.clock
        self.n = max(1, min(cycles, clock.n_slow // 4))
        n_outputs, n_modes = clock.n_outputs, 2 * self.n
        waves = _waves(self.n, records)
        splines = sky.splines
        size = clock.n_fast // splines.n_bins
        observed = in_bins(pixels.of_sky(pixels.weights), size).astype(np.float64)
        width = splines.n_bins // n_outputs
        matrix = np.zeros((n_outputs, n_modes, n_outputs, n_modes))
        coupling = np.zeros((*splines.grid, n_outputs, n_modes))
        for k in range(n_outputs):
            rows = pixels.weights[:, k * clock.width : (k + 1) * clock.width].sum(axis=1)
            matrix[k, :, k] = waves.T @ (rows.astype(np.float64)[:, np.newaxis] * waves)
            columns = slice(k * width, (k + 1) * width)
            along = (splines.fast[columns].T @ observed[:, columns].T).T
            for b in np.flatnonzero(along.any(axis=0)):
                coupling[:, b, k] = splines.slow.T @ (along[:, b : b + 1] * waves)
        flattened = coupling.reshape(-1, n_outputs * n_modes)
        square = matrix.reshape(n_outputs * n_modes, -1)
        square -= flattened.T @ sky.solve_all(flattened)
        square += _inverse_prior(prior, self.n, n_outputs)
        self._inverse = np.linalg.inv((square + square.T) / 2)
        self._prior, self._records = prior, records

    def __call__(self, residual: Spectra, corrected: Spectra) -> None:
        """Replace the preconditioned residual at slow frequencies by the solution, in place."""
        slow = slice(1, self.n + 1)
        parts = np.concatenate([residual[:, slow].real, residual[:, slow].imag], axis=1)
        solved = (self._inverse @ parts.ravel().astype(np.float64)).reshape(parts.shape)
        corrected[:, slow] = solved[:, : self.n] + 1j * solved[:, self.n :]

    def hidden_variance(self, noise: NoisePrior, *, mean_weight: float) -> float:
        """Variance of the slow noise that is not found because the sky may contain it.

        Parameters
        ----------
        noise : NoisePrior
            Covariance of the noise alone, without light.
        mean_weight : float
            Mean inverse variance of the ticks, including unused ones (0).

        Returns
        -------
        float
            In DN squared per pixel: the variance of the noise that is found with a known sky and
            pixels of equal weights, minus that with the weights as they are and the sky free.
        """
        n_outputs, slow = self._records.clock.n_outputs, slice(1, self.n + 1)
        light = self._prior.deviation - noise.deviation
        mean, deviation = noise.removed_power(light, mean_weight=mean_weight)
        known = 2 * float((mean + (n_outputs - 1) * deviation)[slow].sum(dtype=np.float64))
        inverse = _inverse_prior(self._prior, self.n, n_outputs)
        # The share of the noise, S T^-1, times the variance of the posterior mean, T - C.
        share = np.linalg.solve(_inverse_prior(noise, self.n, n_outputs), inverse)
        found = share @ (np.linalg.inv(inverse) - self._inverse) @ share.T
        return max(known - float(np.trace(found)), 0.0) / (n_outputs * self._records.size)


def _waves(n: int, records: Records) -> NDArray[np.float64]:
    """Slow waves, constant within each row: real and imaginary parts (n_slow, 2 n)."""
    clock = records.clock
    times = np.arange(clock.n_slow) * clock.row_ticks + clock.width / 2
    phases = 2 * np.pi / records.size * np.outer(times, np.arange(1, n + 1))
    waves = np.concatenate([np.cos(phases), -np.sin(phases)], axis=1)
    return waves * np.sqrt(2 / records.size)


def _inverse_prior(prior: NoisePrior, n: int, n_outputs: int) -> NDArray[np.float64]:
    """Inverse covariance of the slow frequencies of all outputs."""
    mean = np.tile(1 / prior.mean[1 : n + 1].astype(np.float64), 2)
    deviation = np.tile(1 / prior.deviation[1 : n + 1].astype(np.float64), 2)
    inverse = np.zeros((n_outputs, 2 * n, n_outputs, 2 * n))
    modes = np.arange(2 * n)
    for k in range(n_outputs):
        for other in range(n_outputs):
            inverse[k, modes, other, modes] += (mean - deviation) / n_outputs
        inverse[k, modes, k, modes] += deviation
    return inverse.reshape(n_outputs * 2 * n, -1)
