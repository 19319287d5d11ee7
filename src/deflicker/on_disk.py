"""Ramps that are larger than memory: they stay in their files, one integration at a time.

A `StoredArray` is an array in a file, of which only the integration that is asked for
is in the address space. In a data model stands a `Placeholder` for it, which has its
shape and type and no memory; all else of the model is as ever.
"""

import io
import os
import warnings
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import IO, Any, Final

import numpy as np
from astropy.io import fits
from numpy.typing import DTypeLike, NDArray
from stdatamodels import fits_support
from stdatamodels.jwst import datamodels

__all__ = [
    "Placeholder",
    "StoredArray",
    "as_array",
    "as_ramps",
    "can_stay_on_disk",
    "data_offset",
    "map_whole",
    "open_on_disk",
    "write_on_disk",
]

BLOCK: Final = 2880  # bytes, of FITS
CARDS: Final = 36  # of a block
CHUNK: Final = 1 << 24
# FITS stores these as they are; other integers may be shifted.
STORED_TYPES: Final = {-32: ">f4", -64: ">f8", 8: "u1"}
NEEDED: Final = {"SCI": -32, "GROUPDQ": 8}


class StoredArray:
    """Array in a file whose integrations are mapped into memory one by one.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    offset : int
        Where the array begins, in bytes.
    shape : tuple of int
        Its shape; the first axis counts integrations.
    dtype : dtype-like
        Its type, with the byte order of the file.
    writable : bool, optional
        Whether what is written to an integration goes into the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        offset: int,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        writable: bool = False,
    ) -> None:
        self.path = path
        self.offset = offset
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.writable = writable

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Size in the file."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, integration: int) -> NDArray:
        if not 0 <= integration < len(self):
            msg = f"integration {integration} of {len(self)}"
            raise IndexError(msg)
        return np.memmap(
            self.path,
            dtype=self.dtype,
            mode="r+" if self.writable else "r",
            offset=self.offset + integration * (self.nbytes // len(self)),
            shape=self.shape[1:],
        )


class Placeholder(np.ndarray):
    """Zeros without memory, of the shape and type of an array in a file."""

    stored: StoredArray

    @classmethod
    def of(cls, stored: StoredArray) -> "Placeholder":
        """Make one.

        Parameters
        ----------
        stored : StoredArray
            What it stands for.

        Returns
        -------
        Placeholder
            Not to be written to.
        """
        zeros = np.broadcast_to(np.zeros((), dtype=stored.dtype), stored.shape)
        placeholder = zeros.view(cls)
        placeholder.stored = stored
        return placeholder

    @property
    def flags(self) -> Any:
        """As of the array in the file: models copy what is not contiguous."""
        return SimpleNamespace(c_contiguous=True, contiguous=True, writeable=False)


def as_ramps(array: NDArray) -> Any:
    """Array of a model, or the stored array for which it stands.

    Parameters
    ----------
    array : ndarray
        Array of a data model.

    Returns
    -------
    ndarray or StoredArray
        Of the same shape.
    """
    return array.stored if isinstance(array, Placeholder) else np.asarray(array)


def as_array(ramps: Any, shape: tuple[int, ...]) -> NDArray:
    """Array for a model, or what stands there for a stored one.

    Parameters
    ----------
    ramps : ndarray or StoredArray
        Ramps, or rates as ramps.
    shape : tuple of int
        Shape of the array in the model.

    Returns
    -------
    ndarray
        Of that shape.
    """
    return Placeholder.of(ramps) if isinstance(ramps, StoredArray) else ramps.reshape(shape)


def can_stay_on_disk(path: Path) -> bool:
    """Tell whether a file is one that `open_on_disk` opens.

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
        with path.open("rb") as stream, fits.open(stream, memmap=False) as hdulist:
            return (
                path.suffix == ".fits"
                and hdulist[0].header.get("DATAMODL") == "RampModel"
                and all(
                    _is_plain(hdulist[name]) and hdulist[name].header["BITPIX"] == bits
                    for name, bits in NEEDED.items()
                )
            )
    except (OSError, KeyError, IndexError):
        return False


def _is_plain(hdu: Any) -> bool:
    """Whether an extension is an image of integrations whose bytes are its values."""
    header = hdu.header
    return (
        isinstance(hdu, fits.ImageHDU)
        and header["NAXIS"] > 2
        and 0 not in hdu.shape
        and header["BITPIX"] in STORED_TYPES
        and not {"BZERO", "BSCALE"} & set(header)
    )


def open_on_disk(path: Path) -> datamodels.RampModel:
    """Open a ramp without reading the arrays that hold integrations.

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
            if not _is_plain(hdu):
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
        Its science data are a `Placeholder`. If they are in an unfinished file, that
        becomes the output; afterwards the placeholder stands for the data in the output.
    path : pathlib.Path
        FITS file to write. An existing file stays until the new one is complete.
    """
    model.on_save(str(path))
    stored = model.data.stored
    parts = _parts(fits_support.to_fits(model.instance, model.schema))
    offset = _offset(parts, stored)
    with TemporaryDirectory(prefix=".deflicker-", dir=path.parent) as folder:
        unfinished = stored.path if stored.writable else Path(folder) / path.name
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
        unfinished.replace(path)
    kept = StoredArray(path, offset=offset, shape=stored.shape, dtype=stored.dtype)
    model.data = Placeholder.of(kept)


def map_whole(model: datamodels.RampModel) -> None:
    """Put whole memory-mapped arrays in place of the placeholders of a model.

    Parameters
    ----------
    model : RampModel
        Changed. What is then written to its arrays stays in memory. Where the address
        space has no room for an array, there is None.
    """
    for name, value in list(model.instance.items()):
        if isinstance(value, Placeholder):
            stored = value.stored
            try:
                whole = np.memmap(
                    stored.path, stored.dtype, mode="c", offset=stored.offset, shape=stored.shape
                )
            except (OSError, ValueError):
                whole = None
            setattr(model, name, whole)


def data_offset(model: datamodels.RampModel, *, more_cards: int) -> int:
    """Where the science data of a model will begin in its file.

    Parameters
    ----------
    model : RampModel
        Its science data are a `Placeholder`.
    more_cards : int
        How many cards its first header will have gained by then.

    Returns
    -------
    int
        Bytes.
    """
    hdulist = fits_support.to_fits(model.instance, model.schema)
    cards = len(hdulist[0].header) + 1  # END
    growth = ceil((cards + more_cards) / CARDS) - ceil(cards / CARDS)
    return _offset(_parts(hdulist), model.data.stored) + BLOCK * growth


def _parts(hdulist: fits.HDUList) -> list[bytes | StoredArray]:
    """What a FITS file consists of, in order: bytes, and arrays that are in other files."""
    parts: list[bytes | StoredArray] = []
    for number, hdu in enumerate(hdulist):
        data = hdu.data
        if isinstance(data, Placeholder):
            padding = bytes(-data.stored.nbytes % BLOCK)
            parts += [hdu.header.tostring().encode("ascii"), data.stored, padding]
            continue
        # An extension is written behind a first header of one block, which is dropped.
        lead = [fits.PrimaryHDU()] if number else []
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Card is too long")
            fits.HDUList([*lead, hdu]).writeto(buffer)
        parts.append(buffer.getvalue()[BLOCK * len(lead) :])
    return parts


def _offset(parts: list[bytes | StoredArray], stored: StoredArray) -> int:
    """Where an array begins in the file."""
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
