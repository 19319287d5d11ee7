"""Fourier noise of sub-arrays: windows of whole rows, in clock order (NSClean)."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from math import ceil

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.fft import fft, irfft, next_fast_len, rfft
from scipy.sparse import csc_array

from deflicker.detector.facts import PIXEL_SECONDS, ROW_OVERHEAD
from deflicker.noise.nsclean.tuning import NscleanTuning
from deflicker.noise.nsclean.wave_fit import WavePowers, WaveSums, fit_waves, wave_powers
from deflicker.noise.nsclean.waves import Waves, make_waves
from deflicker.stats.constants import MAD_TO_SIGMA
from deflicker.stats.shrinkage import pixel_scatter

__all__ = ["subarray_noise", "window_rows"]

# Corners of the filter in Hz: pass, stop, stop, pass. The first is a tuning constant, and the
# second lies a roll-off beyond it. Rows of sub-arrays that are wide along the fast axis (ALLSLITS)
# are read too slowly for the corners of the narrow ones.
NARROW_ROLL_OFF, WIDE_ROLL_OFF = 150.0, 50.0
HIGH_CORNERS = (49943.0, 49957.0)
WIDEST_NARROW = 64  # pixels along the fast axis
KERNEL_REACH = 6.0  # sigma, where a Gaussian is below the rounding of single precision
MOST_TICKS = 90_000  # transformed together; their arrays fit into a processor's cache


def subarray_noise(
    values: NDArray[np.float32],
    usable: NDArray[np.bool_],
    *,
    tuning: NscleanTuning | None = None,
) -> NDArray[np.float32]:
    """Flicker and alternating-column noise of a sub-array read by one output.

    Parameters
    ----------
    values : ndarray of float32, shape (n_slow, n_fast)
        Background-subtracted difference in the detector frame, in DN.
    usable : ndarray of bool, shape (n_slow, n_fast)
        True where a value may be used; finite there.
    tuning : NscleanTuning, optional
        Tuning constants.

    Returns
    -------
    ndarray of float32, shape (n_slow, n_fast)
        Noise in DN, finite everywhere; 0 where no window can be fitted.

    Notes
    -----
    Rauscher (2024, PASP 136, 015001). Windows of whole rows with about 512 usable pixels
    overlap by half. In each window, the frequencies that pass the filter are fitted, with
    weights that are the inverse square of the local density of usable pixels; the normal
    matrix is the Fourier transform of the weights at the differences of the frequencies.
    Windows are blended with triangular weights.

    Where few pixels per row are usable, windows are long and many frequencies pass; only the
    lowest ones are fitted. The powers of the waves, measured from all windows, regularise the
    fit where pixels do not constrain it (`deflicker.noise.nsclean.wave_fit`).
    """
    tuning = tuning or NscleanTuning()
    corners = _corners(values.shape[1], tuning)
    usable = _without_outliers(values, usable, tuning.window_outlier)
    weights = _clocked(usable)
    weights /= _density(weights, corners)
    weights *= weights
    clocked = _clocked(np.where(usable, values, np.float32(0)))
    per_row = np.count_nonzero(usable, axis=1)
    observed = [
        (rows, _sums_of_windows(clocked[rows], weights[rows], corners, tuning))
        for rows in _alike(
            window_rows(per_row, int(tuning.window_pixels)), per_row, n_ticks=clocked.shape[1]
        )
    ]
    total = np.zeros_like(clocked)
    if not observed:
        return total[:, : values.shape[1]].copy()
    scatter = pixel_scatter(values, usable, [slice(0, values.shape[1])]).variance
    powers = wave_powers([part for _, part in observed], scatter=scatter)
    share = np.zeros(len(values), np.float32)
    for rows, part in observed:
        blend = _blend(rows, len(values))
        noise = _noise_of_windows(part, powers, corners)
        total += blend @ noise.reshape(-1, clocked.shape[1])
        share += blend.sum(axis=1)
    share = share[:, np.newaxis]
    np.divide(total, share, out=total, where=share > 0)
    return total[:, : values.shape[1]].copy()


def _corners(n_fast: int, tuning: NscleanTuning) -> tuple[float, float, float, float]:
    """Corners of the filter for rows of ``n_fast`` pixels."""
    if n_fast <= WIDEST_NARROW:
        first, roll_off = tuning.narrow_corner, NARROW_ROLL_OFF
    else:
        first, roll_off = tuning.wide_corner, WIDE_ROLL_OFF
    return first, first + roll_off, *HIGH_CORNERS


def window_rows(
    usable_per_row: NDArray[np.int_], n_pixels: int = int(NscleanTuning.window_pixels)
) -> list[slice]:
    """Windows of whole rows with a given number of usable pixels, overlapping by half.

    Parameters
    ----------
    usable_per_row : ndarray of int, shape (n_slow,)
        Number of usable pixels in each row.
    n_pixels : int, optional
        Approximate number of usable pixels in a window.

    Returns
    -------
    list of slice
        The windows; together they cover all rows.

    Examples
    --------
    >>> import numpy as np
    >>> from deflicker.noise.nsclean.windows import window_rows
    >>> [(rows.start, rows.stop) for rows in window_rows(np.full(40, 32))]
    [(0, 16), (8, 24), (16, 32), (24, 40)]
    """
    n_rows = len(usable_per_row)
    filled = [0, *np.cumsum(usable_per_row).tolist()]
    windows = []
    start = 0
    while True:
        stop = bisect_left(filled, filled[start] + n_pixels)
        if stop >= n_rows:
            # The last window extends backwards, to contain as many pixels as the others.
            first = bisect_right(filled, filled[-1] - n_pixels) - 1
            windows.append(slice(min(start, max(first, 0)), n_rows))
            return windows
        stop = max(stop, start + 2)
        windows.append(slice(start, stop))
        start += max((stop - start) // 2, 1)


def _alike(
    windows: list[slice], per_row: NDArray[np.int_], *, n_ticks: int
) -> Iterator[NDArray[np.int_]]:
    """Yield rows (n_windows, length) of windows of one length that are fitted together."""
    starts = np.array([window.start for window in windows])
    lengths = np.array([window.stop - window.start for window in windows])
    for length in np.unique(lengths):
        rows = starts[lengths == length][:, np.newaxis] + np.arange(length)
        rows = rows[per_row[rows].any(axis=1)]
        number = max(MOST_TICKS // (int(length) * n_ticks), 1)
        for first in range(0, len(rows), number):
            yield rows[first : first + number]


def _without_outliers(
    values: NDArray[np.float32], usable: NDArray[np.bool_], n_sigma: float
) -> NDArray[np.bool_]:
    """Usable pixels, without outliers of the image and without their four neighbours."""
    if not usable.any():
        return usable
    some = values[usable]
    median = _median_by_sort(some)
    some -= median
    limit = n_sigma * MAD_TO_SIGMA * _median_by_sort(np.abs(some, out=some))
    outliers = usable & (np.abs(np.where(usable, values, median) - median) > limit)
    kept = usable & ~outliers
    kept[1:] &= ~outliers[:-1]
    kept[:-1] &= ~outliers[1:]
    kept[:, 1:] &= ~outliers[:, :-1]
    kept[:, :-1] &= ~outliers[:, 1:]
    return kept if kept.any() else usable


def _median_by_sort(values: NDArray[np.float32]) -> np.float32:
    """Sort in place and take the middle: several times faster than numpy's partition."""
    values.sort()
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else values[middle - 1 : middle + 1].mean()


