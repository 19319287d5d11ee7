"""Waves that are fitted to windows of a sub-array, and what their products are made of."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["TICK", "Waves", "ever_fewer"]

TICK = 1e-5  # seconds per pixel


@dataclass(frozen=True, eq=False)
class Waves:
    """Cosines and sines, of unit rms, that are fitted to a window.

    Parameters
    ----------
    orders : ndarray of int
        Frequencies at which the weights and the values are transformed.
    places, moments : ndarray of int, shape (n_waves,)
        Where each wave is in the spectrum, at twice its frequency and one more for a sine,
        and in the transform of the values.
    scale, gain : ndarray of float, shape (n_waves,)
        Factor to unit rms, and to what the filter leaves of the wave in the spectrum.
    near, far : ndarray of int, shape (n_waves, n_waves)
        Where the transform of the weights is taken: at the differences of the
        frequencies, and at their sums.
    near_factor, far_factor : ndarray of float, shape (n_waves, n_waves)
        Factors of the two parts of a product of waves.
    """

    orders: NDArray[np.int_]
    places: NDArray[np.int_]
    moments: NDArray[np.int_]
    scale: NDArray[np.float64]
    gain: NDArray[np.float64]
    near: NDArray[np.int_]
    far: NDArray[np.int_]
    near_factor: NDArray[np.float64]
    far_factor: NDArray[np.float64]

    def normal_matrix(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weighted products of all waves.

        Parameters
        ----------
        sums : ndarray of float, shape (n_windows, 2 * n_orders)
            Transform of the weights: cosine and minus sine of each of the ``orders``.

        Returns
        -------
        ndarray of float, shape (n_windows, n_waves, n_waves)
            Symmetric matrices.
        """
        matrix = np.take(sums, self.near, axis=1) * self.near_factor
        matrix += np.take(sums, self.far, axis=1) * self.far_factor
        return matrix


def _make_waves(
    passed: NDArray[np.int_],
    n_ticks: int,
    corners: tuple[float, float, float, float],
    orders: NDArray[np.int_],
) -> Waves:
    """Waves of some frequencies; the sine at half the clock's frequency is nothing."""
    half = n_ticks / 2
    sine = np.tile([0, 1], len(passed))
    order = np.repeat(passed, 2)
    real = ~((sine == 1) & ((order == 0) | (order == half)))
    sine, order = sine[real], order[real]
    single = (order == 0) | (order == half)
    scale = np.where(single, 1.0, np.sqrt(2.0))
    # The spectrum holds half of a wave, the other half at the negative frequency; it
    # holds minus the sine.
    gain = _gain(order / (n_ticks * TICK), corners)
    gain *= np.where(single, 1.0, np.sqrt(0.5)) * np.where(sine == 1, -1.0, 1.0)

    # cos a cos b and sin a sin b are halves of cos(a-b) and cos(a+b), a cosine times a
    # sine is halves of sin(a+b) and sin(b-a), with b that of the sine.
    mixed = np.not_equal.outer(sine, sine)
    both_sines = np.logical_and.outer(sine == 1, sine == 1)
    first_is_sine = mixed & (sine == 1)[:, np.newaxis]
    difference = np.subtract.outer(order, order)
    difference = np.where(mixed & ~first_is_sine, -difference, difference)
    product = np.multiply.outer(scale, scale) / 2
    near, near_sign = _place(difference, mixed, n_ticks, orders)
    far, far_sign = _place(np.add.outer(order, order), mixed, n_ticks, orders)
    return Waves(
        orders=orders,
        places=2 * order + sine,
        moments=_place(order, sine, n_ticks, orders)[0],
        scale=scale * np.where(sine == 1, -1.0, 1.0),
        gain=gain,
        near=near,
        far=far,
        near_factor=product * near_sign,
        far_factor=product * far_sign * np.where(both_sines, -1, 1),
    )


def _place(
    order: NDArray[np.int_], is_sine: NDArray, n_ticks: int, orders: NDArray[np.int_]
) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
    """Place and sign in the transform of the sum over a cosine or sine of any frequency."""
    mirrored = order % n_ticks > n_ticks // 2
    place = 2 * np.searchsorted(orders, _wrapped(order, n_ticks)) + is_sine
    return place, np.where(is_sine, np.where(mirrored, 1.0, -1.0), 1.0)


def _wrapped(order: NDArray[np.int_], n_ticks: int) -> NDArray[np.int_]:
    """Frequency, up to half of the clock's, that looks the same at the ticks."""
    return np.minimum(order % n_ticks, -order % n_ticks)


def _gain(
    frequency: NDArray[np.float64], corners: tuple[float, float, float, float]
) -> NDArray[np.float64]:
    """Filter: 1, cosine to 0 between the first two corners, back between the last two."""
    low, stop, start, high = corners
    down = np.clip((frequency - low) / (stop - low), 0, 1)
    up = np.clip((frequency - start) / (high - start), 0, 1)
    return 0.5 * (1 + np.cos(np.pi * down)) + 0.5 * (1 - np.cos(np.pi * up))


@lru_cache(maxsize=64)
def ever_fewer(n_ticks: int, corners: tuple[float, float, float, float]) -> tuple[Waves, ...]:
    """Waves that the filter lets pass, without the highest ones step by step.

    Parameters
    ----------
    n_ticks : int
        Length of a window.
    corners : tuple of float
        Corners of the filter in Hz: pass, stop, stop, pass.

    Returns
    -------
    tuple of Waves
        From all of them to the constant alone.
    """
    frequency = np.arange(n_ticks // 2 + 1) / (n_ticks * TICK)
    passed = np.flatnonzero(_gain(frequency, corners) > 1e-12)
    low = passed[passed < n_ticks // 4]
    sets = [passed, *(low[:number] for number in range(len(low), 0, -1))]
    products = np.subtract.outer(passed, passed), np.add.outer(passed, passed)
    orders = np.unique(_wrapped(np.concatenate([passed, *np.concatenate(products)]), n_ticks))
    return tuple(_make_waves(chosen, n_ticks, corners, orders) for chosen in sets)
