"""Light of an image on several scales, without the scales on which it is noise."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from deflicker.stats.constants import MAD_TO_SIGMA
from deflicker.utils.threads import map_in_order

__all__ = ["shrink_noise"]

Image = NDArray[np.float32]

# Weights of a cubic spline at its knots.
KERNEL = tuple(np.float32(weight / 16) for weight in (1, 4, 6, 4, 1))
# Standard deviation of white noise of 1 on each scale: 1, 2, 4, 8 and 16 pixels (Starck and
# Murtagh 1998, PASP 110, 193).
WHITE = (0.889, 0.200, 0.0857, 0.0413, 0.0205)
# Size of the boxes in which power is measured, in units of the scale.
BOX = 5
# The power of noise scatters from box to box; so many times its mean is taken for noise.
CERTAIN = 1.2
# Rows that are worked on at once, and rows beside them that matter.
STRIP = 512
REACH = 2 * (2 ** len(WHITE) - 1) + BOX * 2 ** (len(WHITE) - 1) // 2 + 1


def shrink_noise(
    image: Image, variance: Image | None, *, n_threads: int = 1
) -> tuple[Image, Image]:
    """Reduce the noise of an image where there is little light.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        The image; finite.
    variance : ndarray of float32, shape (ny, nx), or None
        Variance of its white noise; measured on the smallest scale by default.
    n_threads : int, optional
        Threads that share the rows.

    Returns
    -------
    image, variance : ndarray of float32, shape (ny, nx)
        Light, and the variance of its error.

    Notes
    -----
    The image is the sum of its details on scales of 1 to 16 pixels and of what is smoother (the
    isotropic wavelet transform *à trous*, Starck and Murtagh 1998, PASP 110, 193). On
    each scale the details are multiplied by ``S / (S + N)``, the Wiener filter for the local power
    of light S and of noise N. Where S is not surely above 0, they are left out.
    """
    if variance is None:
        detail = image - _smoothed(image, 1)
        sigma = MAD_TO_SIGMA * float(np.median(np.abs(detail))) / WHITE[0]
        variance = np.full_like(image, sigma**2)
    given = variance
    result, error = np.empty_like(image), np.empty_like(image)

    def fill(start: int) -> None:
        # Rows beside the strip, as far as the smoothest scale and its boxes reach.
        first = max(start - REACH, 0)
        wide, kept = slice(first, start + STRIP + REACH), slice(start, start + STRIP)
        inner = slice(start - first, start - first + STRIP)
        light, wrong = _shrunk(image[wide], given[wide])
        result[kept], error[kept] = light[inner], wrong[inner]

    for _ in map_in_order(fill, range(0, len(image), STRIP), n_threads=n_threads):
        pass
    return result, error


def _shrunk(image: Image, variance: Image) -> tuple[Image, Image]:
    """Light, and the variance of its error, of a strip of rows."""
    smooth = image
    result, error = np.zeros_like(image), np.zeros_like(image)
    for scale, deviation in enumerate(WHITE):
        reach = 2**scale
        if 2 * reach >= min(image.shape):
            break
        smoother = _smoothed(smooth, reach)
        detail, smooth = smooth - smoother, smoother
        noise = np.float32(deviation**2) * variance
        power = uniform_filter(np.square(detail), BOX * reach)
        doubtful = np.float32(CERTAIN) * noise
        share = np.zeros_like(image)
        np.divide(power - doubtful, power, out=share, where=power > doubtful)
        # The noise that stays, and the light that does not.
        error += np.square(share) * noise
        error += np.square(1 - share) * np.maximum(power - noise, 0)
        result += share * detail
    result += smooth
    return result, error


def _smoothed(image: Image, reach: int) -> Image:
    """Convolution with the kernel, whose weights are ``reach`` pixels apart."""
    for axis in (0, 1):
        width = [(0, 0), (0, 0)]
        width[axis] = (2 * reach, 2 * reach)
        padded = np.pad(image, width, mode="symmetric")
        total = np.zeros_like(image)
        for k, weight in enumerate(KERNEL):
            part = [slice(None), slice(None)]
            part[axis] = slice(k * reach, k * reach + image.shape[axis])
            total += weight * padded[tuple(part)]
        image = total
    return image
