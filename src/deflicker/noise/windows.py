"""Fourier noise of sub-arrays: windows of whole rows, in clock order (NSClean)."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.fft import fft, irfft, next_fast_len, rfft
from scipy.sparse import csc_array

from deflicker.noise.median import MAD_TO_SIGMA
from deflicker.noise.waves import TICK, ever_fewer

__all__ = ["subarray_noise", "window_rows"]

ROW_OVERHEAD = 12  # ticks
WINDOW_PIXELS = 512
LEAST_FRACTION = 0.05
OUTLIERS = 4.0
# Corners of the filter in Hz: pass, stop, stop, pass. Rows of sub-arrays that are wide
# along the fast axis (ALLSLITS) come too slowly for the corners of the narrow ones.
NARROW = (1061.0, 1211.0, 49943.0, 49957.0)
WIDE = (150.0, 200.0, 49943.0, 49957.0)
WIDEST_NARROW = 64  # pixels along the fast axis
# A window must determine its frequencies: smallest eigenvalue over the sum of weights.
LEAST_CONDITION = 3e-3
KERNEL_REACH = 6.0  # sigma, where a Gaussian is below the rounding of single precision
MOST_WINDOWS = 128  # fitted together: what they need fits into a processor's cache


def subarray_noise(values: NDArray[np.float32], usable: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Flicker and alternating-column noise of a sub-array read by one output.

    Parameters
    ----------
    values : ndarray of float32, shape (n_slow, n_fast)
        Background-subtracted difference in the detector frame, in DN.
    usable : ndarray of bool, shape (n_slow, n_fast)
        True where a value may be used; finite there.

    Returns
    -------
    ndarray of float32, shape (n_slow, n_fast)
        Noise in DN, finite everywhere; 0 where no window can be fitted.

    Notes
    -----
    Rauscher (2024, PASP 136, 015001). Windows of whole rows that hold about 512 usable
    pixels overlap by half. In each the frequencies that the filter lets pass are fitted
    by least squares, with weights that are the inverse square of the local density of
    usable pixels; the normal matrix is the Fourier transform of the weights at the
    differences of the frequencies. Windows are blended with triangular weights.
    """
    corners = NARROW if values.shape[1] <= WIDEST_NARROW else WIDE
    usable = _without_outliers(values, usable)
    weights = _clocked(usable)
    weights /= _density(weights, corners)
    weights *= weights
    clocked = _clocked(np.where(usable, values, np.float32(0)))
    total = np.zeros_like(clocked)
    share = np.zeros(len(values), np.float32)
    per_row = np.count_nonzero(usable, axis=1)
    for group in _alike(window_rows(per_row)):
        rows = group.starts[:, np.newaxis] + np.arange(group.length)
        least = LEAST_FRACTION * group.length * usable.shape[1]
        rows = rows[per_row[rows].sum(axis=1) >= least]
        ticks = group.length * clocked.shape[1]
        noise = _fit_windows(
            clocked[rows].reshape(-1, ticks), weights[rows].reshape(-1, ticks), corners
        ).reshape(-1, clocked.shape[1])
        blend = _blend(rows, len(values))
        total += blend @ noise
        share += blend.sum(axis=1)
    share = share[:, np.newaxis]
    np.divide(total, share, out=total, where=share > 0)
    return total[:, : values.shape[1]].copy()


