"""Place and brightness of known light in an exposure, measured beside its stripes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deflicker.scene.scene_image import SceneImage
from deflicker.stats.constants import MAD_TO_SIGMA

__all__ = ["Registration", "register"]

Image = NDArray[np.float32]
Part = tuple[slice, slice]
Matrix = NDArray[np.float64]

# Shifts that are tried first, in pixels: pointing errors before alignment are this large.
FARTHEST, SPACING = 4.5, 1.5
# Pixels for the search and for the solution, in complete rows.
SEARCHED, SOLVED = 1 << 16, 1 << 18
MOST_STEPS, SMALL_STEP, LARGEST_STEP = 8, 0.002, 1.0
DERIVATIVE_STEP = 0.25
OUTLIER = 4.0
MOST_CONDITION = 1e8
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
    The image is the light times a factor, plus its derivatives times the remaining shift, plus a
    level for each row, since the noise of rows is what is not known (rows are the lines along
    ``stripes``). These are solved by least squares without outliers, with the light interpolated
    anew at each shift. The first shift is the best of a grid.
    """
    usable = usable & scene.covered() & np.isfinite(image)
    search = _thinned(image.shape, SEARCHED, stripes)
    solve = _thinned(image.shape, SOLVED, stripes)
    shift = _best_of_grid(image[search], usable[search], scene, search, stripes=stripes)
    allowed = usable[solve]
    if not allowed.any():
        return UNKNOWN
    bright = np.abs(scene.light(shift, solve))
    allowed = allowed & (bright <= np.percentile(bright[allowed], BRIGHTEST))
    problem = _Problem(image[solve], allowed, scene, solve, stripes)
    used, best = allowed, UNKNOWN
    for _ in range(MOST_STEPS):
        best, used = problem.solution(shift, used)
        if not np.isfinite(best.shift_error):
            return UNKNOWN
        step = np.array(best.shift)
        length = float(np.hypot(*step))
        step *= min(1.0, LARGEST_STEP / max(length, 1e-30))
        shift = (shift[0] + float(step[0]), shift[1] + float(step[1]))
        if length < SMALL_STEP:
            break
    return Registration(
        shift=shift,
        shift_error=best.shift_error,
        factor=best.factor,
        factor_error=best.factor_error,
    )


@dataclass(frozen=True)
class _Problem:
    """Pixels of an exposure, and the light that they are compared with."""

    values: Image
    allowed: NDArray[np.bool_]
    scene: SceneImage
    part: Part
    stripes: int

    def solution(
        self, shift: tuple[float, float], used: NDArray[np.bool_]
    ) -> tuple[Registration, NDArray[np.bool_]]:
        """Factor and remaining shift from pixels that are used, and all that are no outliers."""
        (y, x), h, light = shift, DERIVATIVE_STEP, self.scene.light
        columns = [
            light(shift, self.part),
            (light((y + h, x), self.part) - light((y - h, x), self.part)) / (2 * h),
            (light((y, x + h), self.part) - light((y, x - h), self.part)) / (2 * h),
        ]
        design = [_centred(column, used, self.stripes) for column in columns]
        data = _centred(self.values, used, self.stripes)
        matrix = np.array([[float(np.vdot(a[used], b[used])) for b in design] for a in design])
        scale = np.sqrt(np.diag(matrix))
        if (
            not (scale > 0).all()
            or np.linalg.cond(matrix / np.outer(scale, scale)) > MOST_CONDITION
        ):
            return UNKNOWN, used
        inverse = np.linalg.inv(matrix)
        found = inverse @ np.array([float(np.vdot(a[used], data[used])) for a in design])
        residual = data - sum(c * a for c, a in zip(found, design, strict=True))
        scatter = MAD_TO_SIGMA * float(np.median(np.abs(residual[used])))
        errors = scatter * np.sqrt(np.diag(inverse))
        if not abs(found[0]) > errors[0]:
            return UNKNOWN, used
        inliers = self.allowed & (np.abs(residual) < OUTLIER * scatter)
        result = Registration(
            shift=(float(found[1] / found[0]), float(found[2] / found[0])),
            shift_error=float(errors[1:].max() / abs(found[0])),
            factor=float(found[0]),
            factor_error=float(errors[0]),
        )
        return result, inliers if inliers.any() else used


def _thinned(shape: tuple[int, ...], pixels: int, stripes: int) -> Part:
    """Evenly spaced lines along the stripes, together of about a number of pixels."""
    step = max(1, shape[0] * shape[1] // pixels)
    lines = slice(step // 2, None, step)
    return (lines, slice(None)) if stripes == 1 else (slice(None), lines)


def _centred(values: NDArray, used: NDArray[np.bool_], stripes: int) -> Matrix:
    """Values minus the mean of the used ones of each line along the stripes."""
    number = np.maximum(used.sum(axis=stripes, keepdims=True), 1)
    total = np.where(used, values, 0).sum(axis=stripes, keepdims=True, dtype=np.float64)
    return np.where(np.isfinite(values), values, 0) - total / number


def _best_of_grid(
    values: Image, used: NDArray[np.bool_], scene: SceneImage, part: Part, *, stripes: int
) -> tuple[float, float]:
    """Shift of a coarse grid that correlates best."""
    data = np.where(used, _centred(values, used, stripes), 0)
    limit = np.percentile(np.abs(data[used]), BRIGHTEST) if used.any() else 0.0
    data = np.clip(data, -limit, limit)
    steps = np.arange(-FARTHEST, FARTHEST + SPACING / 2, SPACING)
    best, found = 0.0, (0.0, 0.0)
    for dy in steps:
        for dx in steps:
            light = scene.light((float(dy), float(dx)), part)
            model = np.where(used, _centred(light, used, stripes), 0)
            edge = np.percentile(np.abs(model), BRIGHTEST)
            model = np.clip(model, -edge, edge)
            power = float(np.vdot(model, model))
            value = float(np.vdot(model, data)) / power**0.5 if power > 0 else 0.0
            if value > best:
                best, found = value, (float(dy), float(dx))
    return found
