"""Arrays that stay in files, and their placeholders in data models.

A `StoredArray` is an array in a file, of which only the integration that is asked for
is in the address space. In a data model a `Placeholder` replaces it, which has its
shape and type and uses no memory.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["Placeholder", "StoredArray", "as_array", "as_ramps"]


class StoredArray:
    """Array in a file whose integrations are mapped into memory one by one.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    offset : int
        Position in the file at which the array begins, in bytes.
    shape : tuple of int
        Its shape; the first axis counts integrations.
    dtype : dtype-like
        Its type, with the byte order of the file.
    writable : bool, optional
        Whether changes of an integration are written to the file.
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
        # Threads and the guard look at one integration at a time: as separate maps they would
        # take the address space of the integration once each.
        self._mapped: WeakValueDictionary[int, np.memmap] = WeakValueDictionary()

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Size in the file in bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, integration: int) -> NDArray:
        if not 0 <= integration < len(self):
            msg = f"integration {integration} of {len(self)}"
            raise IndexError(msg)
        mapped = self._mapped.get(integration)
        if mapped is None:
            mapped = np.memmap(
                self.path,
                dtype=self.dtype,
                mode="r+" if self.writable else "r",
                offset=self.offset + integration * (self.nbytes // len(self)),
                shape=self.shape[1:],
            )
            self._mapped[integration] = mapped
        return mapped

    def whole(self, mode: Literal["c", "r"]) -> NDArray:
        """Map the array as a whole.

        Parameters
        ----------
        mode : {"c", "r"}
            "c": changes stay in memory; "r": the array is read-only.

        Returns
        -------
        ndarray
            Memory-mapped.
        """
        return np.memmap(
            self.path, dtype=self.dtype, mode=mode, offset=self.offset, shape=self.shape
        )


class Placeholder(np.ndarray):
    """Array of zeros that uses no memory, with the shape and type of an array in a file."""

    stored: StoredArray

    @classmethod
    def of(cls, stored: StoredArray) -> "Placeholder":
        """Make a placeholder for an array in a file.

        Parameters
        ----------
        stored : StoredArray
            The array.

        Returns
        -------
        Placeholder
            Must not be written to.
        """
        zeros = np.broadcast_to(np.zeros((), dtype=stored.dtype), stored.shape)
        placeholder = zeros.view(cls)
        placeholder.stored = stored
        return placeholder

    @property
    def flags(self) -> Any:
        """Flags of the array in the file: models would copy an array that is not contiguous."""
        return SimpleNamespace(c_contiguous=True, contiguous=True, writeable=False)


def as_ramps(array: NDArray) -> Any:
    """Array of a model, or the stored array if it is a placeholder.

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
    """Array for a model; a placeholder for a stored array.

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
