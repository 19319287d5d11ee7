"""Fourier noise: a few low frequencies fitted to what is background (NSClean)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from deflicker.noise.median import MAD_TO_SIGMA, row_medians_and_deviations
from deflicker.noise.rows import RowNoise
from deflicker.noise.windows import subarray_noise

__all__ = ["fourier_noise", "full_frame_noise", "low_pass"]

FULL_FRAME = (2048, 2048)
BLOCK_ROWS = 64

# Full frame, in units of pixels and cycles per pixel.
HALF_POWER = 1 / 256
ROLL_OFF = 1 / 1024
DENSITY_SIGMA = 32.0
ROW_OUTLIERS = 3.0
REFERENCE_ROWS = 4
# The constant is one number, a frequency two: each must have this many pixels. And a
# frequency must be this far from a combination of those before it.
PIXELS_PER_NUMBER = 32
LEAST_PIVOT = 0.1


def fourier_noise(
    values: NDArray[np.float32],
    usable: NDArray[np.bool_],
    outputs: Sequence[slice],  # noqa: ARG001 - of the shared signature; outputs share their noise
) -> RowNoise:
    """Flicker noise as a few low frequencies.

    Parameters
    ----------
    values : ndarray of float32, shape (n_slow, n_fast)
        Background-subtracted difference in the detector frame, in DN.
    usable : ndarray of bool, shape (n_slow, n_fast)
        True where a value may be used; finite there.
    outputs : sequence of slice
        Not used: the frequencies are those of whole rows.

    Returns
    -------
    RowNoise
        In DN, finite everywhere.

    Notes
    -----
    `full_frame_noise` for full frames, `deflicker.noise.windows.subarray_noise` else.
    """
    if values.shape == FULL_FRAME:
        return full_frame_noise(values, usable)
    return RowNoise(subarray_noise(values, usable))


def full_frame_noise(
    values: NDArray[np.float32],
    usable: NDArray[np.bool_],
    *,
    reference_rows: int = REFERENCE_ROWS,
) -> RowNoise:
    """Flicker noise of a full frame, each detector row by its lowest frequencies.

    Parameters
    ----------
    values : ndarray of float32, shape (n_slow, n_fast)
        Background-subtracted difference in the detector frame, in DN.
    usable : ndarray of bool, shape (n_slow, n_fast)
        True where a value may be used; finite there.
    reference_rows : int, optional
        Rows at either end that get no noise.

    Returns
    -------
    RowNoise
        In DN, finite everywhere.

    Notes
    -----
    Rauscher (2024, PASP 136, 015001). For each row the coefficients of
    ``sum_k c_k exp(2 pi i k m / n)``, k = 0..K, minimise the squares weighted by the
    inverse square of the local density of usable pixels. The normal matrix is
    Hermitian Toeplitz, its first column the Fourier transform of the weights. Rows
    with few usable pixels get fewer frequencies, then a constant, then nothing.

    The published code then smooths the noise over neighbouring rows. Pink noise is
    new in every row, so that is left out: it would put back what was found.
    """
    n_slow, n_fast = values.shape
    gains = low_pass(np.arange(n_fast // 2 + 1) / n_fast)
    coefficients = np.zeros((n_slow, len(gains)), dtype=np.complex128)
    for start in range(0, n_slow, BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        coefficients[rows] = _fit_rows(values[rows], usable[rows], len(gains))
    coefficients *= gains
    coefficients[:reference_rows] = 0
    coefficients[max(n_slow - reference_rows, 0) :] = 0
    coefficients[:, 1:] *= 2
    parts = np.concatenate([coefficients.real, coefficients.imag], axis=1)
    phases = 2 * np.pi / n_fast * np.outer(np.arange(len(gains)), np.arange(n_fast))
    waves = np.concatenate([np.cos(phases), -np.sin(phases)])
    return RowNoise(parts.astype(np.float32), waves.astype(np.float32))


def low_pass(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gain of the low-pass filter at the frequencies where it is not zero.

    Parameters
    ----------
    frequency : ndarray of float
        Ascending frequencies from 0 in cycles per pixel.

    Returns
    -------
    ndarray of float
        1, with a cosine roll-off about half power at 1/256; without the zeros.
    """
    phase = np.clip((frequency - HALF_POWER) / ROLL_OFF + 0.5, 0.0, 1.0)
    gain = 0.5 * (1 + np.cos(np.pi * phase))
    return gain[gain > 1e-12]


