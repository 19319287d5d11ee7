"""An image of the sky, interpolated to the pixels of an exposure."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, minimum_filter1d, spline_filter

from deflicker.detector.readout import STRIP_ROWS
from deflicker.scene.denoise import shrink_noise
from deflicker.scene.known_light import KnownLight
from deflicker.utils.threads import map_in_order

__all__ = ["SceneImage"]

Image = NDArray[np.float32]
Shift = tuple[float, float]
Part = tuple[slice, slice]
WHOLE: Part = (slice(None), slice(None))

SPLINE = 3
# Pixels at the edge of the coverage to which splines carry what is not known.
EDGE = 3
# Pixels by which the light may be misplaced, after registration.
MISPLACED = 0.07
# Pixels along each axis from which the typical noise is taken.
TYPICAL = 256


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
    n_threads : int, optional
        Threads that share the interpolation.
    """

    def __init__(
        self,
        image: Image,
        error: Image | None,
        *,
        y: NDArray[np.float64],
        x: NDArray[np.float64],
        n_threads: int = 1,
    ) -> None:
        self.y, self.x, self.n_threads = y, x, n_threads
        valid = np.isfinite(image)
        some = image.ravel()[:: max(1, image.size // TYPICAL**2)]
        some = some[np.isfinite(some)]
        self._level = np.float32(np.median(some)) if some.size else np.float32(0)
        filled = np.where(valid, image - self._level, np.float32(0))
        self._spline = spline_filter(filled, order=SPLINE, output=np.float32)
        self._error = None
        if error is not None:
            self._error = np.where(np.isfinite(error), error, np.float32(0))
        # Rows, then columns; beyond the image nothing is known.
        inside = valid.astype(np.uint8)
        for axis in (0, 1):
            inside = minimum_filter1d(inside, 2 * EDGE + 1, axis=axis, mode="constant")
        self._inside = inside

    def covered(self, shift: Shift = (0.0, 0.0), part: Part = WHOLE) -> NDArray[np.bool_]:
        """Pixels of the exposure where the light is known.

        Parameters
        ----------
        shift, part : tuple, optional
            See `light`.

        Returns
        -------
        ndarray of bool, shape (ny, nx)
            False outside the image, and at its edges.
        """
        return self._at(self._inside, shift, part, order=0) > 0

    def light(self, shift: Shift = (0.0, 0.0), part: Part = WHOLE) -> Image:
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
        return self._at(self._spline, shift, part, order=SPLINE)

    def _at(self, image: NDArray, shift: Shift, part: Part, *, order: int) -> NDArray:
        """Interpolate an image, or the coefficients of its splines."""
        y, x = self.y[part], self.x[part]
        result = np.empty(y.shape, dtype=image.dtype)

        def fill(start: int) -> None:
            rows = slice(start, start + STRIP_ROWS)
            places = [y[rows] + shift[0], x[rows] + shift[1]]
            map_coordinates(
                image, places, order=order, prefilter=False, mode="constant", output=result[rows]
            )

        for _ in map_in_order(fill, range(0, len(y), STRIP_ROWS), n_threads=self.n_threads):
            pass
        return result

    def noise(self) -> float:
        """Typical standard deviation of the image at the pixels of the exposure.

        Returns
        -------
        float
            In the unit of the image; 0 if it is not known.
        """
        if self._error is None:
            return 0.0
        rows, columns = (slice(None, None, max(1, n // TYPICAL)) for n in self.y.shape)
        inside = self.covered(part=(rows, columns))
        errors = self._at(self._error, (0.0, 0.0), (rows, columns), order=0)[inside]
        return float(np.median(errors)) if errors.size else 0.0

    def known(self, factor: float, shift: Shift) -> KnownLight:
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
        variance = None
        if self._error is not None:
            error = self._at(self._error, shift, WHOLE, order=0)
            variance = np.square(np.float32(factor) * error)
        light, variance = shrink_noise(light, variance, n_threads=self.n_threads)
        for axis in (0, 1):
            variance += np.square(np.float32(MISPLACED) * np.gradient(light, axis=axis))
        unknown = ~self.covered(shift)
        light[unknown] = 0
        variance[unknown] = 0
        return KnownLight(light=light, error=np.sqrt(variance, dtype=np.float32))
