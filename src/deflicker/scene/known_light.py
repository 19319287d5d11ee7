"""Light of an exposure that is known beforehand."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["KnownLight"]

Image = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class KnownLight:
    """Light of an exposure that is known beforehand, with its error.

    Parameters
    ----------
    light : ndarray of float32, shape (ny, nx)
        Light relative to the level of the sky, in DN/s; finite, and 0 where it is not known.
    error : ndarray of float32, shape (ny, nx)
        Its standard deviation in DN/s; 0 where it is not known.
    """

    light: Image
    error: Image

    def scaled(self, factor: float) -> "KnownLight":
        """The same light in another unit.

        Parameters
        ----------
        factor : float
            Value of DN/s in that unit, such as the seconds of a group difference.

        Returns
        -------
        KnownLight
            With its own arrays.
        """
        return KnownLight(
            light=self.light * np.float32(factor), error=self.error * np.float32(abs(factor))
        )

    def through(self, flat: Image) -> "KnownLight":
        """The same light through a flat field.

        Parameters
        ----------
        flat : ndarray of float32, shape (ny, nx)
            Flat field; light is not known where it is not positive.

        Returns
        -------
        KnownLight
            With its own arrays.
        """
        factor = np.where(flat > 0, flat, np.float32(0))
        return KnownLight(light=self.light * factor, error=self.error * factor)
