"""The methods as they are defined, slowly: astropy's clips, numpy's masked medians, loops."""

import numpy as np
from astropy.stats import sigma_clipped_stats
from scipy.ndimage import gaussian_filter1d


def clipped_stats(values):
    """Mean, median and standard deviation after a clip of 3 sigma in 5 rounds at most."""
    return sigma_clipped_stats(np.asarray(values, dtype=np.float64), sigma=3.0, maxiters=5)


def background_center_and_sigma(values):
    """Clipped median, and clipped sigma of the lower half mirrored about it."""
    values = np.asarray(values, dtype=np.float64)
    _, center, _ = clipped_stats(values)
    lower = values[values <= center]
    mirrored = np.concatenate([lower, 2 * center - lower])
    return center, clipped_stats(mirrored)[2]


def row_medians(values, usable):
    """Masked median of each row; 0 where it has no value."""
    masked = np.ma.array(values.astype(np.float64), mask=~usable)
    return np.array([np.ma.median(row) if row.count() else 0.0 for row in masked])


def row_stripes(values, usable, sigma):
    """Stripes that clips follow, row by row."""
    number = usable.sum(axis=1)
    filled = number > 0
    if not filled.any():
        return np.zeros((len(values), 1))
    levels = row_medians(values, usable)
    weight = gaussian_filter1d(filled.astype(float), 8.0)
    smooth = gaussian_filter1d(np.where(filled, levels, 0.0), 8.0)
    stripes = np.array(
        [
            level - total / max(share, 1e-6) if full else 0.0
            for level, total, share, full in zip(levels, smooth, weight, filled, strict=True)
        ]
    )
    smallest = np.finfo(np.float32).tiny
    errors = [max(np.pi / 2 * sigma**2 / max(n, 1), smallest) for n in number]
    excess = np.mean([stripes[k] ** 2 - errors[k] for k in np.flatnonzero(filled)])
    scatter = 1.4826 * np.median(np.abs(stripes[filled]))
    for k, error in enumerate(errors):
        believed = excess > error and abs(stripes[k]) <= 4 * scatter
        stripes[k] *= excess / (excess + error) if believed else 0.0
    return stripes[:, np.newaxis]


def scene_mask(rate, n_sigma):
    """Scene mask of a rate in the detector frame."""
    usable = np.isfinite(rate) & (rate != 0)
    if not usable.any():
        return usable
    _, center, sigma = clipped_stats(rate[usable])
    first = usable & (rate >= center - 3 * sigma) & (rate <= center + n_sigma * sigma)
    if not first.any():
        return first
    # In the type of the data: a stripe of 1e-16 must not move a value over a limit.
    flattened = rate - row_stripes(rate, first, sigma).astype(rate.dtype)
    _, center, sigma = clipped_stats(flattened[usable])
    return usable & (flattened >= center - 3 * sigma) & (flattened <= center + n_sigma * sigma)


def fit_difference(values, allowed, n_sigma):
    """Pixels behind the noise, background and noise of each row: everything by ``median``."""
    usable = np.isfinite(values) & allowed
    if not usable.any():
        return usable, 0.0, np.zeros(len(values))
    values = np.where(usable, values, 0.0).astype(np.float64)
    center, sigma = background_center_and_sigma(values[usable])
    background = usable & (np.abs(values - center) <= 3 * sigma)
    background = background if background.any() else usable
    level = np.median(values[background])
    values -= level
    if n_sigma > 0:
        center, sigma = background_center_and_sigma(values[background])
        near = background & (np.abs(values - center) <= n_sigma * sigma)
        distance = np.abs(values - row_stripes(values, near, sigma) - center)
        clipped = background & (distance <= n_sigma * sigma)
        usable = clipped if clipped.any() else background
    return usable, level, row_medians(values, usable)
