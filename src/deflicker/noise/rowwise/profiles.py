"""Rows of bright extended sources, whose profiles reach beyond the scene mask."""

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.measured import is_measured
from deflicker.ramps.exposure import Exposure
from deflicker.scene.growth import grow_along_rows
from deflicker.scene.sources import noise_level

__all__ = ["without_profiles"]


def without_profiles(mask: NDArray[np.bool_], exposure: Exposure) -> NDArray[np.bool_]:
    """Leave out the pixels to which the profiles of bright extended sources reach along rows.

    Parameters
    ----------
    mask : ndarray of bool, shape (ny, nx)
        Scene mask, True where the pixel may be used.
    exposure : Exposure
        Exposure whose first integration shows the sources.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        The mask with fewer pixels, or the same if no source is bright and extended.

    Notes
    -----
    Half of the variance of background pixels is taken for correlated noise.
    """
    groups = exposure.data[0]
    values = groups[-1].astype(np.float32)
    if exposure.first_cleaned:
        with np.errstate(invalid="ignore", over="ignore"):  # in pixels that are not usable
            values -= groups[0]
    values = np.ascontiguousarray(exposure.readout.to_detector(values))
    values /= np.float32(exposure.n_differences)
    usable = exposure.readout.to_detector_copy(exposure.good_pixels(0)) & is_measured(values)
    sky = exposure.readout.to_detector_copy(mask) & usable
    if not sky.any():
        return mask
    values[~usable] = 0
    level, sigma = noise_level(values[sky], np.inf)
    values -= np.float32(level)
    grown = grow_along_rows(sky, values, usable, noise=sigma**2 / 2, white=sigma**2 / 2)
    if grown is sky:
        return mask
    return mask & np.ascontiguousarray(exposure.readout.to_science(grown))
