"""Odd values of pixels and of their DQ."""

from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.faults.raw import RawFits

__all__ = ["change_quality", "change_values"]

VALUES: Final = (
    *(1e30, -1e30, 3e38, -3e38, 1e20, -1e20, 1e12, -1e12, 1e7, -1e7),
    *(np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0, 1e-42, -1e-42, 65535.0),
)
SCALES: Final = (1e30, 1e20, 1e10, -1.0, 1e-10, 1e-20, 1e-38, 0.0)


def change_values(rng: Generator, fits: RawFits) -> str:
    """Put odd values into an array, mostly into the science data.

    Parameters
    ----------
    rng : numpy.random.Generator
        Random numbers.
    fits : RawFits
        The file; changed.

    Returns
    -------
    str
        What was done.
    """
    part = fits["SCI"]
    others = [name for name in ("ZEROFRAME", "ERR", "VAR_RNOISE") if name in fits.names()]
    if others and rng.random() < 0.1:
        part = fits[str(rng.choice(others))]
    array = part.array()
    if rng.random() < 0.25:
        what = _change_all(rng, array)
    else:
        changes = [_change_some(rng, array) for _ in range(rng.choice([1, 1, 2, 3]))]
        what = "; ".join(changes)
    part.set_array(array)
    return f"{part.name}: {what}"


def _change_all(rng: Generator, array: NDArray) -> str:
    how = rng.choice(["scale", "offset", "equal", "noise", "order"])
    with np.errstate(all="ignore"):
        if how == "scale":
            scale = SCALES[rng.integers(len(SCALES))]
            array *= np.float32(scale)
            return f"times {scale:g}"
        if how == "offset":
            offset = VALUES[rng.integers(len(VALUES))]
            array += np.float32(offset)
            return f"plus {offset:g}"
    if how == "equal":
        value = VALUES[rng.integers(len(VALUES))]
        array[:] = value
        return f"all {value:g}"
    if how == "noise":
        array[:] = rng.normal(size=array.shape) * 10 ** rng.uniform(-3, 6)
        return "white noise alone"
    rng.shuffle(array.reshape(-1))
    return "pixels shuffled"


def _change_some(rng: Generator, array: NDArray) -> str:
    """Change pixels, rows, columns, groups or a fraction of the pixels."""
    value = VALUES[rng.integers(len(VALUES))]
    share = rng.choice(["pixel", "pixels", "row", "column", "image", "half"])
    image = tuple(int(rng.integers(size)) for size in array.shape[:-2])
    row, column = (int(rng.integers(size)) for size in array.shape[-2:])
    if share == "pixel":
        array[(*image, row, column)] = value
    elif share == "pixels":
        array[..., rng.random(array.shape[-2:]) < 0.01] = value
    elif share == "row":
        array[(*image, row)] = value
    elif share == "column":
        array[..., column] = value
    elif share == "image":
        array[image] = value
    else:
        array[rng.random(array.shape) < 0.5] = value
    return f"{value:g} in one {share}" if share != "half" else f"{value:g} in half of it"


def change_quality(rng: Generator, fits: RawFits) -> str:
    """Flag random pixels and groups, or all of them, or set bits without a meaning.

    Parameters
    ----------
    rng : numpy.random.Generator
        Random numbers.
    fits : RawFits
        The file; changed.

    Returns
    -------
    str
        What was done.
    """
    names = [name for name in ("PIXELDQ", "GROUPDQ", "DQ") if name in fits.names()]
    part = fits[str(rng.choice(names))]
    array = part.array()
    number = array.dtype.itemsize
    noise = np.frombuffer(rng.bytes(array.size * number), array.dtype).reshape(array.shape)
    how = rng.choice(["noise", "all", "none", "even bits", "some", "one is good", "group"])
    if how == "noise":
        array = noise
    elif how == "all":
        array[:] = 1
    elif how == "none":
        array[:] = 0 if part.find("BZERO") is None else np.iinfo(array.dtype).min
    elif how == "even bits":
        array = noise & ~np.asarray(1, array.dtype)
    elif how == "some":
        array[rng.random(array.shape) < rng.uniform(0.1, 1.0)] |= 1
    elif how == "one is good":
        flagged = array | 1
        flagged[..., array.shape[-2] // 2, array.shape[-1] // 2] ^= 1
        array = flagged
    else:
        array[tuple(int(rng.integers(size)) for size in array.shape[:-2])] |= 1
    part.set_array(array)
    return f"{part.name}: {how}"
