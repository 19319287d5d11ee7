"""An image of the sky, interpolated to the pixels of an exposure."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, map_coordinates, spline_filter

from deflicker.scene.known_light import KnownLight

__all__ = ["SceneImage"]

Image = NDArray[np.float32]

SPLINE = 3
# Pixels at the edge of the coverage to which splines carry what is not known.
EDGE = 3
# Pixels by which the light may be misplaced, after registration.
MISPLACED = 0.07


class SceneImage:
    """An image of the sky that can be interpolated.

    Parameters
    ----------
    image : ndarray of float32, shape (my, mx)
        Surface brightness in any unit; not finite where there is none.
    error : ndarray of float32, shape (my, mx), or None
        Standard deviation of the image.
    y, x : ndarray of float64, shape (ny, nx)
        Coordinates in the image of the pixels of an exposure, see `pixel_map`.
    """

    def __init__(
        self,
        image: Image,
        error: Image | None,
        *,
        y: NDArray[np.float64],
        x: NDArray[np.float64],
    ) -> None:
        self.y, self.x = y, x
        valid = np.isfinite(image)
        self._level = np.float32(np.median(image[valid])) if valid.any() else np.float32(0)
        filled = np.where(valid, image - self._level, np.float32(0))
        self._spline = spline_filter(filled, order=SPLINE, output=np.float32)
        self._error = None if error is None else np.where(np.isfinite(error), error, 0)
        self._inside = binary_erosion(valid, iterations=EDGE).astype(np.uint8)

    def covered(self, shift: tuple[float, float] = (0.0, 0.0)) -> NDArray[np.bool_]:
        """Pixels of the exposure where the light is known.

        Parameters
        ----------
        shift : tuple of float, optional
            See `light`.

        Returns
        -------
        ndarray of bool, shape (ny, nx)
            False outside the image, and at its edges.
        """
        return self._nearest(self._inside, shift) > 0

    def _nearest(self, image: NDArray, shift: tuple[float, float]) -> NDArray:
        places = [self.y + shift[0], self.x + shift[1]]
        return map_coordinates(image, places, order=0, mode="constant")

    def light(
        self,
        shift: tuple[float, float] = (0.0, 0.0),
        part: tuple[slice, slice] = (slice(None), slice(None)),
    ) -> Image:
        """Light at the pixels of the exposure, relative to the median of the image.

        Parameters
        ----------
        shift : tuple of float, optional
            Pixels of the image by which its light lies beside the coordinates, along y and x.
        part : tuple of slice, optional
            Rows and columns of the exposure; all by default.

        Returns
        -------
        ndarray of float32, shape (ny, nx)
            In the unit of the image; 0 outside.
        """
        places = [self.y[part] + shift[0], self.x[part] + shift[1]]
        return map_coordinates(
            self._spline, places, order=SPLINE, prefilter=False, output=np.float32
        )

    def known(self, factor: float, shift: tuple[float, float]) -> KnownLight:
        """Known light of the exposure.

        Parameters
        ----------
        factor : float
            DN/s of the exposure per unit of the image.
        shift : tuple of float
            See `light`.

        Returns
        -------
        KnownLight
            The light, and its error from the noise of the image and from where the light is
            steep.
        """
        light = np.float32(factor) * self.light(shift)
        variance = np.zeros_like(light)
        if self._error is not None:
            variance += np.square(np.float32(factor) * self._nearest(self._error, shift))
        for axis in (0, 1):
            variance += np.square(np.float32(MISPLACED) * np.gradient(light, axis=axis))
        unknown = ~self.covered(shift)
        light[unknown] = 0
        variance[unknown] = 0
        return KnownLight(light=light, error=np.sqrt(variance, dtype=np.float32))
