"""Weights of pixels that contain the light of an unknown sky."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deflicker.noise.wiener.records import Records
from deflicker.noise.wiener.sky import SmoothSky

__all__ = ["ObservedPixels", "RecordWeights", "in_bins"]

TINY = np.float32(1e-30)
Image = NDArray[np.float32]


def in_bins(image: Image, size: int) -> Image:
    """Sums of neighbouring pixels along the fast axis.

    Parameters
    ----------
    image : ndarray of float32, shape (..., n_fast)
        Image in any unit.
    size : int
        Pixels in a sum; a divisor of n_fast.

    Returns
    -------
    ndarray of float32, shape (..., n_fast // size)
        The sums; the image itself if ``size`` is 1.
    """
    if size == 1:
        return image
    return np.einsum("...fb->...f", image.reshape(*image.shape[:-1], -1, size))


@dataclass(frozen=True)
class ObservedPixels:
    """Pixels with the light of a sky behind a flat field.

    Parameters
    ----------
    values : ndarray of float32, shape (n_slow, n_fast)
        Data d; finite.
    weights : ndarray of float32, shape (n_slow, n_fast)
        Inverse variances w, 0 where the pixels may not be used.
    flat : ndarray of float32, shape (n_slow, n_fast), optional
        Flat field F.
    """

    values: Image
    weights: Image
    flat: Image | None = None

    def of_sky(self, weighted: Image) -> Image:
        """Multiply weighted data by F, as the equations of the sky need them."""
        return weighted if self.flat is None else weighted * self.flat

    def binned(self, size: int) -> "ObservedPixels":
        """Average neighbouring pixels along the fast axis.

        Parameters
        ----------
        size : int
            Pixels in a mean.

        Returns
        -------
        ObservedPixels
            Weighted means, with the sums of the weights.
        """
        if size == 1:
            return self
        weights = in_bins(self.weights, size)
        number: Image = np.maximum(weights, TINY)
        values = in_bins(self.values * self.weights, size) / number
        if self.flat is None:
            return ObservedPixels(values, weights)
        flat = in_bins(self.weights * self.flat, size) / number
        return ObservedPixels(values, weights, flat)


class RecordWeights:
    """Weights W of records whose data contain an unknown sky.

    Parameters
    ----------
    pixels : ObservedPixels
        Weights w of the pixels, and flat field F.
    records : Records
        Times at which the pixels are read.
    sky : SmoothSky, optional
        The sky that is unknown.

    Notes
    -----
    Applies ``W = w - w F E (E^T F w F E + penalty)^-1 E^T F w``: the inverse covariance of white
    noise and sky together, by the Woodbury identity.
    """

    def __init__(
        self, pixels: ObservedPixels, records: Records, sky: SmoothSky | None = None
    ) -> None:
        self._records, self._sky = records, sky
        self._weights = records.filled(pixels.weights)
        if sky is not None:
            self._size = records.clock.n_fast // sky.splines.n_bins
            # Bins are mirrored as their pixels are.
            self._bins = records.clock.binned(self._size)
            self._flat = None if pixels.flat is None else records.clock.ordered(pixels.flat)
            self._of_sky = records.clock.ordered(pixels.of_sky(pixels.weights))

    def right_hand_side(self, image: Image) -> NDArray[np.complex64]:
        """Apply A^T W to an image (n_slow, n_fast) of finite float32."""
        values = self._records.filled(image)
        self._weigh(values)
        return self._records.spectra(values)

    def normal(self, spectra: NDArray[np.complex64], /) -> NDArray[np.complex64]:
        """Apply A^T W A to spectra (n_outputs, size // 2 + 1)."""
        if self._sky is None:
            return self._records.weighted(spectra, self._weights)
        values = self._records.values(spectra)
        self._weigh(values)
        return self._records.spectra(values)

    def _weigh(self, values: NDArray[np.float32]) -> None:
        """Apply W to values (n_outputs, size), in place."""
        values *= self._weights
        if self._sky is None:
            return
        clock = self._records.clock
        pixels = clock.pixels(values)
        observed = pixels if self._flat is None else pixels * self._flat
        sky = self._sky.image(self._bins.image(in_bins(observed, self._size)))
        for k, bins in enumerate(self._bins.ordered(sky)):
            light = np.repeat(bins, self._size, axis=1)
            light *= self._of_sky[k]
            pixels[k] -= light
        if clock.interleaved:  # pixels are a copy
            clock.fill(values, pixels)