def _clocked(image: NDArray) -> NDArray[np.float32]:
    """Append the ticks of the overhead to each row, filled with 0."""
    clocked = np.zeros((len(image), image.shape[1] + ROW_OVERHEAD), np.float32)
    clocked[:, : image.shape[1]] = image
    return clocked


def _density(
    usable: NDArray[np.float32], corners: tuple[float, float, float, float]
) -> NDArray[np.float32]:
    """Local density of usable pixels in clock order, over an eighth of the corner's period."""
    sigma = 1 / ((corners[0] + corners[1]) / 2) / (2 * 4 * PIXEL_SECONDS)
    # Blocks fit into a processor's cache. They overlap, because their ends are invalid.
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
    """Triangular weights (n_rows, n_windows * length) with which windows are summed."""
    length = rows.shape[1]
    triangle = 1 - np.abs(2 * np.arange(length) + 1 - length) / (length + 1)
    weights = np.broadcast_to(triangle.astype(np.float32), rows.shape)
    return csc_array(
        (weights.ravel(), rows.ravel(), np.arange(rows.size + 1)), shape=(n_rows, rows.size)
    )


def _sums_of_windows(
    values: NDArray[np.float32],
    weights: NDArray[np.float32],
    corners: tuple[float, float, float, float],
    tuning: NscleanTuning,
) -> WaveSums:
    """Normal equations of the waves from the pixels (n_windows, length, n_ticks) of windows."""
    values, weights = (a.reshape(len(a), -1) for a in (values, weights))
    n_ticks = values.shape[1]
    waves = make_waves(n_ticks, _passed(n_ticks, corners, tuning))
    weighted = weights * values
    sums, moments = _cosines_and_sines(weights, weighted, waves.transformed)
    return WaveSums(
        waves=waves,
        kinds=_kinds(waves),
        matrix=waves.normal_matrix(sums),
        products=waves.products(moments),
        weight=sums[:, 0],
        square_weight=np.einsum("wt,wt->w", weights, weights, dtype=np.float64),
        power=np.einsum("wt,wt->w", weighted, values, dtype=np.float64),
        overlap=2.0,
    )