def _fit_rows(
    values: NDArray[np.float32], usable: NDArray[np.bool_], n_frequencies: int
) -> NDArray[np.complex128]:
    """Coefficients (n_rows, K + 1) of some rows."""
    weights = (usable / _density(usable)).astype(np.float64)
    weights *= weights
    cleaned = _without_outliers(values, usable)
    # Products of matrices would do too, but BLAS would start threads beneath ours.
    sums = rfft(weights, axis=1)[:, :n_frequencies]
    cleaned *= weights
    moments = rfft(cleaned, axis=1)[:, :n_frequencies]
    number = np.count_nonzero(usable, axis=1)
    return _solve_toeplitz(sums, moments, _orders(number, n_frequencies))


def _density(usable: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Local density of usable pixels along the rows, which close on themselves."""
    n = usable.shape[1]
    frequency = np.arange(n // 2 + 1) / n
    gain = np.exp(-2 * (np.pi * DENSITY_SIGMA * frequency) ** 2).astype(np.float32)
    density = irfft(rfft(usable.astype(np.float32), axis=1) * gain, n, axis=1)
    # The density of a usable pixel is at least that of it alone.
    alone = np.float32(1 / (np.sqrt(2 * np.pi) * DENSITY_SIGMA))
    return np.maximum(density, alone, out=density)


def _without_outliers(
    values: NDArray[np.float32], usable: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Values with outliers of each row replaced by its median; 0 where not usable."""
    medians, deviations = row_medians_and_deviations(values, usable)
    medians = medians[:, np.newaxis]
    limits = ROW_OUTLIERS * MAD_TO_SIGMA * deviations[:, np.newaxis]
    cleaned = np.where(np.abs(values - medians) > limits, medians, values)
    return np.where(usable, cleaned, np.float32(0)).astype(np.float64)


def _orders(number: NDArray[np.int_], most: int) -> NDArray[np.int_]:
    """How many frequencies, the constant among them, each row's pixels can carry."""
    return np.minimum((number // PIXELS_PER_NUMBER + 1) // 2, most)


def _solve_toeplitz(
    column: NDArray[np.complex128],
    right: NDArray[np.complex128],
    orders: NDArray[np.int_],
) -> NDArray[np.complex128]:
    """Solve Hermitian Toeplitz systems, each to the order that it determines.

    Levinson's recursion, for all rows at once, passes through the solutions of all
    lower orders; a row stops at the order given for it, or where the frequencies
    before explain so much of the next one that noise would decide it.
    """
    n_rows, order = right.shape
    solution = np.zeros_like(right)
    power = column[:, 0].real
    active = (orders > 0) & (power > 0)
    scale = np.where(active, power, 1.0)
    reflected = np.zeros((n_rows, order), dtype=np.complex128)
    reflected[:, 0] = 1
    error = np.ones(n_rows)
    first = column / scale[:, np.newaxis]
    target = right / scale[:, np.newaxis]
    solution[:, 0] = np.where(active, target[:, 0], 0)
    for k in range(1, order):
        # Forward predictor of order k from that of order k - 1.
        mismatch = np.einsum("rj,rj->r", first[:, k:0:-1], reflected[:, :k])
        ratio = -mismatch / error
        backward = np.zeros_like(reflected)
        backward[:, 1 : k + 1] = reflected[:, k - 1 :: -1].conj()
        reflected = reflected + ratio[:, np.newaxis] * backward
        error = error * (1 - np.abs(ratio) ** 2)
        active = active & (orders > k) & (error > LEAST_PIVOT)
        missing = target[:, k] - np.einsum("rj,rj->r", first[:, k:0:-1], solution[:, :k])
        backward[:, : k + 1] = reflected[:, k::-1].conj()
        step = np.where(active, missing / np.where(active, error, 1.0), 0)
        solution[:, : k + 1] += step[:, np.newaxis] * backward[:, : k + 1]
        error = np.where(active, error, 1.0)
        reflected[~active] = 0
        reflected[~active, 0] = 1
    return solution
