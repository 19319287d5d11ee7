"""Fit of waves to sequences with gaps, regularised by the powers of the waves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from deflicker.noise.nsclean.waves import Waves

__all__ = ["WavePowers", "WaveSums", "fit_waves", "powers_of_each", "wave_powers"]

# Fraction of the variance of the values; float32 cannot represent less white noise than this.
LEAST_WHITE = 1e-8
LEAST_EXPECTED = 1e-3  # expected power of a wave relative to the strongest one
DOUBT = 1e-2  # penalty of a kind of waves relative to the kind before it
LEAST_CHANCE = 1e-6  # least relative error of an equation
TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, eq=False)
class WaveSums:
    """Normal equations of waves, from the pixels of some sequences of the same length.

    Parameters
    ----------
    waves : Waves
        Waves that are fitted.
    kinds : ndarray of float, shape (n_waves, n_kinds)
        Power of each wave for unit power of each kind of waves; the most probable kind comes
        first.
    matrix : ndarray of float, shape (n_sequences, n_waves, n_waves)
        Normal matrix N of the weights w.
    products : ndarray of float, shape (n_sequences, n_waves)
        Weighted products b of waves and values.
    weight, square_weight, power : ndarray of float, shape (n_sequences,)
        Sums of w, w**2 and w times the square of the values.
    overlap : float, optional
        Number of sequences that contain a given pixel.
    """

    waves: Waves
    kinds: NDArray[np.float64]
    matrix: NDArray[np.float64]
    products: NDArray[np.float64]
    weight: NDArray[np.float64]
    square_weight: NDArray[np.float64]
    power: NDArray[np.float64]
    overlap: float = 1.0

    @property
    def error(self) -> NDArray[np.float64]:
        """Covariance of the products divided by N, for white noise of unit variance."""
        return self.square_weight / self.weight


@dataclass(frozen=True, eq=False)
class WavePowers:
    """Powers of the waves, and variance of the white noise.

    Parameters
    ----------
    mean : float
        Mean of the values.
    white : float
        Variance of the white noise, which is in none of the waves.
    kinds : ndarray of float, shape (n_kinds,)
        Power of each kind of waves.
    each : ndarray of float, shape (n_waves,), optional
        Power of each wave, if it differs from that of its kind.
    """

    mean: float
    white: float
    kinds: NDArray[np.float64]
    each: NDArray[np.float64] | None = None

    def of(self, part: WaveSums) -> NDArray[np.float64]:
        """Power of each wave (n_waves,) of some sequences."""
        return part.kinds @ self.kinds if self.each is None else self.each


def wave_powers(observed: Sequence[WaveSums], *, scatter: float) -> WavePowers:
    """Powers of the waves and of the white noise, from all sequences together.

    Parameters
    ----------
    observed : sequence of WaveSums
        Sequences with at least one usable value each.
    scatter : float
        Variance of the values relative to their neighbours, a lower limit of the white noise.

    Returns
    -------
    WavePowers
        Mean in the unit of the values, and powers in its square.

    Notes
    -----
    Method of moments: the mean of ``b b^T`` is ``N P N``, with P the powers of the waves, plus
    the covariance of the errors. The sums of its diagonal over the sequences are linear in
    the powers, as is the sum of the squares of the values. They are solved by non-negative
    least squares. A second round weights each square by the inverse of its variance as
    expected from the first one.
    """
    mean = _mean(observed)
    kinds_of = [part.kinds for part in observed]
    system, right, chance = _moments(observed, mean, kinds_of)
    # Values that are all equal, like saturated ones, contain no noise.
    first = _solve(system, right, chance) if right[-1] > 0 else np.zeros_like(right)
    if not first.any():
        return WavePowers(mean, 0.0, first[:-1])
    expected = [_expected_squares(part, first) for part in observed]
    system, right, chance = _moments(observed, mean, kinds_of, expected)
    found = _solve(system, right, chance)
    # A power is reduced where its error is comparable to it, and thus may have caused it.
    powers, itself = found[:-1], np.diag(system)[:-1]
    made = np.divide(chance[:-1], itself * powers, out=np.ones_like(powers), where=powers > 0)
    kinds = powers * (1 - np.minimum(made, 1.0) ** 2)
    white = max(float(found[-1]), scatter, LEAST_WHITE * float(right[-1] / system[-1, -1]))
    return WavePowers(mean, white, kinds)


def _solve(
    system: NDArray[np.float64], right: NDArray[np.float64], chance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Powers of the kinds and of the white noise, none of them negative."""
    scaled, aim = system / chance[:, np.newaxis], right / chance
    # Where the pixels cannot separate two kinds, the first one is more probable.
    size = np.sqrt(np.einsum("ij,ij->j", scaled, scaled))[:-1]
    doubt = np.eye(len(size), len(size) + 1) * (DOUBT * np.arange(len(size)) * size)[:, np.newaxis]
    found, _ = nnls(np.concatenate([scaled, doubt]), np.concatenate([aim, 0 * size]))
    return found