def _passed(
    n_ticks: int, corners: tuple[float, float, float, float], tuning: NscleanTuning
) -> tuple[int, ...]:
    """Frequencies that pass the filter: the lowest and those nearest to column alternation.

    Their number is limited to what 512 pixels can constrain, however long the window.
    """
    frequency = np.arange(n_ticks // 2 + 1) / (n_ticks * PIXEL_SECONDS)
    passed = np.flatnonzero(_gain(frequency, corners) > 1e-12)
    low, high = passed[passed < n_ticks // 4], passed[passed >= n_ticks // 4]
    chosen = [*low[: int(tuning.most_low)], *high[-int(tuning.most_high) :]]
    return tuple(int(order) for order in chosen)


def _kinds(waves: Waves) -> NDArray[np.float64]:
    """Four kinds: constant, drifts, alternation of the columns, and drifts of the latter.

    The power of a drift is inversely proportional to its number of cycles in a window.
    """
    order, rest = waves.order, waves.n_ticks / 2 - waves.order
    low, high = order < waves.n_ticks // 4, order >= waves.n_ticks // 4
    return np.stack(
        [
            order == 0,
            (low & (order > 0)) / np.maximum(order, 1),
            high & (rest < 1),
            (high & (rest >= 1)) / np.maximum(rest, 1),
        ],
        axis=1,
    )


def _noise_of_windows(
    part: WaveSums, powers: WavePowers, corners: tuple[float, float, float, float]
) -> NDArray[np.float32]:
    """Noise (n_windows, n_ticks) of windows of one length."""
    waves = part.waves
    gain = waves.amplitude * _gain(waves.order / (waves.n_ticks * PIXEL_SECONDS), corners)
    spectrum = np.zeros((len(part.weight), 2 * (waves.n_ticks // 2 + 1)), np.float32)
    spectrum[:, waves.places] = fit_waves(part, powers) * gain
    return irfft(spectrum.view(np.complex64), waves.n_ticks, axis=1, norm="forward")


def _gain(
    frequency: NDArray[np.float64], corners: tuple[float, float, float, float]
) -> NDArray[np.float64]:
    """Filter gain: 1, cosine to 0 between the first two corners, back between the last two."""
    low, stop, start, high = corners
    down = np.clip((frequency - low) / (stop - low), 0, 1)
    up = np.clip((frequency - start) / (high - start), 0, 1)
    return 0.5 * (1 + np.cos(np.pi * down)) + 0.5 * (1 - np.cos(np.pi * up))


def _cosines_and_sines(
    first: NDArray[np.float32], second: NDArray[np.float32], orders: NDArray[np.int_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fourier sums (cosine, minus sine) of two sequences at some frequencies.

    Double precision is needed because a badly conditioned normal matrix magnifies rounding
    errors. The two real sequences are transformed as one complex sequence, which is faster
    for lengths with a factor of 11.
    """
    both = np.empty(first.shape, np.complex128)
    both.real, both.imag = first, second
    spectrum = fft(both, axis=1, overwrite_x=True)
    at, mirrored = spectrum.take(orders, axis=1), spectrum.take(-orders, axis=1).conj()
    return ((at + mirrored) / 2).view(np.float64), ((at - mirrored) / 2j).view(np.float64)
