"""The sky as a smooth surface that is eliminated from the equations of the noise."""

from dataclasses import dataclass
from functools import cached_property
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array, eye_array, kron
from scipy.sparse.linalg import SuperLU, splu

__all__ = ["SkySplines", "SmoothSky", "sky_penalty"]

SPACING = 32.0  # pixels between knots
FAST_BIN = 4  # pixels along the fast axis that share one value of the sky
SCALE = 256.0  # pixels over which the sky changes by about itself
THIRD_DERIVATIVE = 10.0
LOWER_DERIVATIVES = 3.0

Image = NDArray[np.float32]
Coefficients = NDArray[np.float64]


class SkySplines:
    """Cubic B-splines on a grid of knots over an image.

    Parameters
    ----------
    shape : tuple of int
        (n_slow, n_fast) of the image in pixels.
    spacing : float, optional
        About the distance of the knots in pixels.
    """

    def __init__(self, shape: tuple[int, int], *, spacing: float = SPACING) -> None:
        n_slow, n_fast = shape
        self.fast_bin = FAST_BIN if n_fast % FAST_BIN == 0 else 1
        self.slow, self.slow_spacing = _splines(n_slow, spacing)
        pixels, self.fast_spacing = _splines(n_fast, spacing)
        n_bins = n_fast // self.fast_bin
        mean = kron(eye_array(n_bins), np.full((1, self.fast_bin), 1 / self.fast_bin))
        self.fast = csr_array(mean @ pixels)
        self.grid = (self.slow.shape[1], self.fast.shape[1])
        self._slow_transposed = csr_array(self.slow.T)
        self._fast_transposed = csr_array(self.fast.T)

    def centres(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixel positions of the splines along the slow and the fast axis."""
        return (
            (np.arange(self.grid[0]) - 1) * self.slow_spacing,
            (np.arange(self.grid[1]) - 1) * self.fast_spacing,
        )

    def image(self, coefficients: Coefficients) -> Image:
        """Surface (n_slow, n_fast) of some coefficients."""
        bins = self.slow @ (self.fast @ coefficients.T).T
        return np.repeat(bins.astype(np.float32), self.fast_bin, axis=1)

    def sums(self, image: Image) -> Coefficients:
        """Apply the transpose: sums of an image weighted with each spline."""
        return self._slow_transposed @ (self._fast_transposed @ self.bins(image).T).T

    def bins(self, image: Image) -> NDArray[np.float64]:
        """Sums of the pixels that share a value."""
        parts = image.reshape(len(image), -1, self.fast_bin)
        return np.einsum("sfb->sf", parts, dtype=np.float64)

    def normal_matrix(self, weights: Image) -> csr_array:
        """Products of all pairs of splines, summed over an image with weights."""
        n_slow, n_fast = self.grid
        binned = self.bins(weights)
        rows, columns, values = [], [], []
        for dy in range(4):
            pairs = self.slow[:, : n_slow - dy].multiply(self.slow[:, dy:])
            part = (csr_array(pairs.T) @ binned).T
            for dx in range(-3, 4):
                if dy == 0 and dx < 0:
                    continue
                low, high = max(0, -dx), n_fast - max(0, dx)
                if high <= low:
                    continue
                pairs = self.fast[:, low:high].multiply(self.fast[:, low + dx : high + dx])
                entries = (csr_array(pairs.T) @ part).T.ravel()
                one = (
                    np.arange(n_slow - dy)[:, np.newaxis] * n_fast + np.arange(low, high)
                ).ravel()
                other = one + dy * n_fast + dx
                rows.append(one)
                columns.append(other)
                values.append(entries)
                if dy or dx:
                    rows.append(other)
                    columns.append(one)
                    values.append(entries)
        size = n_slow * n_fast
        entries = (np.concatenate(rows), np.concatenate(columns))
        return csr_array((np.concatenate(values), entries), shape=(size, size))

    def derivatives(self, order: int) -> list[tuple[int, int, int, csr_array]]:
        """Difference quotients of the coefficients: slow order, fast order, multiplicity."""
        n_slow, n_fast = self.grid
        return [
            (a, order - a, comb(order, a), csr_array(kron(slow, fast)))
            for a in range(order + 1)
            if (slow := _quotients(n_slow, self.slow_spacing, a)) is not None
            and (fast := _quotients(n_fast, self.fast_spacing, order - a)) is not None
        ]


def _splines(n: int, spacing: float) -> tuple[csr_array, float]:
    """Cubic B-splines at ``n`` pixels, as columns, and the distance of their knots."""
    intervals = max(1, round(n / spacing))
    spacing = n / intervals
    position = (np.arange(n) + 0.5) / spacing
    first = np.minimum(position.astype(int), intervals - 1)
    t = position - first
    values = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1
    )
    rows = np.repeat(np.arange(n), 4)
    columns = (first[:, np.newaxis] + np.arange(4)).ravel()
    return csr_array((values.ravel() / 6, (rows, columns)), shape=(n, intervals + 3)), spacing


def _quotients(n: int, spacing: float, order: int) -> csr_array | None:
    if order >= n:
        return None
    matrix = csr_array(eye_array(n))
    for k in range(order):
        size = n - k
        ones = np.ones(size - 1)
        step = diags_array([-ones, ones], offsets=[0, 1], shape=(size - 1, size)) / spacing
        matrix = csr_array(step @ matrix)
    return matrix


def sky_penalty(splines: SkySplines, brightness: NDArray[np.float64]) -> csr_array:
    """Inverse prior covariance of the sky's coefficients.

    Parameters
    ----------
    splines : SkySplines
        The surface.
    brightness : ndarray of float64, shape of ``splines.grid``
        Deviation of the sky from its level near each spline, positive, in DN.

    Returns
    -------
    csr_array
        Symmetric, positive semi-definite.

    Notes
    -----
    Third derivatives are Gaussian with a standard deviation of ten times the local
    brightness per 256 pixels cubed (a spectrum falling as the sixth power of the
    frequency), first and second derivatives of three times the largest brightness per 256
    pixels and per 256 pixels squared. The level is free.
    """
    most = LOWER_DERIVATIVES * float(brightness.max())
    terms = []
    for order in (1, 2, 3):
        deviation = THIRD_DERIVATIVE * brightness if order == 3 else np.full(splines.grid, most)
        precision = (SCALE**order / deviation) ** 2
        for slow, fast, multiplicity, matrix in splines.derivatives(order):
            local = precision
            for _ in range(slow):
                local = (local[1:] + local[:-1]) / 2
            for _ in range(fast):
                local = (local[:, 1:] + local[:, :-1]) / 2
            weights = diags_array(multiplicity * local.ravel())
            terms.append(matrix.T @ weights @ matrix)
    return csr_array(sum(terms[1:], start=terms[0]))


@dataclass(frozen=True)
class SmoothSky:
    """A sky F E c with a Gaussian prior, seen with some weights.

    Parameters
    ----------
    splines : SkySplines
        The matrix E.
    weights : ndarray of float32, shape (n_slow, n_fast)
        Weights w of the pixels, 0 where masked.
    penalty : csr_array
        Inverse prior covariance of the coefficients c.
    flat : ndarray of float32, shape (n_slow, n_fast), or None
        Flat field F.
    """

    splines: SkySplines
    weights: Image
    penalty: csr_array
    flat: Image | None = None

    @cached_property
    def factors(self) -> SuperLU:
        """Factors of ``E^T F w F E + penalty``."""
        weights = self.weights if self.flat is None else self.weights * self.flat**2
        matrix = (self.splines.normal_matrix(weights) + self.penalty).tocsc()
        options = {"SymmetricMode": True}
        return splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)

    def coefficients(self, weighted: Image) -> Coefficients:
        """Most probable sky of weighted data ``w d`` that hold nothing else."""
        seen = weighted if self.flat is None else weighted * self.flat
        sums = self.splines.sums(seen)
        return self.factors.solve(sums.ravel()).reshape(sums.shape)

    def image(self, weighted: Image) -> Image:
        """Most probable sky of weighted data, as an image before the flat field."""
        return self.splines.image(self.coefficients(weighted))

    def without_sky(self, weighted: Image) -> Image:
        """Apply ``1 - w F E (E^T F w F E + penalty)^-1 E^T F`` to weighted data.

        With it, weights become those of data whose sky is unknown.
        """
        sky = self.image(weighted)
        sky *= self.weights
        if self.flat is not None:
            sky *= self.flat
        return np.subtract(weighted, sky, out=sky)
