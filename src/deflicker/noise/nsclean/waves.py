"""Waves that are fitted to rows or windows of pixels, and their weighted products."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["Waves", "make_waves"]


@dataclass(frozen=True, eq=False)
class Waves:
    """Cosines and sines, of unit rms, that are fitted to a sequence of ticks.

    Parameters
    ----------
    n_ticks : int
        Length of the sequence.
    order : ndarray of int, shape (n_waves,)
        Cycles of each wave in the sequence.
    is_sine : ndarray of bool, shape (n_waves,)
        Which waves are sines.
    transformed : ndarray of int
        Frequencies at which the Fourier transforms of weights and values are needed.
    places, moments : ndarray of int, shape (n_waves,)
        Index of each wave in the spectrum (twice its frequency, plus one for a sine) and in
        the transform of the values.
    scale, amplitude : ndarray of float, shape (n_waves,)
        Factor that gives a wave unit rms, and factor from its amplitude to the spectrum.
    near, far : ndarray of int, shape (n_waves, n_waves)
        Indices in the transform of the weights: at the differences of the frequencies, and
        at their sums.
    near_factor, far_factor : ndarray of float, shape (n_waves, n_waves)
        Factors of the two parts of a product of waves.
    """

    n_ticks: int
    order: NDArray[np.int_]
    is_sine: NDArray[np.bool_]
    transformed: NDArray[np.int_]
    places: NDArray[np.int_]
    moments: NDArray[np.int_]
    scale: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    near: NDArray[np.int_]
    far: NDArray[np.int_]
    near_factor: NDArray[np.float64]
    far_factor: NDArray[np.float64]

    def normal_matrix(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weighted products of all waves.

        Parameters
        ----------
        sums : ndarray of float, shape (n_sequences, 2 * n_transformed)
            Fourier transform of the weights: cosine and minus sine of each frequency.

        Returns
        -------
        ndarray of float, shape (n_sequences, n_waves, n_waves)
            Symmetric matrices.
        """
        matrix = np.take(sums, self.near, axis=1) * self.near_factor
        matrix += np.take(sums, self.far, axis=1) * self.far_factor
        return matrix

    def products(self, moments: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weighted products of the waves and the values.

        Parameters
        ----------
        moments : ndarray of float, shape (n_sequences, 2 * n_transformed)
            Fourier transform of the weighted values: cosine and minus sine of each frequency.

        Returns
        -------
        ndarray of float, shape (n_sequences, n_waves)
            In the unit of the values.
        """
        return moments[:, self.moments] * self.scale

    def images(self) -> NDArray[np.float64]:
        """Evaluate the waves at all ticks.

        Returns
        -------
        ndarray of float, shape (n_waves, n_ticks)
            Waves of unit rms.
        """
        phases = 2 * np.pi / self.n_ticks * np.outer(self.order, np.arange(self.n_ticks))
        waves = np.where(self.is_sine[:, np.newaxis], np.sin(phases), np.cos(phases))
        return np.abs(self.scale)[:, np.newaxis] * waves


@lru_cache(maxsize=64)
def make_waves(n_ticks: int, orders: tuple[int, ...]) -> Waves:
    """Waves of some frequencies; sines that vanish at all ticks are left out.

    Parameters
    ----------
    n_ticks : int
        Length of the sequence.
    orders : tuple of int
        Cycles in the sequence, up to half of ``n_ticks``; ascending.

    Returns
    -------
    Waves
        Cosine and sine of each frequency.
    """
    passed = np.array(orders)
    products = np.subtract.outer(passed, passed), np.add.outer(passed, passed)
    transformed = np.unique(_wrapped(np.concatenate([passed, *np.concatenate(products)]), n_ticks))
    half = n_ticks / 2
    sine = np.tile([0, 1], len(passed))
    order = np.repeat(passed, 2)
    real = ~((sine == 1) & ((order == 0) | (order == half)))
    sine, order = sine[real], order[real]
    single = (order == 0) | (order == half)
    scale = np.where(single, 1.0, np.sqrt(2.0))

    # cos a cos b and sin a sin b are half the sum and half the difference of cos(a-b) and
    # cos(a+b); cos a sin b is half the sum of sin(a+b) and sin(b-a).
    mixed = np.not_equal.outer(sine, sine)
    both_sines = np.logical_and.outer(sine == 1, sine == 1)
    first_is_sine = mixed & (sine == 1)[:, np.newaxis]
    difference = np.subtract.outer(order, order)
    difference = np.where(mixed & ~first_is_sine, -difference, difference)
    product = np.multiply.outer(scale, scale) / 2
    near, near_sign = _place(difference, mixed, n_ticks, transformed)
    far, far_sign = _place(np.add.outer(order, order), mixed, n_ticks, transformed)
    # Transform and spectrum contain minus the sine.
    sign = np.where(sine == 1, -1.0, 1.0)
    return Waves(
        n_ticks=n_ticks,
        order=order,
        is_sine=sine == 1,
        transformed=transformed,
        places=2 * order + sine,
        moments=_place(order, sine, n_ticks, transformed)[0],
        scale=scale * sign,
        # The spectrum contains half of a wave; the other half is at the negative frequency.
        amplitude=np.where(single, 1.0, np.sqrt(0.5)) * sign,
        near=near,
        far=far,
        near_factor=product * near_sign,
        far_factor=product * far_sign * np.where(both_sines, -1, 1),
    )


def _place(
    order: NDArray[np.int_], is_sine: NDArray, n_ticks: int, orders: NDArray[np.int_]
) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
    """Index and sign, in the transform, of the sum over a cosine or sine of any frequency."""
    mirrored = order % n_ticks > n_ticks // 2
    place = 2 * np.searchsorted(orders, _wrapped(order, n_ticks)) + is_sine
    return place, np.where(is_sine, np.where(mirrored, 1.0, -1.0), 1.0)


def _wrapped(order: NDArray[np.int_], n_ticks: int) -> NDArray[np.int_]:
    """Alias of a frequency, up to half the sampling frequency."""
    return np.minimum(order % n_ticks, -order % n_ticks)
