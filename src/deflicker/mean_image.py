"""Differences of an exposure, their mean, and what its noise is of that of a read."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deflicker.arrays import Exposure

__all__ = ["Differences", "MeanImage", "read_factor"]

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]

# The correlated noise of other reads is in the mean of a pixel that misses some.
INCOMPLETE = 2.0


@dataclass(frozen=True)
class MeanImage:
    """Mean of the valid differences of each pixel, in the detector frame.

    Parameters
    ----------
    values : ndarray of float32, shape (n_slow, n_fast)
        In DN per group; 0 where there is none.
    number : ndarray of uint32, shape (n_slow, n_fast)
        Valid differences of each pixel.
    factor : float
        Variance of the mean for a unit of that of a read, where no difference is missing.
    """

    values: Image
    number: NDArray[np.uint32]
    factor: float

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
            True where it is finite, not flagged and not masked.
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
        good &= np.isfinite(values)
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
            Noise of reads between the first and the last of consecutive differences cancels.
        """
        total = np.zeros(self.shape, dtype=np.float32)
        number = np.zeros(self.shape, dtype=np.uint32)
        buffer = np.empty(self.shape, dtype=np.float32)
        n_used, n_reads = 0, 0
        for i in integrations:
            before = False
            for j in range(self.exposure.n_differences):
                values, good = self.valid(i, j, out=buffer)
                np.add(total, values, out=total, where=good)
                number += good
                used = bool(good.any())
                n_used += used
                n_reads += (1 if self.exposure.group_dq is None else 2) * (used and not before)
                before = used
        np.divide(total, number, out=total, where=number > 0)
        return MeanImage(total, number, n_reads / n_used**2 if n_used else 1.0)


def read_factor(j: int, n: int) -> float:
    """Variance of a difference from the mean of all, for a unit of that of a read.

    Parameters
    ----------
    j, n : int
        Index and number of the differences of a ramp.

    Returns
    -------
    float
        About 2; less for the first and the last.

    Examples
    --------
    >>> from deflicker.mean_image import read_factor
    >>> read_factor(0, 2)
    1.5
    """
    ends = (j == 0) + (j == n - 1)
    return 2 + 2 / n**2 - 2 * ends / n
