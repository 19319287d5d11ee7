"""Spectrum of the noise of the outputs, measured from records with gaps."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, next_fast_len, rfft

from deflicker.detector.clock import Clock
from deflicker.noise.spectrum import HALF_SAMPLING, NoiseSpectrum
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.utils.threads import map_in_order

__all__ = ["measure_spectrum", "typical_spectrum"]

BINS_PER_OCTAVE = 3
# Frequency bins that are used of each lag window; the longest window is used from bin 1.
FIRST_BIN, LAST_BIN = 6, 12
SLOPES = np.arange(0.6, 2.01, 0.05)


def typical_spectrum(*, white: float, n_outputs: int) -> NoiseSpectrum:
    """Spectrum of typical near-infrared detectors, for exposures that do not constrain it.

    Parameters
    ----------
    white : float
        Variance of the white noise of a pixel, which sets the scale.
    n_outputs : int
        Number of outputs; with a single one, all noise is per output.

    Returns
    -------
    NoiseSpectrum
        Pink (1/f) noise. Over a full frame, its rms is 0.85 (common) and 0.3 (per output) of
        the white rms, the mean of three detectors (Rauscher 2015, PASP 127, 1144, and later
        measurements).
    """
    least = 1e-7
    frequency = np.geomspace(least, HALF_SAMPLING / 2, 64)
    pink = 1 / frequency / (2 * np.log(HALF_SAMPLING / 1e-6))
    common, per_output = 0.85**2 * white * pink, 0.3**2 * white * pink
    if n_outputs == 1:
        common, per_output = np.zeros_like(per_output), common + per_output
    return NoiseSpectrum(
        frequency=frequency,
        common=common,
        per_output=per_output,
        white=white,
        shared_fraction=0.0 if n_outputs == 1 else 0.85**2 / (0.85**2 + 0.3**2),
    )


def measure_spectrum(
    images: Iterable[tuple[NDArray[np.float32], NDArray[np.bool_]]],
    clock: Clock,
    *,
    n_threads: int = 1,
    least_of_law: float = WienerTuning.least_of_law,
) -> NoiseSpectrum | None:
    """Measure the spectrum of the noise of images that contain nothing else.

    Parameters
    ----------
    images : iterable of (values, usable)
        ``values`` (n_slow, n_fast) float32, ``usable`` bool of the same shape.
    clock : Clock
        Order in which the pixels were read.
    n_threads : int, optional
        Threads to use.
    least_of_law : float, optional
        Least power per output, as a fraction of the power law fitted to the spectrum.

    Returns
    -------
    NoiseSpectrum or None
        Mean over the images; None if too few pixels are usable.

    Notes
    -----
    The autocovariance at each lag is the sum of the products of pairs of usable pixels,
    divided by the number of pairs; gaps do not bias it. Its Fourier transform with a Parzen
    window is the spectrum (Blackman and Tukey 1958); each octave has a window of suitable
    length. The cross-covariance of the outputs gives the noise that is common to them.
    """
    auto, cross = _covariances(images, clock, n_threads)
    if auto is None:
        return None
    frequency, total = _smooth_spectrum(auto)
    common = _smooth_spectrum(cross)[1] if cross is not None else np.zeros_like(total)
    law, white = _power_law(frequency, total - common)
    if not white > 0:
        return None
    limit = least_of_law * law
    per_output = np.maximum(total - common - white, 0)
    slow = frequency <= HALF_SAMPLING / 2
    # Beyond the knee the correlated noise is a small difference of large powers, and the
    # power law is more reliable.
    weak = slow & (law < white / 3)
    per_output = np.where(weak, law, np.maximum(per_output, np.where(slow, limit, law)))
    common = np.maximum(common, 0)
    if cross is None:
        shared_fraction = 0.0
    else:
        shared, alone = (np.trapezoid(x[slow], frequency[slow]) for x in (common, per_output))
        shared_fraction = float(shared / (shared + alone)) if shared > 0 else 0.0
    return NoiseSpectrum(
        frequency=frequency,
        common=common,
        per_output=per_output,
        white=white,
        shared_fraction=shared_fraction,
    )


def _covariances(
    images: Iterable[tuple[NDArray[np.float32], NDArray[np.bool_]]],
    clock: Clock,
    n_threads: int,
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """Auto- and cross-covariance of the outputs at lags up to half a record."""
    n_lags = max(clock.n_ticks // 2, 2)
    size = 2 * next_fast_len(-(-(clock.n_ticks + n_lags) // 2), real=True)
    sums = np.zeros((4, size // 2 + 1))
    for values, usable in images:
        kept = np.where(usable, values, np.float32(0))
        _add_powers(sums[:2], kept, clock, n_threads)
        _add_powers(sums[2:], usable.astype(np.float32), clock, n_threads)
    # The inverse Fourier transform of a real symmetric function is a cosine transform.
    products = dct(sums, type=1, axis=1, overwrite_x=True)[:, :n_lags] / size
    del sums
    if products[2, 0] < 1 or products[2, 0] < 1e-3 * products.shape[1]:
        return None, None
    enough = max(0.5, 1e-4 * products[2, 0])
    auto = np.where(products[2] > enough, products[0] / np.maximum(products[2], 1), 0)
    if clock.n_outputs == 1:
        return auto, None
    return auto, np.where(products[3] > enough, products[1] / np.maximum(products[3], 1), 0)


def _add_powers(
    sums: NDArray[np.float64], image: NDArray[np.float32], clock: Clock, n_threads: int
) -> None:
    """Add the sums over outputs, and over pairs of outputs, of products of their transforms."""
    size = 2 * (sums.shape[1] - 1)

    def transform(ordered: NDArray[np.float32]) -> NDArray[np.complex64]:
        record = np.zeros((1, size), dtype=np.float32)
        clock.fill(record, ordered[np.newaxis])
        return rfft(record[0])

    total = np.zeros(sums.shape[1], dtype=np.complex64)
    power = np.zeros(sums.shape[1])
    for one in map_in_order(transform, clock.ordered(image), n_threads=n_threads):
        total += one
        power += _square(one)
    sums[0] += power
    both = _square(total)
    both -= power
    both /= 2
    sums[1] += both


def _square(transform: NDArray[np.complex64]) -> NDArray[np.float64]:
    parts = transform.view(np.float32).reshape(-1, 2)
    return np.einsum("fc,fc->f", parts, parts, dtype=np.float64)


def _smooth_spectrum(
    covariance: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Spectrum in logarithmic bins of the distance to 0 and to half the sampling frequency."""
    slow_frequency, slow = _octaves(covariance)
    signs = np.where(np.arange(len(covariance)) % 2, -1.0, 1.0)
    distance, fast = _octaves(covariance * signs)
    frequency = np.concatenate([slow_frequency, HALF_SAMPLING - distance[::-1]])
    return frequency, np.concatenate([slow, fast[::-1]])


