"""Mean of the differences of an exposure, and what its noise is of that of a read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deflicker.arrays import Exposure
from deflicker.noise.spectrum import NoiseSpectrum

__all__ = [
    "MeanImage",
    "mean_difference",
    "mean_spectrum",
    "mean_variance",
    "read_factor",
    "valid_difference",
]

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
    number : ndarray of uint16, shape (n_slow, n_fast)
        Valid differences of each pixel.
    most : int
        Differences that a pixel can have.
    """

    values: Image
    number: NDArray[np.uint16]
    most: int

    @property
    def usable(self) -> Usable:
        """Pixels with any valid difference."""
        return self.number > 0

    @property
    def complete(self) -> Usable:
        """Pixels with all differences valid."""
        return self.number == self.most


def mean_difference(exposure: Exposure, integrations: range) -> MeanImage:
    """Mean of the valid differences of some integrations.

    Parameters
    ----------
    exposure : Exposure
        The exposure.
    integrations : range
        Indices of the integrations.

    Returns
    -------
    MeanImage
        In the detector frame.
    """
    shape = exposure.readout.to_detector(np.empty(exposure.image_shape, dtype=bool)).shape
    total = np.zeros(shape, dtype=np.float32)
    number = np.zeros(shape, dtype=np.uint16)
    buffer = np.empty(shape, dtype=np.float32)
    for i in integrations:
        for j in range(exposure.n_differences):
            values, good = valid_difference(exposure, i, j, out=buffer)
            np.add(total, values, out=total, where=good)
            number += good
    np.divide(total, number, out=total, where=number > 0)
    return MeanImage(total, number, len(integrations) * exposure.n_differences)


def valid_difference(
    exposure: Exposure, integration: int, j: int, *, out: Image
) -> tuple[Image, Usable]:
    """Difference of two groups, and where it may be used.

    Parameters
    ----------
    exposure : Exposure
        The exposure.
    integration, j : int
        Indices of the integration and of the difference.
    out : ndarray of float32, shape (n_slow, n_fast)
        Where to write it.

    Returns
    -------
    values : ndarray of float32, shape (n_slow, n_fast)
        The difference in the detector frame, in DN: ``out``.
    good : ndarray of bool, shape (n_slow, n_fast)
        True where it is finite and not flagged.
    """
    values = exposure.difference(integration, j, out=out)
    good = exposure.readout.turned(exposure.good_pixels(integration))
    flags = exposure.good_differences(integration, j)
    if flags is not None:
        good &= flags
    good &= np.isfinite(values)
    return values, good


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


def mean_spectrum(
    spectrum: NoiseSpectrum, exposure: Exposure, n_integrations: int
) -> NoiseSpectrum:
    """Noise of the mean difference of some integrations.

    Parameters
    ----------
    spectrum : NoiseSpectrum
        Noise of one read, or of one rate image.
    exposure : Exposure
        The exposure.
    n_integrations : int
        How many of its integrations are averaged.

    Returns
    -------
    NoiseSpectrum
        In the same unit; all reads between the first and the last cancel.
    """
    if exposure.group_dq is None:
        return spectrum.scaled(1 / n_integrations)
    return spectrum.scaled(2 / exposure.n_differences**2 / n_integrations)


def mean_variance(mean: MeanImage, white: float, gain: float) -> Image:
    """White and photon variance of the pixels of a mean.

    Parameters
    ----------
    mean : MeanImage
        The mean.
    white : float
        White variance of a pixel that misses no difference.
    gain : float
        Photon variance of a difference for each DN of light.

    Returns
    -------
    ndarray of float32, shape (n_slow, n_fast)
        In the square of the unit of the mean.
    """
    number = np.maximum(mean.number, 1).astype(np.float32)
    variance = np.float32(white) * (np.float32(mean.most) / number) ** 2
    if gain:
        variance += np.float32(gain) * np.maximum(mean.values, 0) / number
    variance[~mean.complete] *= np.float32(INCOMPLETE)
    return variance
