"""Detection of compact sources above the sky, at several scales."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import (
    binary_dilation,
    distance_transform_edt,
    gaussian_filter,
    grey_opening,
    zoom,
)

from deflicker.stats.constants import MAD_TO_SIGMA
from deflicker.stats.row_medians import row_medians
from deflicker.utils.threads import map_in_order

__all__ = [
    "find_compact_sources",
    "find_sources",
    "fine_structure",
    "noise_level",
    "sky_map",
    "source_halos",
]

# Sizes of the blocks of pixels in which sources are searched for.
SCALES = (1, 4, 16)
LEAST_COVERED = 0.1
COMPACT = 8.0  # standard deviations
CROWDED = 2.0  # standard deviations of the noise; an image with more scatter is full of light
SMOOTHED = 1 / (4 * np.pi)  # variance of white noise after a Gaussian of one pixel
BOX = 16
TINY = 1e-30
OPENING = 5
# Pixels are clipped at this many limits. Smoothing turns a single pixel of one standard deviation
# into a score of 0.56.
PIXEL_CAP = 4.0
BLOCK_CAP = 1.5  # standard deviations, at which pixels in larger blocks are clipped
ENOUGH_VALUES = 400_000
DETAIL_SCALES = (4, 1)
DETAIL_MARGIN = 1.2
HALO_SIZES = (8, 16, 32, 64)
HALO_BOX = 4
HALO_CORE, HALO_CONTRAST = 3, 0.2  # boxes; fraction of the extended light
REACH = 3
STRIP_ROWS = 128  # fit into a processor's cache


def find_sources(
    image: NDArray[np.float32],
    usable: NDArray[np.bool_],
    *,
    n_sigma: float,
    white: float = np.inf,
    correlated: float = 0.0,
    n_threads: int = 1,
) -> NDArray[np.bool_]:
    """Find pixels that contain compact sources.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        Sky-subtracted image; any unit.
    usable : ndarray of bool, shape (ny, nx)
        True where the image may be used; it is finite there.
    n_sigma : float
        Deviation from the median above which a pixel belongs to a source, in standard
        deviations of the smoothed image. Negative deviations are masked too: masking only
        positive ones would bias the remaining pixels low.
    white, correlated : float, optional
        Variances of the noise, if known. If the scatter of the image is much larger, sources
        fill most of it, and the level of the noise is that of the densest range of values.
    n_threads : int, optional
        Threads to use.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        True at sources and in their surroundings.

    Notes
    -----
    At each scale, the means of blocks are smoothed by a Gaussian of one block. Pixels found at
    one scale are left out of coarser blocks. Pixels are clipped at a few standard deviations,
    so that a bright one does not mask its surroundings.
    """
    found = np.zeros(image.shape, dtype=bool)
    if not usable.any():
        return found
    limit = CROWDED * (white + correlated) ** 0.5
    level, sigma = noise_level(_some(image, usable), limit, level=0.0)
    low, middle = np.float32(sigma), np.float32(level)
    remaining = usable.copy()
    for size in SCALES:
        if min(image.shape) < 4 * size:
            break
        cap = low * np.float32(PIXEL_CAP * n_sigma if size == 1 else BLOCK_CAP)
        limit = CROWDED * (SMOOTHED * (white + size * correlated)) ** 0.5
        values = image - middle if level else image
        high = _high_blocks(np.clip(values, -cap, cap), remaining, size, limit, n_threads) > n_sigma
        if size == 1:
            high = binary_dilation(high)
        blocks = np.repeat(np.repeat(high, size, axis=0), size, axis=1)
        found[: blocks.shape[0], : blocks.shape[1]] |= blocks
        np.logical_and(usable, ~found, out=remaining)
    return found


def noise_level(
    values: NDArray[np.float32], limit: float, *, level: float | None = None
) -> tuple[float, float]:
    """Level and standard deviation of the noise in values, some of which contain light.

    Parameters
    ----------
    values : ndarray of float32, shape (n,)
        Some values.
    limit : float
        Upper limit of the standard deviation of the noise.
    level : float, optional
        Level of the noise if most values are noise; the median by default.

    Returns
    -------
    level, sigma : float
        Level, and standard deviation from the median deviation. If the latter exceeds the
        limit, the median of the densest interval of a width of two limits, and the limit.
    """
    middle = float(np.median(values)) if level is None else level
    sigma = _scatter(values - np.float32(middle))
    if not sigma > limit:
        return middle, sigma
    ordered = np.sort(values)
    ends = np.searchsorted(ordered, ordered + np.float32(2 * limit))
    first = int(np.argmax(ends - np.arange(len(ordered))))
    return float(np.median(ordered[first : ends[first]])), limit


def _high_blocks(
    values: NDArray[np.float32],
    usable: NDArray[np.bool_],
    size: int,
    limit: float,
    n_threads: int,
) -> NDArray[np.float32]:
    """Deviations of smoothed blocks from their median, in standard deviations."""
    np.copyto(values, np.float32(0), where=~usable)
    scores = _smooth(_block_sums(values, size), n_threads)
    covered = _smooth(_block_sums(usable.astype(np.float32), size), n_threads)
    enough = covered > LEAST_COVERED * size * size
    if not enough.any():
        return np.zeros_like(scores)
    scores /= np.sqrt(np.maximum(covered, np.float32(LEAST_COVERED), out=covered))
    level, sigma = noise_level(_some(scores, enough), limit)
    scores -= np.float32(level)
    np.abs(scores, out=scores)
    scores /= np.float32(max(sigma, TINY))
    scores[~enough] = 0
    return scores


def _smooth(image: NDArray[np.float32], n_threads: int) -> NDArray[np.float32]:
    """Smooth by a Gaussian of one pixel, truncated at three; 0 outside of the image."""
    smooth = np.empty_like(image)

    def strip(start: int) -> None:
        first = max(start - REACH, 0)
        part = image[first : start + STRIP_ROWS + REACH]
        part = gaussian_filter(part, 1.0, mode="constant", truncate=REACH)
        part = part[start - first :][:STRIP_ROWS]
        smooth[start : start + len(part)] = part

    starts = range(0, len(image), STRIP_ROWS)
    for _ in map_in_order(strip, starts, n_threads=n_threads if len(image) > STRIP_ROWS else 1):
        pass
    return smooth


def _some(values: NDArray[np.float32], where: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Subset of the values that is large enough for their median."""
    step = np.count_nonzero(where) // ENOUGH_VALUES | 1  # odd, because columns may alternate
    return values.ravel()[::step][where.ravel()[::step]]


