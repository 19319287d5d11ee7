"""Contents of files as readers see them: arrays, keywords and the number of extensions."""

import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from stdatamodels.jwst import datamodels

from benchmarks.faults.raw import BLOCK

__all__ = ["Content", "has_more_extensions", "read_content", "same_values"]

STATUS = "S_CLNFNS"


@dataclass(frozen=True)
class Content:
    """Arrays and keywords of a file.

    Parameters
    ----------
    arrays : dict of ndarray
        By name of the extension and its number among extensions of that name; without ASDF.
    keywords : dict of dict
        Values of the headers, by the same keys.
    end : int
        Position of the end of the last extension, in bytes; 0 for an ASDF file.
    status : str or None
        Status of the step that the file records.
    """

    arrays: dict[tuple[str, int], NDArray]
    keywords: dict[tuple[str, int], dict[str, object]]
    end: int
    status: str | None


def read_content(path: Path, *, strict: bool = False) -> Content:
    """Read a file.

    Parameters
    ----------
    path : pathlib.Path
        FITS or ASDF file.
    strict : bool, optional
        Whether everything must be readable; by default unreadable parts are left out.

    Returns
    -------
    Content
        Contents of the file.

    Raises
    ------
    Exception
        An exception of any type, if the file cannot be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if strict:
            warnings.filterwarnings("error", "File may have been truncated")
        return _read_fits(path, strict=strict) if path.suffix == ".fits" else _read_asdf(path)


def _read_fits(path: Path, *, strict: bool) -> Content:
    """Read all arrays and tables; unless it is strict, only those that astropy can read."""
    arrays: dict[tuple[str, int], NDArray] = {}
    keywords = {}
    numbers: defaultdict[str, int] = defaultdict(int)
    with fits.open(path, memmap=False) as extensions:
        len(extensions)
        for extension in extensions:
            place = extension.fileinfo()
            if extension.name == "ASDF":
                continue
            name = extension.name.upper()
            key = (name, numbers[name])
            numbers[name] += 1
            try:
                keywords[key] = _keywords(extension.header)
                if extension.data is not None:
                    arrays[key] = np.array(extension.data)
            except Exception:
                if strict:
                    raise
        end = place["datLoc"] + place["datSpan"]
        return Content(arrays, keywords, end, keywords["PRIMARY", 0].get(STATUS))


def _keywords(header: fits.Header) -> dict[str, object]:
    """Values of a header, without undefined and unreadable ones."""
    found: dict[str, object] = {}
    for card in header.cards:
        try:
            keyword, value = card.keyword, card.value
        except Exception:  # noqa: BLE001, S112 - no reader can read this card
            continue
        if value is not None and not isinstance(value, fits.card.Undefined):
            found.setdefault(keyword, value)
    return found


def _read_asdf(path: Path) -> Content:
    """Read the arrays of a model, named as the extensions they would have in a FITS file."""
    with datamodels.open(path) as model:
        arrays = {}
        for name, value in model.instance.items():
            part = model.schema["properties"].get(name, {})
            if isinstance(value, np.ndarray) and "fits_hdu" in part:
                arrays[part["fits_hdu"], 0] = np.array(value)
        return Content(arrays, {}, 0, model.meta.cal_step.clean_flicker_noise)


def has_more_extensions(path: Path, content: Content) -> bool:
    """Whether there are more extensions after the last one that the reader has reached.

    Parameters
    ----------
    path : pathlib.Path
        A file, damaged or not.
    content : Content
        Contents that the reader found in it.

    Returns
    -------
    bool
        Always False for ASDF files.
    """
    rest = path.read_bytes()[content.end :] if content.end else b""
    return any(rest[at : at + 9] == b"XTENSION=" for at in range(0, len(rest), BLOCK))


def same_values(before: NDArray, after: NDArray) -> bool:
    """Whether values are the same; bit for bit if the types are the same.

    Parameters
    ----------
    before, after : ndarray
        Arrays or tables; ``after`` may have a type with a smaller range or precision.

    Returns
    -------
    bool
        False also if values do not fit into the type of ``after``.
    """
    if before.shape != after.shape:
        return False
    if before.dtype.names:
        # According to the FITS standard, names of columns do not depend on the case.
        names, now = before.dtype.names, after.dtype.names or ()
        return [name.lower() for name in names] == [name.lower() for name in now] and all(
            same_values(np.asarray(before[old]), np.asarray(after[new]))
            for old, new in zip(names, now, strict=True)
        )
    if before.dtype.kind == "S" == after.dtype.kind:
        return _texts(before) == _texts(after)
    if before.dtype.newbyteorder("=") == after.dtype.newbyteorder("="):
        native = before.dtype.newbyteorder("=")
        return before.astype(native).tobytes() == after.astype(native).tobytes()
    if before.dtype.kind not in "fiub" or after.dtype.kind not in "fiub":
        return bool(np.all(before == after))
    with np.errstate(all="ignore"):
        narrowed = before.astype(after.dtype)
        kept = np.isfinite(narrowed) if after.dtype.kind == "f" else narrowed == before
        lost = np.isfinite(before) if before.dtype.kind == "f" else np.ones(before.shape, bool)
        return bool(np.array_equal(narrowed, after, equal_nan=after.dtype.kind == "f")) and bool(
            np.all(kept | ~lost)
        )


def _texts(column: NDArray) -> list[bytes]:
    """Texts of a column, up to a null byte: the standard does not define what follows it."""
    return [text.split(b"\0")[0].rstrip() for text in column.ravel().tolist()]
