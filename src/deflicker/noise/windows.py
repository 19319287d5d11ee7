"""Fourier noise of sub-arrays: windows of whole rows, in clock order (NSClean)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import binary_dilation

from deflicker.noise.median import MAD_TO_SIGMA

__all__ = ["subarray_noise", "window_rows"]

TICK = 1e-5  # seconds per pixel
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
    share = np.zeros((len(values), 1))
    for group in _alike(window_rows(np.count_nonzero(usable, axis=1))):
        rows = group.starts[:, np.newaxis] + np.arange(group.length)
        fraction = usable[rows].mean(axis=(1, 2))
        rows = rows[fraction >= LEAST_FRACTION]
        if not len(rows):
            continue
        ticks = group.length * clocked.shape[1]
        noise = _fit_windows(
            clocked[rows].reshape(-1, ticks), weights[rows].reshape(-1, ticks), corners
        ).reshape(-1, group.length, clocked.shape[1])
        triangle = _triangle(group.length)
        noise *= triangle[:, np.newaxis]
        for window, part in zip(rows, noise, strict=True):
            total[window[0] : window[-1] + 1] += part
            share[window[0] : window[-1] + 1, 0] += triangle
    np.divide(total, share, out=total, where=share > 0)
    return total[:, : values.shape[1]].astype(np.float32)


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
    filled = np.concatenate([[0], np.cumsum(usable_per_row)])
    windows = []
    start = 0
    while True:
        stop = int(np.searchsorted(filled, filled[start] + WINDOW_PIXELS, side="left"))
        if stop >= n_rows:
            # The last window is as full as the others: it reaches back.
            first = int(np.searchsorted(filled, filled[-1] - WINDOW_PIXELS, side="right")) - 1
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
        yield _Windows(starts[lengths == length], int(length))


def _without_outliers(values: NDArray[np.float32], usable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Usable pixels without outliers of the image and their four neighbours."""
    if not usable.any():
        return usable
    some = values[usable]
    median = np.median(some)
    limit = OUTLIERS * MAD_TO_SIGMA * np.median(np.abs(some - median))
    wild = usable & (np.abs(np.where(usable, values, median) - median) > limit)
    kept = usable & ~binary_dilation(wild)
    return kept if kept.any() else usable


def _clocked(image: NDArray) -> NDArray[np.float64]:
    """Rows with the ticks of their overhead, empty."""
    return np.pad(image.astype(np.float64), ((0, 0), (0, ROW_OVERHEAD)))


def _density(
    usable: NDArray[np.float64], corners: tuple[float, float, float, float]
) -> NDArray[np.float64]:
    """Local density of usable pixels in clock order, over an eighth of the corner's period."""
    sigma = 1 / ((corners[0] + corners[1]) / 2) / (2 * 4 * TICK)
    length = next_fast_len(usable.size + int(8 * sigma), real=True)
    frequency = np.arange(length // 2 + 1) / length
    gain = np.exp(-2 * (np.pi * sigma * frequency) ** 2)
    density = irfft(rfft(usable.ravel(), length) * gain, length)[: usable.size]
    return np.maximum(density, 1 / (np.sqrt(2 * np.pi) * sigma)).reshape(usable.shape)


def _triangle(length: int) -> NDArray[np.float64]:
    return 1 - np.abs(2 * np.arange(length) + 1 - length) / (length + 1)


def _gain(
    frequency: NDArray[np.float64], corners: tuple[float, float, float, float]
) -> NDArray[np.float64]:
    """Filter: 1, cosine to 0 between the first two corners, back between the last two."""
    low, stop, start, high = corners
    down = np.clip((frequency - low) / (stop - low), 0, 1)
    up = np.clip((frequency - start) / (high - start), 0, 1)
    return 0.5 * (1 + np.cos(np.pi * down)) + 0.5 * (1 - np.cos(np.pi * up))


def _fit_windows(
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    corners: tuple[float, float, float, float],
) -> NDArray[np.float64]:
    """Noise (n_windows, n_ticks) of windows of one length."""
    n_ticks = values.shape[1]
    frequency = np.arange(n_ticks // 2 + 1) / (n_ticks * TICK)
    gain = _gain(frequency, corners)
    passed = np.flatnonzero(gain > 1e-12)
    noise = np.zeros_like(values)
    sums, moments = rfft(weights, axis=1), rfft(weights * values, axis=1)
    left = np.arange(len(values))
    # From all frequencies to the constant alone, as far as the windows determine them.
    for indices in _ever_fewer(passed, n_ticks):
        if not len(left):
            break
        matrix = _at(sums[left], np.subtract.outer(indices, indices), n_ticks)
        good = _determined(matrix)
        chosen = left[good]
        right = _at(moments[chosen], indices, n_ticks)[..., np.newaxis]
        solved = np.linalg.solve(matrix[good], right)[..., 0]
        spectrum = np.zeros((len(chosen), n_ticks // 2 + 1), dtype=np.complex128)
        positive = indices <= n_ticks // 2
        spectrum[:, indices[positive]] = solved[:, positive] * gain[indices[positive]]
        noise[chosen] = irfft(spectrum, n_ticks, axis=1, norm="forward")
        left = left[~good]
    return noise


def _determined(matrices: NDArray[np.complex128]) -> NDArray[np.bool_]:
    """Tell whose smallest eigenvalue is large enough, by Cholesky's factors of the rest."""
    weight = matrices[:, 0, 0].real
    margin = LEAST_CONDITION * weight[:, np.newaxis, np.newaxis] * np.eye(matrices.shape[-1])
    try:
        np.linalg.cholesky(matrices - margin)
    except np.linalg.LinAlgError:
        if len(matrices) == 1:
            return np.zeros(1, dtype=bool)
        return np.concatenate([_determined(matrix[np.newaxis]) for matrix in matrices])
    return weight > 0


def _at(
    half: NDArray[np.complex128], indices: NDArray[np.int_], n_ticks: int
) -> NDArray[np.complex128]:
    """Fourier transform of real data at any indices, from its half that rfft gives."""
    wrapped = indices % n_ticks
    mirrored = wrapped > n_ticks // 2
    found = half[:, np.where(mirrored, n_ticks - wrapped, wrapped)]
    return np.where(mirrored, found.conj(), found)


def _ever_fewer(passed: NDArray[np.int_], n_ticks: int) -> Iterator[NDArray[np.int_]]:
    """Both signs of the frequencies, without the highest ones step by step."""
    middle = n_ticks // 4
    low = passed[passed < middle]
    sets = [passed, *(low[:number] for number in range(len(low), 0, -1))]
    for chosen in sets:
        yield np.unique(np.concatenate([chosen, -chosen % n_ticks]))