def _scatter(values: NDArray[np.float32]) -> float:
    """Standard deviation about zero, from the median deviation."""
    return MAD_TO_SIGMA * float(np.median(np.abs(values)))


def _block_sums(image: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    ny, nx = image.shape[0] // size, image.shape[1] // size
    if size == 1:
        return image
    parts = image[: ny * size, : nx * size].reshape(ny, size, nx, size)
    return np.einsum("yaxb->yx", parts)


def sky_map(
    image: NDArray[np.float32], usable: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rough sky: medians of boxes, without structures smaller than five boxes.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        Image in any unit.
    usable : ndarray of bool, shape (ny, nx)
        True where the image may be used.

    Returns
    -------
    boxes : ndarray of float32, shape (ny // 16, nx // 16)
        Sky in boxes of 16 pixels; boxes with few usable pixels take the value of the nearest
        other box.
    sky : ndarray of float32, shape (ny, nx)
        The same, interpolated to pixels.

    Notes
    -----
    A morphological opening of the medians keeps gradients, and removes spectra and compact
    galaxies. It underestimates the sky by about the scatter of the medians.
    """
    boxes, _ = _box_medians(image, usable)
    boxes = grey_opening(boxes, size=[min(OPENING, n) for n in boxes.shape])
    boxes = gaussian_filter(boxes, 1.0, mode="nearest")
    return boxes, _interpolated(boxes, image.shape)


def _box_medians(
    image: NDArray[np.float32], usable: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Medians of boxes, and which of them have enough pixels; others are that of the nearest."""
    box = min(BOX, *image.shape)
    ny, nx = (n // box for n in image.shape)
    whole = (slice(ny * box), slice(nx * box))

    def flattened(array: NDArray) -> NDArray:
        parts = array[whole].reshape(ny, box, nx, box).swapaxes(1, 2)
        return np.ascontiguousarray(parts.reshape(ny * nx, box * box))

    observed = flattened(usable)
    known = np.count_nonzero(observed, axis=1).reshape(ny, nx) >= LEAST_COVERED * box * box
    boxes = row_medians(flattened(image), observed).reshape(ny, nx).astype(np.float32)
    if known.any():
        nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
        boxes = boxes[tuple(nearest)]
    return boxes, known


def _interpolated(boxes: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Values of boxes interpolated to pixels."""
    image = zoom(boxes, min(BOX, *shape), order=1, mode="nearest", grid_mode=True)
    missing = [(0, n - k) for n, k in zip(shape, image.shape, strict=True)]
    return np.pad(image, missing, mode="edge")


def find_compact_sources(
    image: NDArray[np.float32], usable: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Find bright sources that are small compared with boxes of 16 pixels, whatever lies below.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        Image in any unit, with structure at all scales.
    usable : ndarray of bool, shape (ny, nx)
        True where the image may be used; it is finite there.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        True at pixels far above the medians of boxes around them, and at their neighbours.
    """
    boxes, known = _box_medians(image, usable)
    if not known.any():
        return np.zeros(image.shape, dtype=bool)
    above = image - _interpolated(boxes, image.shape)
    above[~usable] = 0
    sigma = _scatter(_some(above, usable))
    return binary_dilation(above > np.float32(COMPACT * sigma), iterations=2)


def fine_structure(
    image: NDArray[np.float32], usable: NDArray[np.bool_], *, n_threads: int = 1
) -> NDArray[np.float32]:
    """Structure of the sky on scales smaller than splines resolve, where it is significant.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        Image after subtraction of noise and smooth sky.
    usable : ndarray of bool, shape (ny, nx)
        True where no source was found.
    n_threads : int, optional
        Threads to use.

    Returns
    -------
    ndarray of float32, shape (ny, nx)
        Structure in the unit of the image; 0 where none is significant.

    Notes
    -----
    An empirical Wiener filter: smoothed means of blocks of four pixels, and then smoothed pixels,
    are multiplied by ``1 - typical power / local power``, but not less than 0.
    """
    detail = np.zeros_like(image)
    remaining = np.where(usable, image, np.float32(0))
    for size in DETAIL_SCALES:
        if min(image.shape) >= 4 * size:
            detail += _structure(remaining, usable, size, n_threads)
            if size != DETAIL_SCALES[-1]:
                np.subtract(remaining, detail, out=remaining, where=usable)
    return detail


def _structure(
    values: NDArray[np.float32], usable: NDArray[np.bool_], size: int, n_threads: int
) -> NDArray[np.float32]:
    """Structure on one scale."""
    covered = _smooth(_block_sums(usable.astype(np.float32), size), n_threads)
    observed = covered > LEAST_COVERED * size * size
    if not observed.any():
        return np.zeros_like(values)
    smooth = _smooth(_block_sums(values, size), n_threads)
    np.maximum(covered, np.float32(LEAST_COVERED), out=covered)
    smooth /= covered
    smooth[~observed] = 0
    # Scaled such that the noise is that of a fully covered block.
    power = smooth * smooth
    power *= covered
    power /= np.float32(size * size)
    del covered
    explained = np.float32(DETAIL_MARGIN * _scatter(np.sqrt(_some(power, observed))) ** 2)
    if not explained > 0:
        return np.zeros_like(values)
    if size > 1:
        power = gaussian_filter(power, 2.0, mode="constant")
    # Wiener gain 1 - explained / power.
    np.maximum(power, explained, out=power)
    np.divide(-explained, power, out=power)
    power += np.float32(1)
    smooth *= power
    if size == 1:
        return smooth
    structure = zoom(smooth, size, order=1, mode="nearest", grid_mode=True)
    missing = [(0, n - k) for n, k in zip(values.shape, structure.shape, strict=True)]
    return np.pad(structure, missing, mode="edge")


def source_halos(light: NDArray[np.float32], *, binning: int) -> NDArray[np.float32]:
    """Light of compact sources, convolved with Gaussians of several widths.

    Parameters
    ----------
    light : ndarray of float32, shape (ny, nx)
        Light of the sources, 0 elsewhere.
    binning : int
        Pixels along the second axis that form one pixel of the result: 1, 2 or 4.

    Returns
    -------
    ndarray of float32, shape (n, ny, nx // binning)
        One image for each width, with all of the light, in the unit of the pixels; four
        pixels along the second axis have the same value. No images if no light is compact.

    Notes
    -----
    The point spread function has wings that are too faint to be detected and too wide to be
    ignored. Gaussians of 8 to 64 pixels approximate them, with four amplitudes that are
    common to all sources.
    """
    ny, nx = light.shape
    missing = [(0, -n % HALO_BOX) for n in light.shape]
    sums = _block_sums(np.pad(light, missing) if np.any(missing) else light, HALO_BOX)
    # Extended or long light is a galaxy or a spectrum, whose halo is as smooth as slow noise.
    long = [grey_opening(sums, size=size) for size in ((HALO_CORE, 1), (1, HALO_CORE))]
    wide = np.maximum(*long)
    sums -= wide
    sums[sums < HALO_CONTRAST * wide] = 0
    sums /= HALO_BOX**2
    if not sums.any():
        return np.empty((0, ny, nx // binning), dtype=np.float32)
    halos = np.empty((len(HALO_SIZES), ny, nx // binning), dtype=np.float32)
    # Linear interpolation between the centres of blocks along the first axis.
    place = np.clip((np.arange(ny) + 0.5) / HALO_BOX - 0.5, 0, len(sums) - 1)
    row = np.minimum(place.astype(int), max(len(sums) - 2, 0))
    share = (place - row).astype(np.float32)[:, np.newaxis]
    for halo, size in zip(halos, HALO_SIZES, strict=True):
        blurred = gaussian_filter(sums, size / HALO_BOX, mode="constant", truncate=4.0)
        step = np.diff(blurred, axis=0, append=blurred[-1:])
        lines = blurred[row] + share * step[row]
        halo[:] = np.repeat(lines, HALO_BOX // binning, axis=1)[:, : nx // binning]
    return halos
