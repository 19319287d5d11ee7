"""Fourier noise: a few low frequencies fitted to background pixels (NSClean)."""

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from deflicker.detector.facts import FULL_FRAME, REFERENCE_BORDER
from deflicker.noise.noise_image import NoiseImage
from deflicker.noise.nsclean.tuning import NscleanTuning
from deflicker.noise.nsclean.wave_fit import WaveSums, fit_waves, powers_of_each, wave_powers
from deflicker.noise.nsclean.waves import Waves, make_waves
from deflicker.noise.nsclean.windows import subarray_noise
from deflicker.stats.constants import MAD_TO_SIGMA
from deflicker.stats.row_medians import row_medians_and_deviations
from deflicker.stats.shrinkage import pixel_scatter

__all__ = ["fourier_noise", "full_frame_noise", "low_pass"]

BLOCK_ROWS = 64


def fourier_noise(
    values: NDArray[np.float32],
    usable: NDArray[np.bool_],
    outputs: Sequence[slice],  # noqa: ARG001 - shared signature; rows are fitted whole
    *,
    tuning: NscleanTuning | None = None,
) -> NoiseImage:
    """Flicker noise as a sum of a few low frequencies.

    Parameters
    ----------
    values : ndarray of float32, shape (n_slow, n_fast)
        Background-subtracted difference in the detector frame, in DN.
    usable : ndarray of bool, shape (n_slow, n_fast)
        True where a value may be used; finite there.
    outputs : sequence of slice
        Not used, because whole rows are fitted.
    tuning : NscleanTuning, optional
        Tuning constants.

    Returns
    -------
    NoiseImage
        In DN, finite everywhere.

    Notes
    -----
    Uses `full_frame_noise` for full frames, and
    `deflicker.noise.nsclean.windows.subarray_noise` otherwise.
    """
    if values.shape == FULL_FRAME:
        return full_frame_noise(values, usable, tuning=tuning)
    return NoiseImage(subarray_noise(values, usable, tuning=tuning))


