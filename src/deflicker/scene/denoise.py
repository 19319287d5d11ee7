"""Light of an image on several scales, without the scales on which it is noise."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from deflicker.stats.constants import MAD_TO_SIGMA

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


def shrink_noise(image: Image, variance: Image | None) -> tuple[Image, Image]:
    """Reduce the noise of an image where there is little light.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        The image; finite.
    variance : ndarray of float32, shape (ny, nx), or None
        Variance of its white noise; measured on the smallest scale by default.

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
    smooth = image
    result = np.zeros_like(image)
    error = np.zeros_like(image)
    for scale, deviation in enumerate(WHITE):
        reach = 2**scale
        if 2 * reach >= min(image.shape):
            break
        smoother = _smoothed(smooth, reach)
        detail, smooth = smooth - smoother, smoother
        if variance is None:
            sigma = MAD_TO_SIGMA * float(np.median(np.abs(detail))) / deviation
            variance = np.full_like(image, sigma**2)
        noise = np.float32(deviation**2) * variance
        power = uniform_filter(np.square(detail), BOX * reach)
        doubtful = np.float32(CERTAIN) * noise
        light = power > doubtful
        share = np.zeros_like(image)
        np.divide(power - doubtful, power, out=share, where=light)
        result += share * detail
        # The noise that stays, and the light that does not.
        error += np.square(share) * noise
        error += np.square(1 - share) * np.maximum(power - noise, 0)
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
