"""The sky as a smooth surface that is eliminated from the equations of the noise."""

from dataclasses import dataclass, field
from functools import cached_property
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.linalg import cho_solve_banded, cholesky_banded
from scipy.sparse import csr_array, diags_array, eye_array, kron
from scipy.sparse.linalg import splu

from deflicker.noise.wiener.tuning import WienerTuning

__all__ = ["SkySplines", "SmoothSky", "sky_penalty"]

FAST_BIN = 4  # pixels along the fast axis that share one value of the sky

Image = NDArray[np.float32]
Coefficients = NDArray[np.float64]


class SkySplines:
    """Cubic B-splines on a grid of knots over an image.

    A few neighbouring pixels along the fast axis form a bin with one value, their mean.

    Parameters
    ----------
    shape : tuple of int
        (n_slow, n_fast) of the image in pixels.
    spacing : float, optional
        Approximate distance of the knots in pixels.
    width : int, optional
        Columns of an output; n_fast by default. No bin extends over two outputs.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        *,
        spacing: float = WienerTuning.knot_spacing,
        width: int | None = None,
    ) -> None:
        n_slow, n_fast = shape
        self.fast_bin = FAST_BIN if (width or n_fast) % FAST_BIN == 0 else 1
        self.slow, self.slow_spacing = _splines(n_slow, spacing)
        pixels, self.fast_spacing = _splines(n_fast, spacing)
        self.n_bins = n_fast // self.fast_bin
        mean = kron(eye_array(self.n_bins), np.full((1, self.fast_bin), 1 / self.fast_bin))
        self.fast = csr_array(mean @ pixels)
        self.grid = (self.slow.shape[1], self.fast.shape[1])
        # Dense products cost less than sparse ones here.
        self._slow = self.slow.toarray().astype(np.float32)
        self._fast = self.fast.toarray().astype(np.float32)

    def centres(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixel positions of the splines along the slow and the fast axis."""
        return (
            (np.arange(self.grid[0]) - 1) * self.slow_spacing,
            (np.arange(self.grid[1]) - 1) * self.fast_spacing,
        )

    def image(self, coefficients: Coefficients) -> Image:
        """Surface (n_slow, n_bins) with the given coefficients."""
        return self._slow @ (coefficients.astype(np.float32) @ self._fast.T)

    def sums(self, image: Image) -> Coefficients:
        """Apply the transpose: sums of an image (n_slow, n_bins) weighted with each spline."""
        return (self._slow.T @ (image @ self._fast)).astype(np.float64)

    def normal_matrix(self, weights: Image) -> csr_array:
        """Products of all pairs of splines, summed over an image (n_slow, n_bins)."""
        n_slow, n_fast = self.grid
        binned = weights.astype(np.float64)
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
    knots = np.arange(-3.0, intervals + 4.0)
    return BSpline.design_matrix((np.arange(n) + 0.5) / spacing, knots, 3), spacing


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


def sky_penalty(
    splines: SkySplines, brightness: NDArray[np.float64], *, tuning: WienerTuning | None = None
) -> csr_array:
    """Inverse prior covariance of the sky's coefficients.

    Parameters
    ----------
    splines : SkySplines
        The surface.
    brightness : ndarray of float64, shape of ``splines.grid``
        Deviation of the sky from its level near each spline, positive, in DN.
    tuning : WienerTuning, optional
        Tuning constants.

    Returns
    -------
    csr_array
        Symmetric, positive semi-definite.

    Notes
    -----
    Third derivatives are Gaussian with a standard deviation of ten times the local
    brightness per 200 pixels cubed (a spectrum falling as the sixth power of the
    frequency), first and second derivatives of three times the largest brightness per 200
    pixels and per 200 pixels squared. The level is free.
    """
    tuning = tuning or WienerTuning()
    most = tuning.lower_derivatives * float(brightness.max())
    terms = []
    for order in (1, 2, 3):
        deviation = np.full(splines.grid, most)
        if order == 3:
            deviation = tuning.third_derivative * brightness
        precision = (tuning.sky_scale**order / deviation) ** 2
        for slow, fast, multiplicity, matrix in splines.derivatives(order):
            local = precision
            for _ in range(slow):
                local = (local[1:] + local[:-1]) / 2
            for _ in range(fast):
                local = (local[:, 1:] + local[:, :-1]) / 2
            weights = diags_array(multiplicity * local.ravel())
            terms.append(matrix.T @ weights @ matrix)
    return csr_array(sum(terms[1:], start=terms[0]))


