"""Growth of the masks of extended sources along detector rows."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

__all__ = [
    "FAINTEST_PROFILE",
    "FARTHEST_GROWTH",
    "LEAST_BRIGHTNESS",
    "SHORTEST_RUN",
    "grow_along_rows",
]

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]

# Defaults of the growth, see `grow_along_rows`.
SHORTEST_RUN, LEAST_BRIGHTNESS, FAINTEST_PROFILE, FARTHEST_GROWTH = 24, 3.0, 0.1, 0.5
WINDOW = 9  # pixels that are averaged
COVERED = 0.6  # fraction of a window
LEAST_BRIGHT = 0.25  # fraction of the pixels of a run
SHARP = 1.0  # rms of the noise; stripes reach it where there is no light
LEAST_KEPT = 0.75  # fraction of the sky


def grow_along_rows(  # noqa: PLR0913 - the last four are settings
    sky: Usable,
    light: Image,
    usable: Usable,
    *,
    noise: float,
    white: float,
    shortest: int = SHORTEST_RUN,
    bright: float = LEAST_BRIGHTNESS,
    faintest: float = FAINTEST_PROFILE,
    farthest: float = FARTHEST_GROWTH,
) -> Usable:
    """Mask extended sources along the rows until their profiles sink below the noise.

    Parameters
    ----------
    sky : ndarray of bool, shape (n_slow, n_fast)
        Pixels without detected light, in the detector frame.
    light : ndarray of float32, shape (n_slow, n_fast)
        Image minus its level, in DN; finite.
    usable : ndarray of bool, shape (n_slow, n_fast)
        Pixels that may be used.
    noise, white : float
        Variance of the correlated and the white noise in DN squared.
    shortest : int, optional
        Runs of masked pixels that are shorter stay as they are.
    bright : float, optional
        A quarter of the means of nine pixels of a run must be brighter than this many standard
        deviations of their noise; fainter runs stay as they are.
    faintest : float, optional
        Light at which to stop, relative to the rms of the correlated noise.
    farthest : float, optional
        Largest growth at each end relative to the length of the run.

    Returns
    -------
    ndarray of bool, shape (n_slow, n_fast)
        The pixels of ``sky`` outside the grown runs; ``sky`` itself if the growth would take more
        than a quarter of it, as where sources cover all rows and have sharp edges.

    Notes
    -----
    What a source leaves in the other pixels of its rows is most like stripes of all its light, and
    the noise model would take it for noise. Its profile is continued as an exponential from the
    first pixels outside the run and pixels a quarter of the run inside. Sources with sharp edges
    do not grow.
    """
    runs = uniform_filter1d((usable & ~sky).astype(np.float32), WINDOW, mode="constant") > COVERED
    edges = np.diff(np.pad(runs, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    n_fast = sky.shape[1]
    rows, starts = np.divmod(np.flatnonzero(edges == 1), n_fast + 1)
    ends = np.flatnonzero(edges == -1) - rows * (n_fast + 1)
    long = ends - starts >= shortest
    rows, starts, ends = rows[long], starts[long], ends[long]
    limit = bright * (noise + white / WINDOW) ** 0.5
    # The means are needed in the rows of long runs only.
    some, place = np.unique(rows, return_inverse=True)
    lit = np.where(usable[some], light[some], np.float32(0))
    high = np.abs(uniform_filter1d(lit, WINDOW, mode="constant")) > limit
    before = np.pad(np.cumsum(high, axis=1, dtype=np.int32), ((0, 0), (1, 0)))
    wanted = before[place, ends] - before[place, starts] >= LEAST_BRIGHT * (ends - starts)
    rows, starts, ends = rows[wanted], starts[wanted], ends[wanted]
    if not len(rows):
        return sky
    lengths = ends - starts
    least = np.float32(faintest * noise**0.5)
    inwards = np.maximum(WINDOW, lengths // 4)

    def growth(ends: NDArray[np.int_], inside: int) -> NDArray[np.int_]:
        """Pixels by which runs grow at one end; ``inside`` is the direction towards the middle."""
        first = _box_means(light, usable, rows, ends - inside * (WINDOW // 2 + 1))
        second = _box_means(light, usable, rows, ends + inside * (WINDOW // 2 + inwards))
        outer = np.maximum(first, least)
        ratio = np.maximum(second / outer, 1.01)
        reach = (inwards + WINDOW) * np.log(outer / least) / np.log(ratio)
        reach[outer < SHARP * noise**0.5] = 0
        return np.minimum(reach, farthest * lengths).astype(int)

    cover = np.zeros((len(sky), n_fast + 1), dtype=np.int32)
    np.add.at(cover, (rows, np.maximum(starts - growth(starts, 1), 0)), 1)
    np.add.at(cover, (rows, np.minimum(ends + growth(ends - 1, -1), n_fast)), -1)
    grown = sky & (np.cumsum(cover[:, :-1], axis=1) == 0)
    kept = np.count_nonzero(grown) > LEAST_KEPT * np.count_nonzero(sky)
    return grown if kept else sky


def _box_means(
    light: Image, usable: Usable, rows: NDArray[np.int_], columns: NDArray[np.int_]
) -> Image:
    """Means of the light in squares around pixels; the border continues outside of the image."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    y = np.clip(rows[:, np.newaxis] + offsets, 0, light.shape[0] - 1)[:, :, np.newaxis]
    x = np.clip(columns, 0, light.shape[1] - 1)[:, np.newaxis] + offsets
    x = np.clip(x, 0, light.shape[1] - 1)[:, np.newaxis, :]
    means: Image = np.where(usable[y, x], light[y, x], np.float32(0)).mean(axis=(1, 2))
    return means
