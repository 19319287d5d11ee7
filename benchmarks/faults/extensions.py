"""Damage of extensions: removed, duplicated, reordered, renamed, of other shapes and types."""

from typing import Final

import numpy as np
from numpy.random import Generator

from benchmarks.faults.raw import RawExtension, RawFits

__all__ = ["change_dtype", "change_shape", "rearrange", "rename"]

NAMES: Final = (  # noqa: SIM905 - many short words
    "SCI ERR DQ PIXELDQ GROUPDQ ZEROFRAME GROUP INT_TIMES ASDF ZIMAGE REFOUT VAR_POISSON "
    "AREA COMPRESSED_IMAGE PRIMARY MINE"
).split()
DTYPES: Final = ("u1", "i2", "i4", "i8", "f4", "f8", "u2", "u4")
UNSIGNED: Final = {"u2": 2**15, "u4": 2**31}


def rearrange(rng: Generator, fits: RawFits) -> str:
    """Remove, duplicate, swap or shuffle extensions.

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
    parts = fits.extensions
    at = int(rng.integers(1, len(parts)))
    name = parts[at].name
    how = rng.choice(["remove", "double", "shuffle", "swap", "lone", "without ASDF"])
    if how == "remove":
        del parts[at]
        return f"{name} removed"
    if how == "double":
        copy = parts[at].copy()
        if rng.random() < 0.5:
            copy.set("EXTVER", int(rng.integers(1, 4)))
        parts.insert(int(rng.integers(1, len(parts) + 1)), copy)
        return f"{name} doubled"
    if how == "shuffle":
        order = 1 + rng.permutation(len(parts) - 1)
        fits.extensions = [parts[0], *(parts[k] for k in order)]
        return f"order {' '.join(fits.names())}"
    if how == "swap":
        other = int(rng.integers(1, len(parts)))
        names = name, parts[other].name
        parts[at].set("EXTNAME", names[1])
        parts[other].set("EXTNAME", names[0])
        return f"{names[0]} and {names[1]} swapped"
    if how == "lone":
        fits.extensions = [parts[0], parts[at]]
        return f"only {name} is left"
    fits.extensions = [part for part in parts if part.name != "ASDF"]
    return f"ASDF removed; {_remove_one(rng, fits)}"


def _remove_one(rng: Generator, fits: RawFits) -> str:
    """Remove one more extension in half of the cases."""
    if rng.random() < 0.5:
        return "nothing else"
    gone = fits.extensions.pop(int(rng.integers(1, len(fits.extensions))))
    return f"{gone.name} too"


def rename(rng: Generator, fits: RawFits) -> str:
    """Give an extension another name, possibly that of another extension.

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
    part = fits.extensions[rng.integers(1, len(fits.extensions))]
    old, new = part.name, str(rng.choice(NAMES))
    part.set("EXTNAME", new)
    return f"{old} renamed {new}"


def change_dtype(rng: Generator, fits: RawFits) -> str:
    """Write an array in another type.

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
    part = _image(rng, fits)
    dtype = str(rng.choice(DTYPES))
    values = np.nan_to_num(part.array().astype("f8"))
    if dtype in UNSIGNED:
        part.set_array(_cast(values - UNSIGNED[dtype], dtype.replace("u", "i")))
        part.set("BZERO", UNSIGNED[dtype])
        part.set("BSCALE", 1)
    else:
        part.set_array(_cast(values, dtype))
    return f"{part.name} as {dtype}"


def _cast(values: np.ndarray, dtype: str) -> np.ndarray:
    if dtype.startswith("f"):
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(values, limits.min, min(limits.max, 2**53)).astype(dtype)


def change_shape(rng: Generator, fits: RawFits) -> str:
    """Cut, stretch or transpose arrays: all in the same way, or only one of them.

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
    how = rng.choice(["window", "groups", "one", "empty", "turned", "flat", "huge"], p=_CHANCES)
    if how == "window":
        return _cut_window(rng, fits)
    if how == "groups":
        return _cut_groups(rng, fits)
    part = _image(rng, fits)
    array = part.array()
    axis = int(rng.integers(array.ndim))
    if how == "one":
        array = np.take(array, np.arange(rng.integers(1, array.shape[axis] + 1)), axis=axis)
    elif how == "empty":
        array = np.take(array, [], axis=axis)
    elif how == "turned":
        array = np.swapaxes(array, axis, int(rng.integers(array.ndim)))
    elif how == "flat":
        array = array[np.newaxis] if rng.random() < 0.5 else array.reshape(-1, array.shape[-1])
    else:
        number = int(rng.choice([2 * array.shape[axis], 10**5, 2**31, 2**62]))
        part.set(f"NAXIS{array.ndim - axis}", number)
        return f"{part.name} has {number} instead of {array.shape[axis]} along axis {axis}"
    part.set_array(np.ascontiguousarray(array))
    return f"{part.name} of shape {array.shape}"


_CHANCES: Final = (0.4, 0.15, 0.15, 0.08, 0.07, 0.08, 0.07)


def _cut_window(rng: Generator, fits: RawFits) -> str:
    """Keep only few rows or columns of all images, or both."""
    parts = [part for part in fits.extensions if part.is_image]
    ny, nx = parts[0].shape[-2:]
    few = int(rng.integers(1, 6))
    how = rng.integers(3)
    rows = few if how != 1 else ny
    columns = int(rng.integers(1, 6)) if how == 2 else (few if how == 1 else nx)
    top, left = rng.integers(0, ny - rows + 1), rng.integers(0, nx - columns + 1)
    for part in parts:
        window = part.array()[..., top : top + rows, left : left + columns]
        part.set_array(np.ascontiguousarray(window))
    fits.extensions[0].set("SUBSIZE1", columns)
    fits.extensions[0].set("SUBSIZE2", rows)
    return f"{rows} rows and {columns} columns"


def _cut_groups(rng: Generator, fits: RawFits) -> str:
    """Keep only one or two groups or integrations."""
    few, axis = int(rng.integers(1, 3)), int(rng.integers(2))
    for part in fits.extensions:
        if part.is_image and len(part.shape) > 2:
            array = part.array()
            which = min(axis, array.ndim - 3)
            part.set_array(np.take(array, np.arange(min(few, array.shape[which])), axis=which))
    return f"{few} along axis {axis}"


def _image(rng: Generator, fits: RawFits) -> RawExtension:
    """Any image; the science data in half of the cases."""
    images = [part for part in fits.extensions if part.is_image]
    return images[0] if rng.random() < 0.5 else images[rng.integers(len(images))]
