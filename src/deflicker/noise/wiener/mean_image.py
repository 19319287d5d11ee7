"""Differences of an exposure, their mean, and its noise relative to that of one read."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.measured import is_measured
from deflicker.ramps.exposure import Exposure

__all__ = ["Differences", "MeanImage"]

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]

# Differences with fewer valid pixels, relative to the best one, do not count in the noise of the
# mean.
USED_FRACTION = 0.1


@dataclass(frozen=True)
class MeanImage:
    """Mean of the valid differences of each pixel, in the detector frame.

    Parameters
    ----------
    values : ndarray of float32, shape (n_slow, n_fast)
        Mean in DN per difference of mean duration; 0 where no difference is valid.
    number : ndarray of unsigned int, shape (n_slow, n_fast)
        Number of valid differences of each pixel.
    used : frozenset of tuple
        Integration and index of each difference that has enough valid pixels.
    reads : int, optional
        Number of reads in a difference: 2, or 1 for rates.
    steps : ndarray of float64, shape (n_differences,), optional
        Durations of the differences of an integration, relative to their mean; 1 by default.
    times : ndarray of float32, shape (n_slow, n_fast), optional
        Sum of the durations of the valid differences of each pixel; ``number`` by default.
    """

    values: Image
    number: NDArray[np.unsignedinteger]
    used: frozenset[tuple[int, int]]
    reads: int = 2
    steps: NDArray[np.float64] | None = None
    times: Image | None = None

    def step(self, j: int) -> float:
        """Light of a difference relative to the mean.

        Parameters
        ----------
        j : int
            Index of the difference.

        Returns
        -------
        float
            Its duration relative to the mean duration.
        """
        return 1.0 if self.steps is None else float(self.steps[j])

    @property
    def _time(self) -> float:
        """Sum of the durations of the differences that are used."""
        return sum(self.step(j) for _, j in self.used)

    @property
    def factor(self) -> float:
        """Variance of the noise relative to one read, where no difference is missing.

        The read that two consecutive differences share cancels.
        """
        if not self.used:
            return 1.0
        return sum(self._reads_with_mean(i, j) for i, j in self.used) / self._time**2

    def deviation_factor(self, integration: int, j: int) -> float:
        """Noise variance of a difference's deviation from this mean, relative to one read.

        Parameters
        ----------
        integration, j : int
            Indices of the integration and of the difference.

        Returns
        -------
        float
            About 2; less for the first and the last difference of a ramp; 0 for the only one.
        """
        if not self.used:
            return 0.0
        step = self.step(j)
        covariance = step * self._reads_with_mean(integration, j) / self._time
        return max(self.reads - 2 * covariance + step**2 * self.factor, 0.0)

    def shared_factor(self, integration: int, j: int) -> float:
        """Covariance of a difference's deviation from this mean with this mean.

        Parameters
        ----------
        integration, j : int
            Indices of the integration and of the difference.

        Returns
        -------
        float
            Relative to the variance of one read.
        """
        if not self.used:
            return 0.0
        return self._reads_with_mean(integration, j) / self._time - self.step(j) * self.factor

    def _reads_with_mean(self, integration: int, j: int) -> int:
        """Covariance of a difference with the sum of all, of which its neighbours share a read."""
        neighbours = ((integration, j - 1), (integration, j + 1))
        return self.reads - sum(one in self.used for one in neighbours)

    @property
    def usable(self) -> Usable:
        """Pixels with any valid difference."""
        return self.number > 0

    @property
    def complete(self) -> Usable:
        """Pixels with the largest number of valid differences."""
        return (self.number == self.number.max()) & self.usable

    def variance(self, white: float, photon_variance_per_dn: float, *, incomplete: float) -> Image:
        """White and photon variance of the pixels.

        Parameters
        ----------
        white : float
            White variance of a pixel that misses no difference.
        photon_variance_per_dn : float
            Photon variance of a difference per DN of light.
        incomplete : float
            Factor for pixels with missing differences.

        Returns
        -------
        ndarray of float32, shape (n_slow, n_fast)
            In the squared unit of the mean.
        """
        if self.times is None:
            time = np.maximum(self.number, 1).astype(np.float32)
        else:
            time = np.where(self.usable, self.times, np.float32(1))
        variance = np.float32(white) * (time.max() / time) ** 2
        if photon_variance_per_dn:
            variance += np.float32(photon_variance_per_dn) * np.maximum(self.values, 0) / time
        variance[~self.complete] *= np.float32(incomplete)
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
        """Shape (n_slow, n_fast) of an image."""
        ny, nx = self.exposure.image_shape
        return (ny, nx) if abs(self.exposure.readout.fast_axis) == 1 else (nx, ny)

    def valid(self, integration: int, j: int, *, out: Image) -> tuple[Image, Usable]:
        """Read one difference and find its valid pixels.

        Parameters
        ----------
        integration, j : int
            Indices of the integration and of the difference.
        out : ndarray of float32, shape (n_slow, n_fast)
            Array to which it is written.

        Returns
        -------
        values : ndarray of float32, shape (n_slow, n_fast)
            The difference in DN: ``out``.
        good : ndarray of bool, shape (n_slow, n_fast)
            True where the value is a measurement that is neither flagged nor masked.
        """
        exposure = self.exposure
        values = exposure.difference(integration, j, out=out)
        pixels = exposure.good_pixels(integration)
        if self.user_mask is not None:
            mask = self.user_mask
            pixels &= mask[integration] if mask.ndim == 3 else mask
        good = exposure.readout.to_detector_copy(pixels)
        flags = exposure.good_differences(integration, j)
        if flags is not None:
            good &= flags
        good &= is_measured(values)
        return values, good

    def deviation(
        self,
        integration: int,
        j: int,
        mean: MeanImage,
        *,
        among: Usable | None = None,
        out: Image,
    ) -> tuple[Image, Usable]:
        """Deviation of one difference from the light of a mean, without its pedestal.

        Parameters
        ----------
        integration, j : int
            Indices of the integration and of the difference.
        mean : MeanImage
            Mean of differences that include this one.
        among : ndarray of bool, shape (n_slow, n_fast), optional
            Pixels that may be used; all by default.
        out : ndarray of float32, shape (n_slow, n_fast)
            Array to which it is written.

        Returns
        -------
        values : ndarray of float32, shape (n_slow, n_fast)
            The deviation in DN: ``out``; its median is 0.
        good : ndarray of bool, shape (n_slow, n_fast)
            True where the difference is valid.
        """
        values, good = self.valid(integration, j, out=out)
        if among is not None:
            good &= among
        step = mean.step(j)
        with np.errstate(invalid="ignore", over="ignore"):  # in pixels that are not good
            values -= mean.values if step == 1 else mean.values * np.float32(step)
        if good.any():
            values -= np.median(values[good])  # an offset of all pixels is not noise
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
            In each pixel, the sum of the valid differences divided by the sum of their
            durations.
        """
        steps = None if self.exposure.group_times is None else self.exposure.steps
        total = np.zeros(self.shape, dtype=np.float32)
        integrations = list(integrations)
        most = len(integrations) * self.exposure.n_differences
        number = np.zeros(self.shape, dtype=np.min_scalar_type(most))
        times = None if steps is None else np.zeros(self.shape, dtype=np.float32)
        buffer = np.empty(self.shape, dtype=np.float32)
        found = {}
        for i in integrations:
            for j in range(self.exposure.n_differences):
                values, good = self.valid(i, j, out=buffer)
                np.add(total, values, out=total, where=good)
                number += good
                if times is not None and steps is not None:
                    np.add(times, np.float32(steps[j]), out=times, where=good)
                found[i, j] = int(np.count_nonzero(good))
        np.divide(total, number if times is None else times, out=total, where=number > 0)
        reads = 1 if self.exposure.group_dq is None else 2
        most_found = max(found.values(), default=0)
        used = frozenset(one for one, n in found.items() if n > USED_FRACTION * most_found)
        return MeanImage(total, number, used, reads, steps, times)