def full_frame_noise(
    values: NDArray[np.float32],
    usable: NDArray[np.bool_],
    *,
    reference_rows: int = REFERENCE_BORDER,
    tuning: NscleanTuning | None = None,
) -> NoiseImage:
    """Flicker noise of a full frame: the lowest frequencies of each detector row.

    Parameters
    ----------
    values : ndarray of float32, shape (n_slow, n_fast)
        Background-subtracted difference in the detector frame, in DN.
    usable : ndarray of bool, shape (n_slow, n_fast)
        True where a value may be used; finite there.
    reference_rows : int, optional
        Rows at either end whose noise is set to 0.
    tuning : NscleanTuning, optional
        Tuning constants.

    Returns
    -------
    NoiseImage
        In DN, finite everywhere.

    Notes
    -----
    Rauscher (2024, PASP 136, 015001). In each row, waves of the lowest frequencies are
    fitted by least squares with weights that are the inverse square of the local density of
    usable pixels. The published fit is unconstrained in gaps, and extrapolates into them.
    Here, the powers of the waves are measured from all rows and regularise the fit
    (`deflicker.noise.nsclean.wave_fit`).

    The published code then smooths the noise over neighbouring rows. This is omitted here,
    because the noise changes from row to row, and smoothing would leave it in the data.
    """
    tuning = tuning or NscleanTuning()
    n_slow, n_fast = values.shape
    gains = low_pass(np.arange(n_fast // 2 + 1) / n_fast, tuning=tuning)
    waves = make_waves(n_fast, tuple(range(len(gains))))
    rows = np.arange(reference_rows, max(n_slow - reference_rows, reference_rows))
    rows = rows[usable[rows].any(axis=1)]
    coefficients = np.zeros((n_slow, len(waves.order)), dtype=np.float32)
    if len(rows):
        observed = [
            _sums_of_rows(values[block], usable[block], waves, tuning)
            for block in np.array_split(rows, ceil(len(rows) / BLOCK_ROWS))
        ]
        scatter = pixel_scatter(values, usable, [slice(0, n_fast)]).variance
        powers = powers_of_each(observed, wave_powers(observed, scatter=scatter))
        found = np.concatenate([fit_waves(part, powers) for part in observed])
        coefficients[rows] = found * gains[waves.order]
    return NoiseImage(coefficients, waves.images().astype(np.float32))


def low_pass(
    frequency: NDArray[np.float64], *, tuning: NscleanTuning | None = None
) -> NDArray[np.float64]:
    """Gain of the low-pass filter at the frequencies where it is not zero.

    Parameters
    ----------
    frequency : ndarray of float
        Ascending frequencies from 0 in cycles per pixel.
    tuning : NscleanTuning, optional
        Tuning constants.

    Returns
    -------
    ndarray of float
        1 at low frequencies, with a cosine roll-off around ``tuning.half_power``; frequencies
        with zero gain are left out.
    """
    tuning = tuning or NscleanTuning()
    phase = np.clip((frequency - tuning.half_power) / tuning.roll_off + 0.5, 0.0, 1.0)
    gain = 0.5 * (1 + np.cos(np.pi * phase))
    return gain[gain > 1e-12]


def _sums_of_rows(
    values: NDArray[np.float32],
    usable: NDArray[np.bool_],
    waves: Waves,
    tuning: NscleanTuning,
) -> WaveSums:
    """Normal equations of the waves from the pixels of some rows."""
    weights = (usable / _density(usable, tuning.density_sigma)).astype(np.float64)
    weights *= weights
    cleaned = _without_outliers(values, usable, tuning.row_outlier)
    # Matrix products would do as well, but BLAS would start more threads within ours.
    highest = int(waves.transformed[-1]) + 1
    sums = np.ascontiguousarray(rfft(weights, axis=1)[:, :highest]).view(np.float64)
    weighted = weights * cleaned
    moments = np.ascontiguousarray(rfft(weighted, axis=1)[:, :highest]).view(np.float64)
    return WaveSums(
        waves=waves,
        kinds=_kinds(waves),
        matrix=waves.normal_matrix(sums),
        products=waves.products(moments),
        weight=sums[:, 0],
        square_weight=np.einsum("rc,rc->r", weights, weights),
        power=np.einsum("rc,rc->r", weighted, cleaned),
    )


def _kinds(waves: Waves) -> NDArray[np.float64]:
    """Two kinds: the constant, and waves whose power falls inversely with frequency."""
    constant = waves.order == 0
    return np.stack([constant, ~constant / np.maximum(waves.order, 1)], axis=1)


def _density(usable: NDArray[np.bool_], sigma: float) -> NDArray[np.float32]:
    """Local density of usable pixels along the rows, with periodic ends."""
    n = usable.shape[1]
    frequency = np.arange(n // 2 + 1) / n
    gain = np.exp(-2 * (np.pi * sigma * frequency) ** 2).astype(np.float32)
    density = irfft(rfft(usable.astype(np.float32), axis=1) * gain, n, axis=1)
    # Where a pixel is usable, the density is at least that of a single pixel.
    alone = np.float32(1 / (np.sqrt(2 * np.pi) * sigma))
    return np.maximum(density, alone, out=density)


def _without_outliers(
    values: NDArray[np.float32], usable: NDArray[np.bool_], n_sigma: float
) -> NDArray[np.float64]:
    """Values with outliers of each row replaced by its median; 0 where not usable."""
    medians, deviations = row_medians_and_deviations(values, usable)
    medians = medians[:, np.newaxis]
    limits = n_sigma * MAD_TO_SIGMA * deviations[:, np.newaxis]
    cleaned = np.where(np.abs(values - medians) > limits, medians, values)
    return np.where(usable, cleaned, np.float32(0)).astype(np.float64)
