"""Replacement of invalid values of flat fields."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

__all__ = ["fill_flat"]

SMOOTHING = 5.0


def fill_flat(flat: NDArray[np.floating]) -> NDArray[np.float32]:
    """Replace values that are not finite or not positive by a smooth local value.

    Parameters
    ----------
    flat : ndarray of float, shape (ny, nx)
        Flat field.

    Returns
    -------
    ndarray of float32, shape (ny, nx)
        The flat field. Invalid values are replaced by the mean of the valid neighbours,
        weighted by a Gaussian of 5 pixels; far from any valid value, by the median of the
        flat field; and by 1 if no value is valid.

    Examples
    --------
    >>> import numpy as np
    >>> from deflicker.ramps.flat import fill_flat
    >>> flat = np.full((9, 9), 0.5)
    >>> flat[4, 4] = 0
    >>> float(fill_flat(flat)[4, 4])
    0.5
    """
    filled = np.array(flat, dtype=np.float32)
    good = np.isfinite(filled) & (filled > 0)
    if good.all():
        return filled
    typical = np.float32(np.median(filled[good])) if good.any() else np.float32(1)
    weight = gaussian_filter(good.astype(np.float32), SMOOTHING)
    local = gaussian_filter(np.where(good, filled, np.float32(0)), SMOOTHING)
    near = weight > 1e-3
    np.divide(local, weight, out=local, where=near)
    holes = ~good
    filled[holes] = np.where(near, local, typical)[holes]
    return filled