def _expected_squares(part: WaveSums, found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean squares (n_sequences, n_waves) of the products divided by their error."""
    inverse = 1 / part.error[:, np.newaxis]
    power = np.einsum("wkl,l->wk", part.matrix**2, part.kinds @ found[:-1]) * inverse**2
    return power + found[-1] * np.einsum("wkk->wk", part.matrix) * inverse


def powers_of_each(observed: Sequence[WaveSums], powers: WavePowers) -> WavePowers:
    """Power of each single wave, as far as the sequences constrain it.

    Parameters
    ----------
    observed : sequence of WaveSums
        Sequences with at least one usable value each, all of the same waves.
    powers : WavePowers
        Powers of the kinds, from which each wave may differ by about its own power.

    Returns
    -------
    WavePowers
        Mean in the unit of the values, and powers in its square.
    """
    expected = powers.of(observed[0])
    if not expected.any():
        return powers
    n_waves = len(expected)
    system, right, chance = _moments(observed, powers.mean, [np.eye(n_waves)] * len(observed))
    expected = np.maximum(expected, LEAST_EXPECTED * expected.max())
    near = np.eye(n_waves, n_waves + 1) / expected[:, np.newaxis]
    found, _ = nnls(
        np.concatenate([system / chance[:, np.newaxis], near]),
        np.concatenate([right / chance, np.ones(n_waves)]),
    )
    return replace(powers, each=found[:-1])


def _moments(
    observed: Sequence[WaveSums],
    mean: float,
    kinds: Sequence[NDArray[np.float64]],
    expected: Sequence[NDArray[np.float64]] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Equations of powers and white noise: matrix, right-hand side and its error."""
    n = kinds[0].shape[1]
    system, right, chance = np.zeros((n + 1, n + 1)), np.zeros(n + 1), np.zeros(n + 1)
    for number, (part, kind) in enumerate(zip(observed, kinds, strict=True)):
        inverse = 1 / part.error
        counts = np.ones_like(part.products)
        if expected is not None:
            least = LEAST_WHITE * expected[number].max(axis=1, keepdims=True)
            counts = np.maximum(expected[number], least) ** -2.0
        matrix = part.matrix * inverse[:, np.newaxis, np.newaxis]
        squares = (_without_mean(part, mean) * inverse[:, np.newaxis]) ** 2
        power = part.power - 2 * mean * part.products[:, 0] + mean**2 * part.weight
        diagonal = np.einsum("wkk->wk", matrix)
        system[:-1, :-1] += kind.T @ np.einsum("wk,wkl->kl", counts, matrix**2) @ kind
        system[:-1, -1] += kind.T @ (counts * diagonal).sum(axis=0)
        system[-1, :-1] += diagonal.sum(axis=0) @ kind
        system[-1, -1] += float(part.weight @ inverse)
        right[:-1] += kind.T @ (counts * squares).sum(axis=0)
        right[-1] += float(power @ inverse)
        # The variance of a squared Gaussian variable is two thirds of its mean fourth power.
        chance[:-1] += part.overlap * 2 / 3 * (kind**2).T @ ((counts * squares) ** 2).sum(axis=0)
    chance[-1] = 2 * right[-1] ** 2 / system[-1, -1]
    least = LEAST_CHANCE * np.abs(system).max(axis=1) * float(right[-1] / system[-1, -1])
    return system, right, np.maximum(np.sqrt(chance), np.maximum(least, TINY))


def _mean(observed: Sequence[WaveSums]) -> float:
    """Mean of all values, shrunk towards 0 according to its error."""
    parts = np.concatenate([part.products[:, 0] / part.error for part in observed])
    weight = sum(float(np.sum(part.weight / part.error)) for part in observed)
    total = float(parts.sum())
    chance = observed[0].overlap * float(np.einsum("w,w->", parts, parts))
    return total / weight * max(1 - chance / total**2, 0.0) if total else 0.0


def _without_mean(part: WaveSums, mean: float) -> NDArray[np.float64]:
    """Products of the waves and the values minus their mean; the first wave is constant."""
    return part.products - mean * part.matrix[:, :, 0]


def fit_waves(part: WaveSums, powers: WavePowers) -> NDArray[np.float64]:
    """Most probable amplitudes of the waves.

    Parameters
    ----------
    part : WaveSums
        Sequences.
    powers : WavePowers
        Expected powers of the waves and of the white noise.

    Returns
    -------
    ndarray of float, shape (n_sequences, n_waves)
        In the unit of the values.

    Notes
    -----
    Least squares with a penalty: the sum of the squares of the amplitudes, each divided by
    its power.
    """
    if not powers.white > 0:
        amplitudes: NDArray[np.floating] = np.zeros_like(part.products)
    else:
        root = np.sqrt(powers.of(part))
        inverse = 1 / (part.error * powers.white)
        matrix = part.matrix * (inverse[:, np.newaxis, np.newaxis] * np.multiply.outer(root, root))
        matrix += np.eye(len(root))
        right = _without_mean(part, powers.mean) * inverse[:, np.newaxis] * root
        amplitudes = np.linalg.solve(matrix, right[..., np.newaxis])[..., 0] * root
    amplitudes[:, 0] += powers.mean
    return amplitudes.astype(np.float64, copy=False)
