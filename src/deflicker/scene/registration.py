"""Place and brightness of known light in an exposure, measured beside its stripes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from deflicker.scene.scene_image import SceneImage
from deflicker.stats.constants import MAD_TO_SIGMA
from deflicker.stats.row_medians import row_medians

__all__ = ["Registration", "register", "shared_stripes"]

Image = NDArray[np.float32]
Part = tuple[slice, slice]
Blocks = NDArray[np.float32]

# Shifts that are tried first, in pixels: pointing errors before alignment are this large.
FARTHEST = 5
# Image and light are smoothed by a Gaussian of this many pixels: interpolation changes the noise
# of the light from shift to shift, and neither resolves its stars.
SMOOTHING = 1.5
# Complete lines in blocks, of which the first and last ones only serve smoothing and shifts.
LINES, MARGIN, MOST_PIXELS = 32, FARTHEST + 3, 1 << 19
LEAST_KNOWN = 0.5  # weight of the pixels around one that are measurements
MOST_STEPS, SMALL_STEP, LARGEST_STEP = 8, 0.005, 1.0
OUTLIER = 4.0
MOST_NOISE = 0.5  # part of the light that is taken for its noise
MOST_CONDITION = 1e8
FEWEST_LINES = 32
BRIGHTEST = 99.8  # percentile; cores of brighter stars are the first to be wrong


@dataclass(frozen=True, kw_only=True)
class Registration:
    """How known light appears in an exposure.

    Parameters
    ----------
    shift : tuple of float
        Pixels of the known image by which its light lies beside the coordinates, along y and x.
    shift_error : float
        Standard error of the shift along the less certain axis; infinite if the light has no
        structure.
    factor : float
        Brightness in the exposure per unit of the known light.
    factor_error : float
        Its standard error.
    """

    shift: tuple[float, float]
    shift_error: float
    factor: float
    factor_error: float


UNKNOWN = Registration(
    shift=(0.0, 0.0), shift_error=float("inf"), factor=0.0, factor_error=float("inf")
)


def register(
    image: Image, usable: NDArray[np.bool_], scene: SceneImage, *, stripes: int
) -> Registration:
    """Measure shift and factor of known light.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        Exposure, such as its rate.
    usable : ndarray of bool, shape (ny, nx)
        True where the image is a measurement.
    scene : SceneImage
        The known light.
    stripes : int
        Axis along which stripes of the detector are constant.

    Returns
    -------
    Registration
        The result, see `Registration`.

    Notes
    -----
    The image is the light times a factor, plus its gradient times the remaining shift, plus a
    level for each line along ``stripes``, since the noise of lines is what is not known. These are
    solved by least squares without outliers, with the light interpolated anew at each shift.
    The power of the noise of the light is subtracted from its own. The first shift is
    the whole number of pixels at which image and light correlate best. The errors take into
    account that smoothing correlates the noise.
    """
    problem = _Problem(image, usable & np.isfinite(image), scene, stripes)
    if not problem.used.any():
        return UNKNOWN
    jacobian = _jacobian(scene)
    shift = jacobian @ problem.best_whole_pixels()
    best = UNKNOWN
    for _ in range(MOST_STEPS):
        best = problem.solution((float(shift[0]), float(shift[1])))
        if not np.isfinite(best.shift_error):
            return UNKNOWN
        step = np.array(best.shift)
        length = float(np.hypot(*step))
        shift = shift + jacobian @ step * min(1.0, LARGEST_STEP / max(length, 1e-30))
        if length < SMALL_STEP:
            break
    return Registration(
        shift=(float(shift[0]), float(shift[1])),
        shift_error=best.shift_error * float(np.linalg.norm(jacobian, 2)),
        factor=best.factor,
        factor_error=best.factor_error,
    )


def shared_stripes(
    image: Image, light: Image, known: NDArray[np.bool_], *, stripes: int
) -> tuple[float, float]:
    """Part of the stripes of an image that its known light has too.

    Parameters
    ----------
    image, light : ndarray of float32, shape (ny, nx)
        The image and the light in it, in the same unit.
    known : ndarray of bool, shape (ny, nx)
        True where the light is known.
    stripes : int
        Axis along which stripes of the detector are constant.

    Returns
    -------
    part, error : float
        Slope of the changes from line to line in the light, against those in the image, and its
        standard error; medians of lines show stripes, and no sources.
    """
    usable = known & np.isfinite(image)
    if stripes == 0:
        image, light, usable = image.T, light.T, usable.T
    levels = [row_medians(np.where(usable, values, 0), usable) for values in (image, light)]
    full = usable.sum(axis=1) > usable.shape[1] // 4
    both = full[1:] & full[:-1]
    if np.count_nonzero(both) < FEWEST_LINES:
        return 0.0, float("inf")
    changes = [np.diff(level)[both].astype(np.float64) for level in levels]
    limits = [OUTLIER * MAD_TO_SIGMA * np.median(np.abs(change)) for change in changes]
    of_image, of_light = (
        np.clip(change, -limit, limit) for change, limit in zip(changes, limits, strict=True)
    )
    power = float(np.vdot(of_image, of_image))
    if not power > 0:
        return 0.0, float("inf")
    part = float(np.vdot(of_image, of_light)) / power
    rest = of_light - part * of_image
    return part, float(np.sqrt(np.vdot(rest, rest) / len(rest) / power))


class _Problem:
    """Blocks of lines of an exposure, and the light that they are compared with.

    In blocks, axis 0 counts them, and stripes are along axis 2.
    """

    def __init__(
        self, image: Image, usable: NDArray[np.bool_], scene: SceneImage, stripes: int
    ) -> None:
        self.scene, self.stripes = scene, stripes
        self.parts = _parts(image.shape, stripes)
        weights = self._blocks(usable).astype(np.float32)
        near = gaussian_filter(weights, SMOOTHING, axes=(1, 2))
        values = gaussian_filter(self._blocks(image, usable), SMOOTHING, axes=(1, 2))
        self.weights, self.near = weights, np.maximum(near, np.float32(1e-3))
        values /= self.near
        covered = scene.covered()
        inner = np.zeros(values.shape, dtype=bool)
        inner[:, MARGIN:-MARGIN, MARGIN:-MARGIN] = True
        self.used = inner & (near > LEAST_KNOWN) & (weights > 0) & self._blocks(covered)
        self.values = values
        self._first: Blocks | None = None

    def _blocks(self, image: NDArray, usable: NDArray[np.bool_] | None = None) -> NDArray:
        parts = [
            image[part] if usable is None else np.where(usable[part], image[part], np.float32(0))
            for part in self.parts
        ]
        return np.stack([part if self.stripes == 1 else part.T for part in parts])

    def _light(self, shift: tuple[float, float]) -> Blocks:
        """Smooth light, with the weights of the image."""
        parts = [self.scene.light(shift, part) for part in self.parts]
        light = np.stack([part if self.stripes == 1 else part.T for part in parts])
        return gaussian_filter(light * self.weights, SMOOTHING, axes=(1, 2)) / self.near

    def _without_levels(self, values: Blocks, used: NDArray[np.bool_]) -> Blocks:
        """Values minus the mean of each line; 0 where they are not used."""
        number = np.maximum(used.sum(axis=2, keepdims=True), 1)
        chosen = np.where(used, values, np.float32(0))
        level = chosen.sum(axis=2, keepdims=True, dtype=np.float64) / number
        return np.where(used, values - level.astype(np.float32), np.float32(0))

    def best_whole_pixels(self) -> NDArray[np.float64]:
        """Shift (y, x) by whole pixels of the exposure at which it correlates best."""
        light = self._first = self._light((0.0, 0.0))
        self.used &= self._not_brightest(light)
        data = _clipped(self._without_levels(self.values, self.used), self.used)
        every = np.ones(light.shape, dtype=bool)
        model = _clipped(self._without_levels(light, every), every)
        inner = data[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
        lines, length = data.shape[1:]
        best, found = 0.0, (0, 0)
        for across in range(-FARTHEST, FARTHEST + 1):
            rows = slice(MARGIN + across, lines - MARGIN + across)
            for along in range(-FARTHEST, FARTHEST + 1):
                columns = slice(MARGIN + along, length - MARGIN + along)
                value = float(np.einsum("bij,bij->", inner, model[:, rows, columns]))
                if value > best:
                    best, found = value, (across, along)
        return np.array(found if self.stripes == 1 else found[::-1], dtype=np.float64)

    def _not_brightest(self, light: Blocks) -> NDArray[np.bool_]:
        level = np.median(light[self.used])
        bright = np.abs(light - level)
        return bright <= np.percentile(bright[self.used], BRIGHTEST)

    def _noise_power(self) -> NDArray[np.float64]:
        """Power of the noise of the light, and of its gradient along both axes.

        With it, the factor would be too small, and the shift too large.
        """
        noise = self.scene.noise() ** 2 / (4 * np.pi * SMOOTHING**2)
        gradient = noise / (2 * SMOOTHING**2)
        return np.array([noise, gradient, gradient]) * np.count_nonzero(self.used)

    def solution(self, shift: tuple[float, float]) -> Registration:
        """Factor, and remaining shift in pixels of the exposure; outliers are not used again."""
        light = self._first if shift == (0.0, 0.0) and self._first is not None else None
        light = self._light(shift) if light is None else light
        slopes = [np.gradient(light, axis=axis) for axis in (1, 2)]
        design = [self._without_levels(one, self.used) for one in (light, *slopes)]
        data = self._without_levels(self.values, self.used)
        matrix = np.array([[_product(one, other) for other in design] for one in design])
        power = np.diag(matrix)
        matrix[np.diag_indices(3)] -= np.minimum(self._noise_power(), MOST_NOISE * power)
        scale = np.sqrt(np.maximum(np.diag(matrix), 1e-30))
        if (
            not (np.diag(matrix) > 0).all()
            or np.linalg.cond(matrix / np.outer(scale, scale)) > MOST_CONDITION
        ):
            return UNKNOWN
        inverse = np.linalg.inv(matrix)
        found = inverse @ np.array([_product(one, data) for one in design])
        residual = data - sum(np.float32(c) * a for c, a in zip(found, design, strict=True))
        scatter = MAD_TO_SIGMA * float(np.median(np.abs(residual[self.used])))
        # Of so many pixels, smoothing leaves as much information as of one.
        alike = 4 * np.pi * SMOOTHING**2
        errors = scatter * np.sqrt(alike * np.diag(inverse))
        if not abs(found[0]) > errors[0]:
            return UNKNOWN
        near = np.abs(residual) < OUTLIER * scatter
        if (self.used & near).any():
            self.used &= near
        steps = found[1:] / found[0]
        across, along = (float(step) for step in steps)
        return Registration(
            shift=(across, along) if self.stripes == 1 else (along, across),
            shift_error=float(errors[1:].max() / abs(found[0])),
            factor=float(found[0]),
            factor_error=float(errors[0]),
        )


def _parts(shape: tuple[int, ...], stripes: int) -> list[Part]:
    """Blocks of complete lines along the stripes, evenly spaced."""
    n_lines, length = (shape[0], shape[1]) if stripes == 1 else (shape[1], shape[0])
    size = min(LINES + 2 * MARGIN, n_lines)
    number = max(1, min(MOST_PIXELS // (size * length), n_lines // size))
    starts = np.linspace(0, n_lines - size, number + 2)[1:-1].round().astype(int)
    lines = [slice(int(start), int(start) + size) for start in starts]
    every = slice(None)
    return [(one, every) if stripes == 1 else (every, one) for one in lines]


def _jacobian(scene: SceneImage) -> NDArray[np.float64]:
    """Change of the coordinates (y, x) in the scene by a pixel of the exposure along y and x."""
    row, column = (n // 2 for n in scene.y.shape)
    return np.array(
        [
            [float(np.median(np.diff(line))) for line in (places[:, column], places[row])]
            for places in (scene.y, scene.x)
        ]
    )


def _clipped(values: Blocks, used: NDArray[np.bool_]) -> Blocks:
    """Values without the power of the brightest ones."""
    limit = np.float32(np.percentile(np.abs(values[used]), BRIGHTEST))
    return np.clip(values, -limit, limit)


def _product(one: Blocks, other: Blocks) -> float:
    return float(np.vdot(one, other))