def _octaves(
    covariance: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Spectrum up to a quarter of the sampling frequency, octave by octave."""
    n_lags = len(covariance)
    frequencies: list[float] = []
    powers: list[float] = []
    length = n_lags
    first = 1
    while length >= 2 * LAST_BIN:
        spectrum = _windowed(covariance[:length])
        last = min(LAST_BIN, length // 2)
        edges = np.unique(
            np.round(
                np.geomspace(
                    first, last, max(2, 1 + round(BINS_PER_OCTAVE * np.log2(last / first)))
                )
            )
        ).astype(int)
        for low, high in pairwise(edges):
            frequencies.append((low + high - 1) / 2 / (2 * length))
            powers.append(float(spectrum[low:high].mean()))
        first = FIRST_BIN
        length //= 2
    keep = np.asarray(frequencies) < HALF_SAMPLING / 2
    order = np.argsort(np.asarray(frequencies)[keep])
    return np.asarray(frequencies)[keep][order], np.asarray(powers)[keep][order]


def _windowed(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spectrum at multiples of 1 / (2 n_lags), with a Parzen window."""
    length = len(covariance)
    x = np.arange(length) / length
    window = np.where(x < 0.5, 1 - 6 * x**2 * (1 - x), 2 * (1 - x) ** 3)
    # The Fourier transform of a real symmetric function is a cosine transform.
    return dct(np.append(covariance * window, 0.0), type=1, overwrite_x=True)


def _power_law(
    frequency: NDArray[np.float64], power: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Power law and white level whose sum fits best, by least squares of relative deviations."""
    some = (frequency >= 1e-3) & (frequency <= 0.4) & (power > 0)
    if np.count_nonzero(some) < 4:
        some = (frequency <= 0.4) & (power > 0)
    if np.count_nonzero(some) < 3:
        return np.zeros_like(power), 0.0
    x, y = frequency[some], power[some]
    best: tuple[float, float, float, float] | None = None
    for slope in SLOPES:
        terms = np.stack([np.ones_like(x), x**-slope], axis=1) / y[:, np.newaxis]
        level, amplitude = np.linalg.lstsq(terms, np.ones_like(y), rcond=None)[0]
        if amplitude < 0:
            level, amplitude = 1 / np.mean(1 / y), 0.0
        if level <= 0:
            continue
        misfit = float(np.sum((terms @ [level, amplitude] - 1) ** 2))
        if best is None or misfit < best[0]:
            best = (misfit, float(level), float(amplitude), float(slope))
    if best is None:
        return np.zeros_like(power), float(y.min())
    law = best[2] * np.maximum(frequency, 1e-9) ** -best[3]
    return law, best[1]
