"""Images with weights, and the noise and sky that are found in them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deflicker.noise.method import SharedPower

__all__ = ["SkyFit", "WeightedImage"]

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class SkyFit:
    """Noise and sky of a mean image.

    Parameters
    ----------
    noise : ndarray of float32, shape (n_slow, n_fast)
        Noise in DN per group; its mean is 0.
    sky : ndarray of float32, shape (n_slow, n_fast)
        Sky in DN per group, before the flat field.
    mask : ndarray of bool, shape (n_slow, n_fast)
        True for pixels that were used as sky.
    shared : SharedPower
        Variance of the noise that was found, that which the model lets expect, and the fraction
        of the first that is not light.
    converged : bool, optional
        Whether the last solution reached the requested tolerance.
    removed_variance : float, optional
        Variance of the noise of the mean that this removes according to the model of noise, light
        and sky.
    roughness : float, optional
        Roughness of the sky, between 0 and 1 for the stiffest and the roughest one.
    """

    noise: Image
    sky: Image
    mask: Usable
    shared: SharedPower
    converged: bool = True
    removed_variance: float = 0.0
    roughness: float = 0.0


@dataclass(frozen=True, kw_only=True)
class WeightedImage:
    """An image of sky, sources and noise.

    Parameters
    ----------
    values : ndarray of float32, shape (n_slow, n_fast)
        In the detector frame, in DN.
    variance : ndarray of float32, shape (n_slow, n_fast)
        White variance of the pixels in DN squared, positive.
    usable : ndarray of bool, shape (n_slow, n_fast)
        True where the image may be used, which is at least one pixel.
    flat : ndarray of float32, shape (n_slow, n_fast), optional
        Flat field, which multiplies sky and sources, but not the noise.
    has_stars : bool, optional
        Whether there may be stars anywhere. Light of those too faint to be detected is then
        not taken for noise.
    first_mask : ndarray of bool, shape (n_slow, n_fast), optional
        Sky pixels of an earlier fit; by default, sources are searched for.
    """

    values: Image
    variance: Image
    usable: Usable
    flat: Image | None = None
    has_stars: bool = False
    first_mask: Usable | None = None

    @property
    def weights(self) -> Image:
        """Inverse variance, 0 where the image may not be used."""
        weights = np.zeros_like(self.variance)
        return np.divide(1, self.variance, out=weights, where=self.usable)

    def observed(self, light: Image) -> Image:
        """Light multiplied by the flat field."""
        return light if self.flat is None else light * self.flat

    def before_flat(self, light: Image) -> Image:
        """Light divided by the flat field."""
        return light if self.flat is None else light / self.flat

    def without(self, light: Image) -> "WeightedImage":
        """Image after subtraction of some light; 0 where it may not be used."""
        values = np.where(self.usable, self.values - self.observed(light), np.float32(0))
        return replace(self, values=values)
