"""Noise of an image, as sums of a few shapes along the detector rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["NoiseImage"]


@dataclass(frozen=True)
class NoiseImage:
    """Noise whose detector rows are sums of a few shapes, or arbitrary noise.

    Parameters
    ----------
    coefficients : ndarray of float32, shape (n_slow, n_shapes)
        Coefficients of each row, in DN; without ``shapes``, the noise itself (n_slow, n_fast).
    shapes : ndarray of float32, shape (n_shapes, n_fast), optional
        Shapes along the fast axis, which all rows share.

    Examples
    --------
    >>> import numpy as np
    >>> from deflicker.noise.noise_image import NoiseImage
    >>> noise = NoiseImage(np.array([[1], [2]], np.float32), np.ones((1, 3), np.float32))
    >>> (noise + noise).image()
    array([[2., 2., 2.],
           [4., 4., 4.]], dtype=float32)
    """

    coefficients: NDArray[np.float32]
    shapes: NDArray[np.float32] | None = None

    def __add__(self, other: "NoiseImage") -> "NoiseImage":
        """Sum with noise of the same shapes."""
        return NoiseImage(self.coefficients + other.coefficients, self.shapes)

    def scaled(self, factor: float) -> "NoiseImage":
        """Multiply the noise.

        Parameters
        ----------
        factor : float
            Any number.

        Returns
        -------
        NoiseImage
            Noise of the same shapes.
        """
        return NoiseImage(self.coefficients * np.float32(factor), self.shapes)

    def mean_square(self) -> float:
        """Mean of the squares over all pixels.

        Returns
        -------
        float
            In DN squared.
        """
        if self.shapes is None:
            rows = np.einsum("rc,rc->r", self.coefficients, self.coefficients)
            return float(rows.mean(dtype=np.float64) / self.coefficients.shape[1])
        coefficients = self.coefficients.astype(np.float64)
        shapes = self.shapes.astype(np.float64)
        products = np.einsum("ac,bc->ab", shapes, shapes) / shapes.shape[1]
        rows = np.einsum("ra,ab,rb->", coefficients, products, coefficients)
        return float(rows / len(coefficients))

    def image(self, rows: slice = slice(None), columns: slice = slice(None)) -> NDArray[np.float32]:
        """Noise, or a part of it.

        Parameters
        ----------
        rows, columns : slice, optional
            Along the slow and along the fast axis; all by default.

        Returns
        -------
        ndarray of float32, shape (n_rows, n_columns)
            Noise in DN, which must not be written to. It is contiguous along columns if
            ``columns`` is given, and along rows otherwise.
        """
        if self.shapes is None:
            return self.coefficients[rows, columns]
        coefficients, shapes = self.coefficients[rows], self.shapes[:, columns]
        product = np.multiply if len(shapes) == 1 else np.matmul
        if columns == slice(None):
            return product(coefficients, shapes)
        return product(shapes.T, coefficients.T).T