def _no_halos() -> NDArray[np.float32]:
    return np.empty((0, 0, 0), dtype=np.float32)


@dataclass(frozen=True)
class SmoothSky:
    """Sky E c with a Gaussian prior, observed with given weights.

    Parameters
    ----------
    splines : SkySplines
        The matrix E.
    weights : ndarray of float32, shape (n_slow, n_bins)
        Sums over each bin of ``w F^2``: weights w of the pixels, 0 where masked, and flat
        field F through which the sky is seen.
    penalty : csr_array
        Inverse prior covariance of the coefficients c.
    halos : ndarray of float32, shape (n_halos, n_slow, n_bins), optional
        Images H that are added to the sky with amplitudes a, which have a Gaussian prior.
    halo_fraction : float, optional
        Standard deviation of the prior of the amplitudes.
    """

    splines: SkySplines
    weights: Image
    penalty: csr_array
    halos: NDArray[np.float32] = field(default_factory=_no_halos)
    halo_fraction: float = WienerTuning.halo_fraction

    @cached_property
    def matrix(self) -> csr_array:
        """Matrix ``E^T F w F E + penalty``."""
        return csr_array(self.splines.normal_matrix(self.weights) + self.penalty)

    @cached_property
    def _factors(self) -> NDArray[np.float64]:
        """Cholesky factor of the matrix, which is banded because few splines overlap."""
        entries = self.matrix.tocoo()
        rows, columns = entries.coords
        width = int(np.max(columns - rows))
        band = np.zeros((width + 1, entries.shape[0]))
        upper = columns >= rows
        band[(width + rows - columns)[upper], columns[upper]] = entries.data[upper]
        return cholesky_banded(band, overwrite_ab=True, check_finite=False)

    def image(self, sums: Image) -> Image:
        """Most probable sky of data d that contain nothing else.

        Parameters
        ----------
        sums : ndarray of float32, shape (n_slow, n_bins)
            Sums over each bin of ``w F d``.

        Returns
        -------
        ndarray of float32, shape (n_slow, n_bins)
            Before the flat field.

        Notes
        -----
        Solves ``(E^T F w F E + penalty) c = E^T F w d``. With halos, c and their amplitudes
        are solved for together, by means of the Schur complement of this matrix.
        """
        coefficients = self.solve(self.splines.sums(sums))
        if not len(self.halos):
            return self.splines.image(coefficients)
        halos = self.halos.reshape(len(self.halos), -1)
        coupling, solved, inverse = self._halo_equations
        rhs = (halos @ sums.ravel()).astype(np.float64) - coupling @ coefficients.ravel()
        amplitudes = inverse @ rhs
        coefficients -= (solved @ amplitudes).reshape(coefficients.shape)
        image = self.splines.image(coefficients)
        image += (amplitudes.astype(np.float32) @ halos).reshape(image.shape)
        return image

    @cached_property
    def _halo_equations(self) -> tuple[NDArray[np.float64], ...]:
        """``H^T F w F E``, the solution for its transpose, and the inverse Schur complement."""
        halos = self.halos.reshape(len(self.halos), -1)
        weighted = halos * self.weights.ravel()
        coupling = np.stack(
            [self.splines.sums(w.reshape(self.weights.shape)).ravel() for w in weighted]
        )
        solved = cho_solve_banded((self._factors, False), coupling.T, check_finite=False)
        square = (weighted @ halos.T).astype(np.float64)
        regular = square - coupling @ solved
        regular += np.eye(len(square)) / self.halo_fraction**2
        return coupling, solved, np.linalg.inv(regular)

    def solve(self, sums: Coefficients) -> Coefficients:
        """Solve ``(E^T F w F E + penalty) c = sums``."""
        solved = cho_solve_banded((self._factors, False), sums.ravel(), check_finite=False)
        return solved.reshape(sums.shape)

    def solve_all(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Solve for many right-hand sides (n_coefficients, n), which is faster together."""
        options = {"SymmetricMode": True}
        try:
            factors = splu(
                self.matrix.tocsc(),
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options=options,
            )
        except RuntimeError as error:  # the error that a Cholesky factorization raises
            raise np.linalg.LinAlgError(str(error)) from error
        return factors.solve(columns)
