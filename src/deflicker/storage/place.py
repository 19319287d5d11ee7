"""Where the arrays of a run are kept: in memory, or in files if they are larger than a limit."""

import logging
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from stdatamodels.jwst import datamodels

from deflicker.ramps.exposure import Exposure, Output
from deflicker.storage.on_disk import can_stay_on_disk, data_offset
from deflicker.storage.stored_array import Placeholder, StoredArray
from deflicker.storage.unfinished import UnfinishedFolder

__all__ = ["Storage"]

log = logging.getLogger(__name__)

HISTORY_TEXT = 72  # characters of text in a HISTORY card


class Storage:
    """Place for the arrays of one run; unfinished files are removed at the end in every case.

    Parameters
    ----------
    limit : float, optional
        Bytes; a ramp that needs more stays on disk. Infinity by default.
    n_products : int, optional
        Number of products as large as the science data that are to be saved.
    """

    def __init__(self, *, limit: float = math.inf, n_products: int = 0) -> None:
        self.limit = limit
        self.n_products = n_products
        self._beside = Path()
        self._folder: UnfinishedFolder | None = None
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.remove()
            self._folder = None

    def open(
        self,
        path: Path,
        *,
        opener: Callable[..., datamodels.JwstDataModel],
        output: Callable[[], Path],
    ) -> datamodels.JwstDataModel:
        """Open a file; its large arrays stay on disk if it needs more memory than the limit.

        Parameters
        ----------
        path : pathlib.Path
            Input file.
        opener : callable
            Opens the file, ``opener(path, on_disk=bool)``.
        output : callable
            Returns the path of the file that will be written.

        Returns
        -------
        JwstDataModel
            With placeholders if the arrays stay on disk.
        """
        if not self._is_too_large(path):
            return opener(path, on_disk=False)
        model = opener(path, on_disk=True)
        log.info(
            "%s (%.3g GB) stays on disk: memory_limit is %.3g GB",
            path.name,
            path.stat().st_size / 1e9,
            self.limit / 1e9,
        )
        self._beside = output().parent
        return model

    def _is_too_large(self, path: Path) -> bool:
        if math.isinf(self.limit) or not path.is_file():
            return False
        needed = path.stat().st_size * (1 + self.n_products)
        return needed > self.limit and can_stay_on_disk(path)

    def output(
        self,
        model: datamodels.JwstDataModel,
        exposure: Exposure,
        *,
        history: Callable[[], str],
        advance: Callable[[], object],
    ) -> Output:
        """Where the cleaned data of a model are to be written.

        Parameters
        ----------
        model : JwstDataModel
            The model before it is cleaned.
        exposure : Exposure
            Its arrays.
        history : callable
            Makes a text as long as the entry that will be added to the history.
        advance : callable
            Called after each difference.

        Returns
        -------
        Output
            The arrays of the exposure themselves, or the unfinished output file.
        """
        if not isinstance(exposure.data, StoredArray):
            return Output(make_data=lambda: exposure.data, advance=advance)

        def begin() -> StoredArray:
            more_cards = math.ceil(len(history()) / HISTORY_TEXT)
            more_cards += model.meta.cal_step.clean_flicker_noise is None
            return self._new(data_offset(model, more_cards=more_cards), model.data.shape)

        return Output(
            make_data=begin, make_zeros=lambda shape: self._new(0, shape), advance=advance
        )

    def float32(self, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Convert a mask that is to be saved to numbers.

        Parameters
        ----------
        mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx)
            A mask.

        Returns
        -------
        ndarray of float32, shape of ``mask``
            1 for True. A `Placeholder` if the ramp is on disk and each integration has a mask.
        """
        if self._folder is None or mask.ndim < 3:
            return mask.astype(np.float32)
        stored = self._new(0, mask.shape)
        for number, plane in enumerate(mask):
            stored[number][:] = plane
        return Placeholder.of(stored)

    def _new(self, offset: int, shape: tuple[int, ...]) -> StoredArray:
        """Create a file of float32 zeros."""
        if self._folder is None:
            self._folder = UnfinishedFolder(self._beside)
        self._number += 1
        path = self._folder.path / str(self._number)
        stored = StoredArray(path, offset=offset, shape=shape, dtype=">f4", writable=True)
        size = offset + stored.nbytes
        try:
            with path.open("wb") as stream:
                stream.truncate(size)
                # Otherwise a full disk would end the process while it writes to mapped memory.
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(stream.fileno(), 0, size)
        except OSError as error:
            msg = (
                f"output folder {self._beside} has no room for {size / 1e9:.3g} GB ({error}); "
                "choose another output_dir"
            )
            raise OSError(msg) from error
        return stored
