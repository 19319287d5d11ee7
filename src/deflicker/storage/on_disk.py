"""Ramps that are larger than memory, opened and written without loading their large arrays.

In the data model a `Placeholder` replaces each of these arrays; the rest of the model is as usual.
"""

import io
import logging
import os
import warnings
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from astropy.io import fits
from stdatamodels.jwst import datamodels

from deflicker.storage.fits_structure import check_file
from deflicker.storage.stdatamodels_seam import as_written, tree_of, update_before_writing
from deflicker.storage.stored_array import Placeholder, StoredArray
from deflicker.storage.unfinished import written_whole

__all__ = [
    "can_stay_on_disk",
    "data_offset",
    "map_in_place",
    "open_on_disk",
    "write_on_disk",
]

log = logging.getLogger(__name__)

FIRST_CARD: Final = b"SIMPLE  ="
BLOCK: Final = 2880  # bytes, of FITS
CARDS: Final = 36  # in a block
CHUNK: Final = 1 << 24
STORED_TYPES: Final = {-32: ">f4", 8: "u1"}
# Arrays of the model that have integrations, with the BITPIX that they have in the model.
STAYS: Final = {"SCI": -32, "GROUPDQ": 8, "ZEROFRAME": -32}
NEEDED: Final = ("SCI", "GROUPDQ")


def can_stay_on_disk(path: Path) -> bool:
    """Whether `open_on_disk` can open a file.

    Parameters
    ----------
    path : pathlib.Path
        Any file.

    Returns
    -------
    bool
        True for an uncompressed FITS file of a RampModel as the pipeline writes it.
    """
    try:
        check_file(path)
        with path.open("rb") as stream:
            if stream.read(len(FIRST_CARD)) != FIRST_CARD:
                return False
            stream.seek(0)
            with fits.open(stream, memmap=False) as hdulist:
                ramp = hdulist[0].header.get("DATAMODL") == "RampModel"
                return ramp and all(_stays(hdulist[name]) for name in NEEDED)
    except (OSError, KeyError, IndexError):
        return False


def _stays(hdu: Any) -> bool:
    """Whether an extension has integrations, stored with the type that the model uses."""
    header = hdu.header
    return (
        type(hdu) is fits.ImageHDU  # not a subclass, such as a compressed image
        and hdu.name in STAYS
        and header["NAXIS"] > 2
        and 0 not in hdu.shape
        and header["BITPIX"] == STAYS[hdu.name]
        and not {"BZERO", "BSCALE"} & set(header)
    )


def open_on_disk(path: Path) -> datamodels.RampModel:
    """Open a ramp without reading the arrays that have integrations.

    Parameters
    ----------
    path : pathlib.Path
        FITS file; see `can_stay_on_disk`.

    Returns
    -------
    RampModel
        With a `Placeholder` for each array that has integrations.
    """
    with path.open("rb") as stream, fits.open(stream, memmap=False) as hdulist:
        light = fits.HDUList()
        for hdu in hdulist:
            if not _stays(hdu):
                light.append(hdu)
                continue
            stored = StoredArray(
                path,
                offset=hdu.fileinfo()["datLoc"],
                shape=hdu.shape,
                dtype=STORED_TYPES[hdu.header["BITPIX"]],
            )
            light.append(fits.ImageHDU(Placeholder.of(stored), hdu.header))
        return datamodels.RampModel(light)


