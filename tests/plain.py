"""The methods as they are defined, slowly: astropy's clips, numpy's masked medians, loops."""

from itertools import pairwise, product

import numpy as np
from astropy.stats import sigma_clipped_stats
from scipy.ndimage import gaussian_filter1d


def clipped_stats(values):
    """Mean, median and standard deviation after a clip of 3 sigma in 5 rounds at most."""
    return sigma_clipped_stats(np.asarray(values, dtype=np.float64), sigma=3.0, maxiters=5)


def densest_quarter(values):
    """Middle of the shortest interval that holds a quarter of the values, and its sigma."""
    ordered, quarter = np.sort(values), len(values) // 4
    starts = range(len(ordered) - quarter)
    first = min(starts, key=lambda k: ordered[k + quarter] - ordered[k])
    # A Gaussian has its middle quarter within 0.31864 standard deviations.
    sigma = (ordered[first + quarter] - ordered[first]) / (2 * 0.31864)
    return ordered[first + quarter // 2], sigma


def without_lights(values):
    """Values of the background, and whether there is light below it."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 50:
        return values, False
    center, sigma = densest_quarter(values)
    if np.count_nonzero(values < center - 5 * sigma) < 0.05 * len(values):
        return values, False
    for _ in range(5):
        if sigma > 0:
            values = values[np.abs(values - center) <= 3 * sigma]
            center, sigma = densest_quarter(values)
    return values, True


def background_center_and_sigma(values):
    """Clipped median, and clipped sigma of the lower half mirrored about it.

    With light below the background, of the half that is narrower.
    """
    values, is_negative = without_lights(values)
    _, center, _ = clipped_stats(values)
    halves = [values[values <= center], values[values >= center]]
    sigmas = [
        clipped_stats(np.concatenate([half, 2 * center - half]))[2]
        for half in halves[: 1 + is_negative]
    ]
    return center, min(sigmas)


def row_medians(values, usable):
    """Masked median of each row; 0 where it has no value."""
    masked = np.ma.array(values.astype(np.float64), mask=~usable)
    return np.array([np.ma.median(row) if row.count() else 0.0 for row in masked])


def median_variance(n):
    """Variance of the median of n normal values of unit variance, to 3 %."""
    return np.pi / (2 * n + (np.pi - 2 if n % 2 else 2 * np.pi - 4))


def pair_variance(values, usable, parts):
    """Half the mean square of differences of usable neighbours in a row, without outliers."""
    rows = [
        row[part][use[part]].astype(np.float64)
        for part in parts
        for row, use in zip(values, usable, strict=True)
    ]
    pairs = [b - a for row in rows for a, b in zip(row[::2], row[1::2], strict=False)]
    if not pairs:
        ones = [
            [row[0] for row in rows[k : k + len(values)] if len(row)]
            for k in range(0, len(rows), len(values))
        ]
        pairs = [b - a for some in ones for a, b in pairwise(some)]
    if not pairs:
        return 0.0, 0
    pairs = np.array(pairs)
    kept = pairs[np.abs(pairs) <= 3 * 1.4826 * np.median(np.abs(pairs))]
    return np.mean(kept**2) / 2 / 0.9733, len(pairs)


def level_moments(medians, error, n_pairs):
    """Mean of each column, and variances of what rows share and of what is each one's own."""
    columns = range(medians.shape[1])
    center = [np.median([medians[at] for at in error if at[1] == k] or [0.0]) for k in columns]
    distances = np.array([medians[at] - center[at[1]] for at in error])
    total = (1.4826 * np.median(np.abs(distances))) ** 2

    def near(at):
        reach = 4 * np.sqrt(total + error[at])
        return np.clip(medians[at] - center[at[1]], -reach, reach)

    for _ in range(5):
        weight = {at: 1 / (total + error[at]) for at in error}
        for k, c in enumerate(center):
            some = [at for at in error if at[1] == k]
            if some:
                center[k] = c + np.average(
                    [near(at) for at in some], weights=[weight[at] for at in some]
                )
        squares = sum(weight[at] ** 2 for at in error)
        found = {at: near(at) for at in error}
        excess = sum(weight[at] ** 2 * (found[at] ** 2 - error[at]) for at in error)
        total = max(excess / squares, 0.0)
    mean_error = sum(weight[at] ** 2 * error[at] for at in error) / squares
    chance = np.hypot(np.sqrt(2 / squares), np.sqrt(2 / n_pairs) * mean_error)
    believed = total * (1 - min(chance / total, 1) ** 2) if total else 0.0
    pairs = [(a, b) for a, b in product(error, error) if a[0] == b[0] and a[1] != b[1]]
    above = sum(weight[a] * weight[b] * found[a] * found[b] for a, b in pairs)
    below = sum(weight[a] * weight[b] for a, b in pairs)
    shared = min(max(above / below, 0.0), believed) if pairs else 0.0
    weights = [sum(weight[at] for at in error if at[1] == k) for k in columns]
    mean = np.average(center, weights=weights)
    offsets = [c - mean if w else 0.0 for c, w in zip(center, weights, strict=True)]
    errors = [1 / w if w else 0.0 for w in weights]
    variance = max(np.mean(np.square(offsets)) - np.mean(errors), 0.0)
    center = [mean + trust(variance * w) * o for w, o in zip(weights, offsets, strict=True)]
    return center, shared, believed - shared


def trust(signal):
    """Factor of what was found with an error, by its variance over that of the error."""
    return signal**2 / (signal**2 + 2)


def row_levels(values, usable, parts):
    """Row medians of each part, shrunk by what their errors make of their variance."""
    medians = np.array([row_medians(values[:, part], usable[:, part]) for part in parts]).T
    number = np.array([usable[:, part].sum(axis=1) for part in parts]).T
    variance, n_pairs = pair_variance(values, usable, parts)
    if not number.any() or variance == 0:
        return medians
    error = {
        (int(r), int(k)): variance * median_variance(number[r, k])
        for r, k in np.argwhere(number > 0)
    }
    center, shared, own = level_moments(medians, error, n_pairs)
    levels = np.zeros_like(medians)
    for r in {r for r, _ in error}:
        some = [at for at in error if at[0] == r]
        y = {at: medians[at] - center[at[1]] for at in some}
        for at in some:
            if number[at] <= 2:
                reach = 4 * np.sqrt(shared + own + error[at])
                y[at] = np.clip(y[at], -reach, reach)
        tells = {at: 1 / (own + error[at]) for at in some}
        row = sum(tells[at] * y[at] for at in some) / sum(tells.values())
        row *= trust(shared * sum(tells.values()))
        levels[r] = row + np.array(center)
        for at in some:
            rest = y[at] - row
            certain = max(1 - (16 * error[at] / rest**2) ** 2, 0) if rest else 0.0
            levels[at] += max(trust(own / error[at]), certain) * rest
    return levels


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
    _, center, sigma = clipped_stats(without_lights(rate[usable])[0])
    first = usable & (rate >= center - 3 * sigma) & (rate <= center + n_sigma * sigma)
    if not first.any():
        return first
    # In the type of the data: a stripe of 1e-16 must not move a value over a limit.
    flattened = rate - row_stripes(rate, first, sigma).astype(rate.dtype)
    _, center, sigma = clipped_stats(without_lights(flattened[usable])[0])
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
    return usable, level, row_levels(values, usable, [slice(None)])[:, 0]
