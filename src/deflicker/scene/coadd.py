"""Rates of a dithered set on a common grid, and their mean without one of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from drizzle.resample import Drizzle
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from deflicker.stats.constants import MAD_TO_SIGMA

__all__ = ["Box", "GridRate", "box_of", "coadd", "resample"]

Image = NDArray[np.float32]
Box = tuple[slice, slice]

# Size of the boxes in pixels in which the noise of a rate is measured.
NOISE_BOX = 15
# Differences of neighbours beyond this many times their scatter are sources.
STEEP = 6.0
# Rates beyond this many standard deviations of the others are outliers, where the light is not
# steep: half of its change to the next pixel is allowed, because pixels see different parts of it.
OUTLIER, ALLOWED_CHANGE = 5.0, 0.5
# Rates that scatter by this many times what their noise explains show light that varies or moves.
VARIES = 9.0
LEVEL_STEPS = 3
TINY = float(np.finfo(np.float32).tiny)
STRIP = 256  # rows that are combined at once


@dataclass(frozen=True, kw_only=True)
class GridRate:
    """A rate on the common grid.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Rate in DN/s; 0 where its weight is 0.
    weight : ndarray of float32, shape (h, w)
        Inverse variance, that of a pixel of the exposure.
    box : tuple of slice
        Rows and columns of the grid that the arrays cover.
    """

    image: Image
    weight: Image
    box: Box

    def touches(self, box: Box) -> bool:
        """Whether the rate covers a part of a box.

        Parameters
        ----------
        box : tuple of slice
            Rows and columns of the grid.

        Returns
        -------
        bool
            True if they have pixels in common.
        """
        return all(
            side.start < wide.stop and wide.start < side.stop
            for side, wide in zip(self.box, box, strict=True)
        )

    def within(self, box: Box) -> tuple[Image, Image]:
        """Image and weight in another box, with weights of 0 outside.

        Parameters
        ----------
        box : tuple of slice
            Rows and columns of the grid.

        Returns
        -------
        image, weight : ndarray of float32
            Of the shape of the box.
        """
        shape = tuple(side.stop - side.start for side in box)
        overlap = [
            (max(own.start, side.start), min(own.stop, side.stop))
            for own, side in zip(self.box, box, strict=True)
        ]
        arrays = []
        for own in (self.image, self.weight):
            array = np.zeros(shape, dtype=np.float32)
            if all(start < stop for start, stop in overlap):
                target, source = (
                    tuple(
                        slice(start - side.start, stop - side.start)
                        for (start, stop), side in zip(overlap, sides, strict=True)
                    )
                    for sides in (box, self.box)
                )
                array[target] = own[source]
            arrays.append(array)
        return arrays[0], arrays[1]


def box_of(y: NDArray[np.float64], x: NDArray[np.float64]) -> Box:
    """Box of the grid that contains the pixels of an exposure.

    Parameters
    ----------
    y, x : ndarray of float64, shape (ny, nx)
        Coordinates of the pixels on the grid.

    Returns
    -------
    tuple of slice
        Rows and columns.
    """
    rows, columns = (
        slice(int(np.floor(side.min())) - 1, int(np.ceil(side.max())) + 2) for side in (y, x)
    )
    return rows, columns


def resample(
    rate: Image, number: NDArray, *, y: NDArray[np.float64], x: NDArray[np.float64]
) -> GridRate:
    """Bring a rate to the common grid.

    Parameters
    ----------
    rate : ndarray of float32, shape (ny, nx)
        Rate in DN/s; NaN where there is none.
    number : ndarray of int, shape (ny, nx)
        Number of valid differences of each pixel, to which its weight is proportional.
    y, x : ndarray of float64, shape (ny, nx)
        Coordinates of the pixels on the grid.

    Returns
    -------
    GridRate
        The rate on the pixels of the grid that it covers.

    Notes
    -----
    The flux of a pixel is shared out to the pixels of the grid by overlap (drizzle: Fruchter and
    Hook 2002, PASP 114, 144), by the package of that name. It neither rings beside stars that are
    undersampled, nor spreads a bad pixel.
    """
    valid = np.isfinite(rate) & (number > 0)
    weight = np.where(valid, number, 0).astype(np.float32)
    weight /= max(float(weight.max()), 1.0)
    weight /= _local_variance(rate, valid)
    rows, columns = box = box_of(y, x)
    grid = Drizzle(
        out_shape=(rows.stop - rows.start, columns.stop - columns.start),
        fillval=0.0,
        disable_ctx=True,
    )
    grid.add_image(
        np.where(valid, rate, np.float32(0)),
        exptime=1.0,
        pixmap=np.stack([x - columns.start, y - rows.start], axis=-1),
        weight_map=weight,
    )
    # Drizzle gives a pixel of the grid the part of a weight that it covers of the exposure's pixel.
    (yy, yx), (xy, xx) = (
        [float(np.median(np.diff(side, axis=axis))) for axis in (0, 1)] for side in (y, x)
    )
    return GridRate(
        image=np.where(grid.out_wht > 0, grid.out_img, np.float32(0)),
        weight=grid.out_wht * np.float32(abs(yy * xx - yx * xy)),
        box=box,
    )


def coadd(rates: Sequence[GridRate], box: Box) -> tuple[Image, Image]:
    """Mean of rates in a box of the common grid, without outliers.

    Parameters
    ----------
    rates : sequence of GridRate
        Rates of different exposures; at least one.
    box : tuple of slice
        Rows and columns of the grid.

    Returns
    -------
    image, error : ndarray of float32
        Mean in DN/s, weighted by inverse variances, relative to a common level of the sky, and its
        standard deviation. NaN where no rate covers the grid.

    Notes
    -----
    Levels of the sky differ: they are the medians of what the rates exceed the others by.
    From three rates on, what is far from their median is an outlier. The error is larger
    where the rates differ by more than their noise, as stars do that vary or move.
    """
    parts = [one.within(box) for one in rates]
    levels = _levels(parts)
    shape = parts[0][0].shape
    image, error = (np.empty(shape, dtype=np.float32) for _ in range(2))
    for start in range(0, shape[0], STRIP):
        # A row more on both sides shows how steep the light is.
        wide = slice(max(start - 1, 0), start + STRIP + 1)
        kept = slice(start - wide.start, start - wide.start + STRIP)
        values = np.stack(
            [part[0][wide] - level for part, level in zip(parts, levels, strict=True)]
        )
        mean, deviation = _mean(values, np.stack([part[1][wide] for part in parts]))
        image[start : start + STRIP] = mean[kept]
        error[start : start + STRIP] = deviation[kept]
    return image, error


def _local_variance(rate: Image, valid: NDArray[np.bool_]) -> Image:
    """Variance of the noise of a rate, from neighbours along rows; positive."""
    change = rate[:, 1:] - rate[:, :-1]
    known = valid[:, 1:] & valid[:, :-1]
    if not known.any():
        return np.ones(rate.shape, dtype=np.float32)
    scatter = MAD_TO_SIGMA * float(np.median(np.abs(change[known])))
    power, used = (np.zeros(rate.shape, dtype=np.float32) for _ in range(2))
    used[:, 1:] = known
    limit = STEEP * max(scatter, TINY)
    np.square(np.clip(change, -limit, limit), out=power[:, 1:], where=known)
    number = uniform_filter(used, NOISE_BOX)
    local = np.where(number > 0, uniform_filter(power, NOISE_BOX), 0)
    # Few neighbours tell little: then the whole image tells.
    local += np.float32(0.1 * scatter**2)
    local /= 2 * (number + np.float32(0.1))
    return np.maximum(local, np.float32(TINY))


def _levels(parts: Sequence[tuple[Image, Image]]) -> list[np.float32]:
    """Level of the sky of each rate, relative to the others."""
    levels = [
        np.float32(np.median(image[weight > 0])) if (weight > 0).any() else np.float32(0)
        for image, weight in parts
    ]
    if len(parts) == 1:
        return levels
    step = max(1, parts[0][0].size // (1 << 18))
    values = np.stack([image.ravel()[::step] for image, _ in parts])
    weights = np.stack([weight.ravel()[::step] for _, weight in parts])
    for _ in range(LEVEL_STEPS):
        moved = values - np.array(levels)[:, np.newaxis]
        for k in range(len(parts)):
            others = np.arange(len(parts)) != k
            total = weights[others].sum(axis=0)
            both = (total > 0) & (weights[k] > 0)
            if both.any():
                mean = (moved[others] * weights[others]).sum(axis=0)[both] / total[both]
                # Half a step each: two rates that both move would change places.
                levels[k] += np.float32(float(np.median(moved[k][both] - mean)) / 2)
    return levels


def _mean(values: NDArray, weights: NDArray) -> tuple[Image, Image]:
    """Weighted mean of images (n, h, w) without outliers, and its error."""
    known = weights > 0
    if len(values) > 2:
        shown = np.where(known, values, np.nan)
        middle = _median(shown, known)
        allowed = np.float32(ALLOWED_CHANGE) * _steepness(middle)
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.abs(values - middle) > OUTLIER / np.sqrt(weights) + allowed
        far &= known.sum(axis=0) > 2
        known &= ~far
    weights = np.where(known, weights, 0)
    total = weights.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (values * weights).sum(axis=0) / total
        excess = (np.square(values - mean) * weights).sum(axis=0)
        excess /= np.maximum(known.sum(axis=0) - 1, 1)
        error = np.sqrt(np.where(excess > VARIES, excess, 1) / total)
    mean[total == 0] = np.nan
    error[total == 0] = np.nan
    return mean, error


def _median(values: NDArray, known: NDArray[np.bool_]) -> Image:
    """Median of images where at least one is known; NaN elsewhere."""
    ordered = np.sort(values, axis=0)  # NaN are last
    number = known.sum(axis=0)[np.newaxis]
    lower, upper = np.maximum(number - 1, 0) // 2, number // 2
    upper = np.minimum(upper, np.maximum(number - 1, 0))
    pair = [np.take_along_axis(ordered, index, axis=0)[0] for index in (lower, upper)]
    return np.asarray((pair[0] + pair[1]) / 2, dtype=np.float32)


def _steepness(image: Image) -> Image:
    """Largest change to a neighbour; 0 where it is not known."""
    largest = np.zeros_like(image)
    for axis in (0, 1):
        change = np.nan_to_num(np.abs(np.diff(image, axis=axis)))
        for part in (np.s_[1:], np.s_[:-1]):
            place = (part, slice(None)) if axis == 0 else (slice(None), part)
            largest[place] = np.maximum(largest[place], change)
    return largest
