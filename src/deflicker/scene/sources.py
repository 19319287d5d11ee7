"""Compact sources: what sticks out of the sky at one of several scales."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import (
    binary_dilation,
    distance_transform_edt,
    gaussian_filter,
    grey_opening,
    zoom,
)

from deflicker.noise.median import row_medians

__all__ = ["find_sources", "fine_structure", "sky_map"]

# Sizes of the blocks of pixels in which sources are looked for.
SCALES = (1, 4, 16)
LEAST_COVERED = 0.1
BOX = 16
OPENING = 5
PIXEL_CAP = 3.0
ENOUGH_VALUES = 400_000
WINGS_SIZE, WINGS_TOUCHED, WINGS_REACH = 4, 0.3, 4
DETAIL_SCALES = (4, 1)
DETAIL_MARGIN = 1.2
MAD_TO_SIGMA = 1.4826


def find_sources(
    image: NDArray[np.float32], usable: NDArray[np.bool_], *, n_sigma: float
) -> NDArray[np.bool_]:
    """Find pixels that hold compact sources.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        Image without its sky; any unit.
    usable : ndarray of bool, shape (ny, nx)
        True where the image may be used; finite there.
    n_sigma : float
        Deviations from the median that are a source, in standard deviations of the
        smoothed image. Negative ones count too: to mask only what is high would make
        what is left too low.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        True at sources and around them.

    Notes
    -----
    At each scale means of blocks are smoothed by a Gaussian of one block. Blocks of four
    pixels also join a source that they touch if they are one standard deviation high: its
    wings. Pixels count as three standard deviations at most, lest a bright one spread.
    """
    found = np.zeros(image.shape, dtype=bool)
    values = np.where(usable, image, np.float32(0))
    sample = values[usable]
    if not sample.size:
        return found
    cap = PIXEL_CAP * _scatter(sample)
    for size in SCALES:
        if min(image.shape) < 4 * size:
            break
        sums = _block_sums(values if size == 1 else np.clip(values, -cap, cap), size)
        sums = _smooth(sums)
        covered = _block_sums(usable.astype(np.float32), size)
        covered = _smooth(covered)
        enough = covered > LEAST_COVERED * size * size
        if not enough.any():
            continue
        scores = sums / np.sqrt(np.maximum(covered, np.float32(LEAST_COVERED)))
        known = scores[enough]
        scores -= np.median(known[:: max(1, known.size // ENOUGH_VALUES)])
        sigma = _scatter(scores[enough].astype(np.float32))
        high = enough & (np.abs(scores) > n_sigma * sigma)
        if size == 1:
            high = binary_dilation(high)
        elif size == WINGS_SIZE:
            wings = enough & (scores > sigma)
            touched = _block_sums(found.astype(np.float32), size) > WINGS_TOUCHED * size * size
            seeds = wings & (high | touched)
            high |= binary_dilation(seeds, mask=wings, iterations=WINGS_REACH)
        blocks = np.repeat(np.repeat(high, size, axis=0), size, axis=1)
        found[: blocks.shape[0], : blocks.shape[1]] |= blocks
    return found


def _smooth(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gaussian of one pixel, to three pixels from its middle."""
    return gaussian_filter(image, 1.0, mode="constant", truncate=3.0)


def _scatter(values: NDArray[np.float32]) -> float:
    """Standard deviation about zero, from the median deviation of enough values."""
    some = values[:: max(1, values.size // ENOUGH_VALUES)]
    return MAD_TO_SIGMA * float(np.median(np.abs(some)))


def _block_sums(image: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    ny, nx = image.shape[0] // size, image.shape[1] // size
    if size == 1:
        return image
    parts = image[: ny * size, : nx * size].reshape(ny, size, nx, size)
    return np.einsum("yaxb->yx", parts)


def sky_map(
    image: NDArray[np.float32], usable: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rough sky: medians of boxes, without what is bright over less than five of them.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        Image in any unit.
    usable : ndarray of bool, shape (ny, nx)
        True where the image may be used.

    Returns
    -------
    boxes : ndarray of float32, shape (ny // 16, nx // 16)
        Sky in boxes of 16 pixels; those without usable pixels take part of their neighbours'.
    sky : ndarray of float32, shape (ny, nx)
        The same, interpolated.

    Notes
    -----
    A morphological opening of the medians keeps slopes, and removes spectra and compact
    galaxies. It lies below the sky by about the scatter of the medians.
    """
    box = min(BOX, *image.shape)
    ny, nx = (n // box for n in image.shape)
    whole = (slice(ny * box), slice(nx * box))

    def flattened(array: NDArray) -> NDArray:
        parts = array[whole].reshape(ny, box, nx, box).swapaxes(1, 2)
        return np.ascontiguousarray(parts.reshape(ny * nx, box * box))

    seen = flattened(usable)
    known = np.count_nonzero(seen, axis=1).reshape(ny, nx) >= LEAST_COVERED * box * box
    boxes = row_medians(flattened(image), seen).reshape(ny, nx).astype(np.float32)
    if known.any():
        nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
        boxes = boxes[tuple(nearest)]
    boxes = grey_opening(boxes, size=[min(OPENING, n) for n in boxes.shape])
    boxes = gaussian_filter(boxes, 1.0, mode="nearest")
    sky = zoom(boxes, box, order=1, mode="nearest", grid_mode=True)
    missing = [(0, n - k) for n, k in zip(image.shape, sky.shape, strict=True)]
    return boxes, np.pad(sky, missing, mode="edge")


def fine_structure(image: NDArray[np.float32], usable: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Structure of the sky that is finer than splines, as far as it stands out of the noise.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        Image without noise and smooth sky.
    usable : ndarray of bool, shape (ny, nx)
        True where no source was found.

    Returns
    -------
    ndarray of float32, shape (ny, nx)
        In the unit of the image; 0 where nothing stands out.

    Notes
    -----
    Means of blocks of 4 pixels, then pixels, smoothed, times the fraction of their local
    power that the power of most does not explain: an empirical Wiener filter.
    """
    detail = np.zeros_like(image)
    left = np.where(usable, image, np.float32(0))
    for size in DETAIL_SCALES:
        if min(image.shape) >= 4 * size:
            detail += _structure(np.where(usable, left - detail, np.float32(0)), usable, size)
    return detail


def _structure(values: NDArray[np.float32], usable: NDArray[np.bool_], size: int) -> NDArray:
    """Structure of one size."""
    covered = _block_sums(usable.astype(np.float32), size)
    covered = _smooth(covered)
    seen = covered > LEAST_COVERED * size * size
    if not seen.any():
        return np.zeros_like(values)
    smooth = _smooth(_block_sums(values, size))
    smooth /= np.maximum(covered, np.float32(LEAST_COVERED))
    smooth[~seen] = 0
    # In units of the noise of a fully covered block.
    power = (smooth * smooth) * (covered / (size * size))
    explained = np.float32(DETAIL_MARGIN * _scatter(np.sqrt(power[seen])) ** 2)
    if not explained > 0:
        return np.zeros_like(values)
    if size > 1:
        power = gaussian_filter(power, 2.0, mode="constant")
    smooth *= np.clip(1 - explained / np.maximum(power, explained), 0, 1)
    if size == 1:
        return smooth
    structure = zoom(smooth, size, order=1, mode="nearest", grid_mode=True)
    missing = [(0, n - k) for n, k in zip(values.shape, structure.shape, strict=True)]
    return np.pad(structure, missing, mode="edge")