def write_on_disk(model: datamodels.RampModel, path: Path) -> None:
    """Write a model with placeholders, completely or not at all.

    Parameters
    ----------
    model : RampModel
        Its science data are a `Placeholder`. If they are in an unfinished file, that file
        becomes the output. Afterwards the placeholders refer to the arrays in the output.
    path : pathlib.Path
        FITS file to write. An existing file stays until the new one is complete.
    """
    update_before_writing(model, str(path))
    stored = model.data.stored
    parts = _parts(as_written(model))
    offset = _offset(parts, stored)
    with written_whole(path) as unfinished:
        if stored.writable:
            stored.path = stored.path.replace(unfinished)
        with unfinished.open("r+b" if stored.writable else "wb") as stream:
            if stored.writable:
                _move(stream, stored, offset)
            stream.seek(0)
            for part in parts:
                if isinstance(part, bytes):
                    stream.write(part)
                elif part.writable and part is stored:
                    stream.seek(part.nbytes, os.SEEK_CUR)
                else:
                    for integration in range(len(part)):
                        stream.write(part[integration].reshape(-1).view(np.uint8).data)
            stream.truncate()
    offsets = {id(part): _offset(parts, part) for part in parts if isinstance(part, StoredArray)}
    for name, value in _placeholders(model):
        given = value.stored
        written = StoredArray(path, offset=offsets[id(given)], shape=given.shape, dtype=given.dtype)
        setattr(model, name, Placeholder.of(written))


def map_in_place(model: datamodels.RampModel) -> None:
    """Replace the placeholders of a model by whole memory-mapped arrays.

    Parameters
    ----------
    model : RampModel
        Changed. Later changes of its arrays stay in memory. An array is read-only if memory
        is not sufficient for changes of all of it, and None, with a warning, if the address
        space is not sufficient.
    """
    for name, value in _placeholders(model):
        whole = None
        for mode in ("c", "r"):
            if whole is None:
                with suppress(OSError, ValueError):
                    whole = value.stored.whole(mode)
        if whole is None:
            log.warning("The address space has no room for %s: read the output file", name)
        setattr(model, name, whole)


def _placeholders(model: datamodels.RampModel) -> list[tuple[str, Placeholder]]:
    """Names and placeholders of a model."""
    return [item for item in tree_of(model).items() if isinstance(item[1], Placeholder)]


def data_offset(model: datamodels.RampModel, *, more_cards: int) -> int:
    """Position at which the science data of a model will begin in its file.

    Parameters
    ----------
    model : RampModel
        Its science data are a `Placeholder`.
    more_cards : int
        Number of cards that will be added to its first header before it is written.

    Returns
    -------
    int
        Bytes.
    """
    hdulist = as_written(model)
    cards = len(hdulist[0].header) + 1  # END
    growth = ceil((cards + more_cards) / CARDS) - ceil(cards / CARDS)
    return _offset(_parts(hdulist), model.data.stored) + BLOCK * growth


def _parts(hdulist: fits.HDUList) -> list[bytes | StoredArray]:
    """Parts of a FITS file, in order: bytes, and arrays that are in other files."""
    parts: list[bytes | StoredArray] = []
    for number, hdu in enumerate(hdulist):
        data = hdu.data
        if isinstance(data, Placeholder):
            padding = bytes(-data.stored.nbytes % BLOCK)
            parts += [hdu.header.tostring().encode("ascii"), data.stored, padding]
            continue
        # astropy writes an extension only after a primary header, of one block; it is dropped.
        lead = [fits.PrimaryHDU()] if number else []
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Card is too long")
            fits.HDUList([*lead, hdu]).writeto(buffer)
        parts.append(buffer.getvalue()[BLOCK * len(lead) :])
    return parts


def _offset(parts: list[bytes | StoredArray], stored: StoredArray) -> int:
    """Position at which an array begins in the file."""
    sizes = [part.nbytes if isinstance(part, StoredArray) else len(part) for part in parts]
    return sum(sizes[: parts.index(stored)])


def _move(stream: IO[bytes], stored: StoredArray, offset: int) -> None:
    """Move an array within its file."""
    starts = range(0, stored.nbytes, CHUNK) if offset != stored.offset else range(0)
    for start in starts if offset < stored.offset else reversed(starts):
        stream.seek(stored.offset + start)
        chunk = stream.read(min(CHUNK, stored.nbytes - start))
        stream.seek(offset + start)
        stream.write(chunk)
    stored.offset = offset