def window_rows(usable_per_row: NDArray[np.int_]) -> list[slice]:
    """Windows of whole rows that hold about 512 usable pixels, overlapping by half.

    Parameters
    ----------
    usable_per_row : ndarray of int, shape (n_slow,)
        Number of usable pixels in each row.

    Returns
    -------
    list of slice
        The windows; together they cover all rows.

    Examples
    --------
    >>> import numpy as np
    >>> from deflicker.noise.windows import window_rows
    >>> [(rows.start, rows.stop) for rows in window_rows(np.full(40, 32))]
    [(0, 16), (8, 24), (16, 32), (24, 40)]
    """
    n_rows = len(usable_per_row)
    filled = [0, *np.cumsum(usable_per_row).tolist()]
    windows = []
    start = 0
    while True:
        stop = bisect_left(filled, filled[start] + WINDOW_PIXELS)
        if stop >= n_rows:
            # The last window is as full as the others: it reaches back.
            first = bisect_right(filled, filled[-1] - WINDOW_PIXELS) - 1
            windows.append(slice(min(start, max(first, 0)), n_rows))
            return windows
        stop = max(stop, start + 2)
        windows.append(slice(start, stop))
        start += max((stop - start) // 2, 1)


@dataclass(frozen=True)
class _Windows:
    """Windows of one length, which are fitted together."""

    starts: NDArray[np.int_]
    length: int


def _alike(windows: list[slice]) -> Iterator[_Windows]:
    starts = np.array([window.start for window in windows])
    lengths = np.array([window.stop - window.start for window in windows])
    for length in np.unique(lengths):
        alike = starts[lengths == length]
        for first in range(0, len(alike), MOST_WINDOWS):
            yield _Windows(alike[first : first + MOST_WINDOWS], int(length))


def _without_outliers(values: NDArray[np.float32], usable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Usable pixels without outliers of the image and their four neighbours."""
    if not usable.any():
        return usable
    some = values[usable]
    median = _median_by_sort(some)
    some -= median
    limit = OUTLIERS * MAD_TO_SIGMA * _median_by_sort(np.abs(some, out=some))
    wild = usable & (np.abs(np.where(usable, values, median) - median) > limit)
    kept = usable & ~wild
    kept[1:] &= ~wild[:-1]
    kept[:-1] &= ~wild[1:]
    kept[:, 1:] &= ~wild[:, :-1]
    kept[:, :-1] &= ~wild[:, 1:]
    return kept if kept.any() else usable


def _median_by_sort(values: NDArray[np.float32]) -> np.float32:
    """Sort in place and take the middle: several times faster than numpy's partition."""
    values.sort()
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else values[middle - 1 : middle + 1].mean()


def _clocked(image: NDArray) -> NDArray[np.float32]:
    """Rows with the ticks of their overhead, empty."""
    clocked = np.zeros((len(image), image.shape[1] + ROW_OVERHEAD), np.float32)
    clocked[:, : image.shape[1]] = image
    return clocked


def _density(
    usable: NDArray[np.float32], corners: tuple[float, float, float, float]
) -> NDArray[np.float32]:
    """Local density of usable pixels in clock order, over an eighth of the corner's period."""
    sigma = 1 / ((corners[0] + corners[1]) / 2) / (2 * 4 * TICK)
    # Overlapping blocks, of which the kernel spoils the ends, stay in a processor's cache.
    reach = ceil(KERNEL_REACH * sigma)
    length = next_fast_len(16 * reach, real=True)
    step = length - 2 * reach
    padded = np.zeros(ceil(usable.size / step) * step + 2 * reach, np.float32)
    padded[reach : reach + usable.size] = usable.ravel()
    blocks = sliding_window_view(padded, length)[::step]
    frequency = np.arange(length // 2 + 1) / length
    gain = np.exp(-2 * (np.pi * sigma * frequency) ** 2).astype(np.float32)
    density = irfft(rfft(blocks, axis=1) * gain, length, axis=1)[:, reach : reach + step]
    density = density.clip(1 / (np.sqrt(2 * np.pi) * sigma))
    return density.ravel()[: usable.size].reshape(usable.shape)


def _blend(rows: NDArray[np.int_], n_rows: int) -> csc_array:
    """Weights (n_rows, n_windows * length), triangular over each window, of a sum over windows."""
    length = rows.shape[1]
    triangle = 1 - np.abs(2 * np.arange(length) + 1 - length) / (length + 1)
    weights = np.broadcast_to(triangle.astype(np.float32), rows.shape)
    return csc_array(
        (weights.ravel(), rows.ravel(), np.arange(rows.size + 1)), shape=(n_rows, rows.size)
    )


def _fit_windows(
    values: NDArray[np.float32],
    weights: NDArray[np.float32],
    corners: tuple[float, float, float, float],
) -> NDArray[np.float32]:
    """Noise (n_windows, n_ticks) of windows of one length."""
    n_ticks = values.shape[1]
    spectrum = np.zeros((len(values), 2 * (n_ticks // 2 + 1)), np.float32)
    all_waves = ever_fewer(n_ticks, corners)
    sums, moments = _cosines_and_sines(weights, weights * values, all_waves[0].orders)
    left = np.arange(len(values))
    # From all frequencies to the constant alone, as far as the windows determine them.
    for waves in all_waves:
        if not len(left):
            break
        matrix = waves.normal_matrix(sums[left])
        good = _determined(matrix, weight=sums[left, 0])
        chosen = left[good]
        right = moments[chosen[:, np.newaxis], waves.moments] * waves.scale
        solved = np.linalg.solve(matrix[good], right[..., np.newaxis])[..., 0]
        spectrum[chosen[:, np.newaxis], waves.places] = solved * waves.gain
        left = left[~good]
    return irfft(spectrum.view(np.complex64), n_ticks, axis=1, norm="forward")


def _cosines_and_sines(
    first: NDArray[np.float32], second: NDArray[np.float32], orders: NDArray[np.int_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums over cosines and minus sines of some frequencies, side by side, of two sequences.

    In double precision: a normal matrix near its worst condition would magnify the
    rounding errors of single precision. Two real sequences are one complex one, whose
    transform is the faster one for lengths with a factor of 11.
    """
    both = np.empty(first.shape, np.complex128)
    both.real, both.imag = first, second
    spectrum = fft(both, axis=1, overwrite_x=True)
    at, mirrored = spectrum.take(orders, axis=1), spectrum.take(-orders, axis=1).conj()
    return ((at + mirrored) / 2).view(np.float64), ((at - mirrored) / 2j).view(np.float64)


def _determined(matrices: NDArray[np.float64], *, weight: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell whose smallest eigenvalue is large enough, by Cholesky's factors of the rest."""
    margin = LEAST_CONDITION * weight[:, np.newaxis, np.newaxis] * np.eye(matrices.shape[-1])
    try:
        np.linalg.cholesky(matrices - margin)
    except np.linalg.LinAlgError:
        if len(matrices) == 1:
            return np.zeros(1, dtype=bool)
        halves = (slice(None, len(matrices) // 2), slice(len(matrices) // 2, None))
        return np.concatenate([_determined(matrices[h], weight=weight[h]) for h in halves])
    return weight > 0
