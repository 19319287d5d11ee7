"""Differences of an exposure, their mean, and what its noise is of that of a read."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deflicker.arrays import Exposure
from deflicker.measured import is_measured

__all__ = ["Differences", "MeanImage"]

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]

# The correlated noise of other reads is in the mean of a pixel that misses some.
INCOMPLETE = 2.0
USED_FRACTION = 0.1


@dataclass(frozen=True)
class MeanImage:
    """Mean of the valid differences of each pixel, in the detector frame.

    Parameters
    ----------
    values : ndarray of float32, shape (n_slow, n_fast)
        In DN per group; 0 where there is none.
    number : ndarray of unsigned int, shape (n_slow, n_fast)
        Valid differences of each pixel.
    used : frozenset of tuple
        Integration and index of the differences in which most pixels are valid.
    reads : int, optional
        Reads in a difference: 2; 1 for rates.
    """

    values: Image
    number: NDArray[np.unsignedinteger]
    used: frozenset[tuple[int, int]]
    reads: int = 2

    @property
    def factor(self) -> float:
        """Variance for a unit of that of a read, where no difference is missing.

        Reads between consecutive differences cancel.
        """
        if not self.used:
            return 1.0
        return sum(self._reads_with_mean(i, j) for i, j in self.used) / len(self.used) ** 2

    def deviation_factor(self, integration: int, j: int) -> float:
        """Variance of a difference from this mean for a unit of that of a read.

        Parameters
        ----------
        integration, j : int
            Indices of the integration and of the difference.

        Returns
        -------
        float
            About 2, less for the first and the last of a ramp; 0 for the only one.
        """
        if not self.used:
            return 0.0
        covariance = self._reads_with_mean(integration, j) / len(self.used)
        return max(self.reads - 2 * covariance + self.factor, 0.0)

    def _reads_with_mean(self, integration: int, j: int) -> int:
        """Covariance of a difference with the sum of all: neighbours share a read."""
        neighbours = ((integration, j - 1), (integration, j + 1))
        return self.reads - sum(one in self.used for one in neighbours)

    @property
    def usable(self) -> Usable:
        """Pixels with any valid difference."""
        return self.number > 0

    @property
    def complete(self) -> Usable:
        """Pixels with as many valid differences as any other."""
        return (self.number == self.number.max()) & self.usable

    def variance(self, white: float, gain: float) -> Image:
        """White and photon variance of the pixels.

        Parameters
        ----------
        white : float
            White variance of a pixel that misses no difference.
        gain : float
            Photon variance of a difference for each DN of light.

        Returns
        -------
        ndarray of float32, shape (n_slow, n_fast)
            In the square of the unit of the mean.
        """
        most = np.float32(max(int(self.number.max()), 1))
        number = np.maximum(self.number, 1).astype(np.float32)
        variance = np.float32(white) * (most / number) ** 2
        if gain:
            variance += np.float32(gain) * np.maximum(self.values, 0) / number
        variance[~self.complete] *= np.float32(INCOMPLETE)
        return variance


@dataclass(frozen=True)
class Differences:
    """Differences of an exposure in the detector frame, and where they may be used.

    Parameters
    ----------
    exposure : Exposure
        The exposure.
    user_mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx), optional
        True where a pixel may be used, in the science frame.
    """

    exposure: Exposure
    user_mask: Usable | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(n_slow, n_fast)."""
        ny, nx = self.exposure.image_shape
        return (ny, nx) if abs(self.exposure.readout.fast_axis) == 1 else (nx, ny)

    def valid(self, integration: int, j: int, *, out: Image) -> tuple[Image, Usable]:
        """One difference.

        Parameters
        ----------
        integration, j : int
            Indices of the integration and of the difference.
        out : ndarray of float32, shape (n_slow, n_fast)
            Where to write it.

        Returns
        -------
        values : ndarray of float32, shape (n_slow, n_fast)
            The difference in DN: ``out``.
        good : ndarray of bool, shape (n_slow, n_fast)
            True where it can have been measured, is not flagged and not masked.
        """
        exposure = self.exposure
        values = exposure.difference(integration, j, out=out)
        pixels = exposure.good_pixels(integration)
        if self.user_mask is not None:
            mask = self.user_mask
            pixels &= mask[integration] if mask.ndim == 3 else mask
        good = exposure.readout.turned(pixels)
        flags = exposure.good_differences(integration, j)
        if flags is not None:
            good &= flags
        good &= is_measured(values)
        return values, good

    def mean(self, integrations: Iterable[int]) -> MeanImage:
        """Mean of the differences of some integrations.

        Parameters
        ----------
        integrations : iterable of int
            Indices of the integrations.

        Returns
        -------
        MeanImage
            Their mean, pixel by pixel over those that are valid.
        """
        total = np.zeros(self.shape, dtype=np.float32)
        integrations = list(integrations)
        most = len(integrations) * self.exposure.n_differences
        number = np.zeros(self.shape, dtype=np.min_scalar_type(most))
        buffer = np.empty(self.shape, dtype=np.float32)
        found = {}
        for i in integrations:
            for j in range(self.exposure.n_differences):
                values, good = self.valid(i, j, out=buffer)
                np.add(total, values, out=total, where=good)
                number += good
                found[i, j] = int(np.count_nonzero(good))
        np.divide(total, number, out=total, where=number > 0)
        reads = 1 if self.exposure.group_dq is None else 2
        most_found = max(found.values(), default=0)
        used = frozenset(one for one, n in found.items() if n > USED_FRACTION * most_found)
        return MeanImage(total, number, used, reads)
