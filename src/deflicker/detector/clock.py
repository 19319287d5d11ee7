"""Pixels of the outputs in the order in which they are read."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.facts import IRS2_BLOCK, IRS2_ROW_TICKS, IRS2_SCIENCE, ROW_OVERHEAD

__all__ = ["Clock"]


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Read-out order of an image.

    Outputs are read simultaneously, one pixel of each per tick of 10 microseconds, row after
    row. In the ticks of the overhead between rows, no pixel of the image is read.

    Parameters
    ----------
    n_slow, n_fast : int
        Size of the image in the detector frame in pixels.
    n_outputs : int, optional
        Outputs that read equal slices of the fast axis.
    interleaved : bool, optional
        Whether reference pixels are interleaved with the others (IRS2).
    mirrored : tuple of bool, optional
        For each output, whether it is read against the fast axis; every second one by
        default.
    binning : int, optional
        Number of detector pixels along the fast axis in one image pixel, and in one tick.

    Raises
    ------
    ValueError
        If the fast axis cannot be divided equally between the outputs.

    Examples
    --------
    The second output is read from its far end:

    >>> import numpy as np
    >>> from deflicker.detector.clock import Clock
    >>> clock = Clock(n_slow=1, n_fast=4, n_outputs=2)
    >>> clock.ordered(np.array([[0, 1, 2, 3]]))[:, 0]
    array([[0, 1],
           [3, 2]])
    """

    n_slow: int
    n_fast: int
    n_outputs: int = 1
    interleaved: bool = False
    mirrored: tuple[bool, ...] = field(default=())
    binning: int = 1

    def __post_init__(self) -> None:
        if self.n_fast % self.n_outputs:
            msg = f"{self.n_fast} columns cannot be shared by {self.n_outputs} outputs"
            raise ValueError(msg)
        if not self.mirrored:
            mirrored = tuple(k % 2 == 1 for k in range(self.n_outputs))
            object.__setattr__(self, "mirrored", mirrored)

    @property
    def width(self) -> int:
        """Columns of an output."""
        return self.n_fast // self.n_outputs

    @property
    def row_ticks(self) -> int:
        """Ticks from one row to the next."""
        if self.interleaved:
            return max(IRS2_ROW_TICKS // self.binning, self._irs2_ticks()[-1] + 1)
        return self.width + ROW_OVERHEAD // self.binning

    @property
    def n_ticks(self) -> int:
        """Ticks of the whole image."""
        return self.n_slow * self.row_ticks

    def _irs2_ticks(self) -> NDArray[np.int_]:
        science, block = IRS2_SCIENCE // self.binning, IRS2_BLOCK // self.binning
        columns = np.arange(self.width)
        gaps = (columns + science) // (2 * science)
        return columns + gaps * (block - 2 * science)

    def binned(self, size: int) -> "Clock":
        """Read-out order of an image whose neighbouring pixels are averaged.

        Parameters
        ----------
        size : int
            Number of pixels along the fast axis in a mean: 1, 2 or 4, a divisor of the width.

        Returns
        -------
        Clock
            Clock with fewer, longer ticks.
        """
        return replace(self, n_fast=self.n_fast // size, binning=size * self.binning)

    def ordered(self, image: NDArray) -> NDArray:
        """Copy an image into read-out order.

        Parameters
        ----------
        image : ndarray, shape (n_slow, n_fast)
            Image in the detector frame, any dtype.

        Returns
        -------
        ndarray, shape (n_outputs, n_slow, width)
            Pixels of each output, in each row from the first to the last that is read.
        """
        ordered = np.empty((self.n_outputs, self.n_slow, self.width), dtype=image.dtype)
        for k, part in enumerate(self._parts(image)):
            ordered[k] = part
        return ordered

    def image(self, ordered: NDArray) -> NDArray:
        """Copy pixels in read-out order back into an image.

        Parameters
        ----------
        ordered : ndarray, shape (n_outputs, n_slow, width)
            Pixels as returned by `ordered`.

        Returns
        -------
        ndarray, shape (n_slow, n_fast)
            In the detector frame.
        """
        image = np.empty((self.n_slow, self.n_fast), dtype=ordered.dtype)
        for k, part in enumerate(self._parts(image)):
            part[:] = ordered[k]
        return image

    def _parts(self, image: NDArray) -> list[NDArray]:
        """Views of the outputs' columns in the order in which they are read."""
        width = self.width
        parts = [image[:, k * width : (k + 1) * width] for k in range(self.n_outputs)]
        return [p[:, ::-1] if m else p for p, m in zip(parts, self.mirrored, strict=True)]

    def pixels(self, records: NDArray) -> NDArray:
        """View the pixels of the image among the ticks of records.

        Parameters
        ----------
        records : ndarray, shape (n_outputs, n_ticks or more)
            One record of each output.

        Returns
        -------
        ndarray, shape (n_outputs, n_slow, width)
            A view; a copy where reference pixels are interleaved.
        """
        rows = self._rows(records)
        return rows[..., self._irs2_ticks()] if self.interleaved else rows[..., : self.width]

    def fill(self, records: NDArray, ordered: NDArray) -> None:
        """Write pixels into records, in place; other ticks are unchanged.

        Parameters
        ----------
        records : ndarray, shape (n_outputs, n_ticks or more)
            Records to change.
        ordered : ndarray, shape (n_outputs, n_slow, width)
            Pixels in read-out order.
        """
        rows = self._rows(records)
        if self.interleaved:
            rows[..., self._irs2_ticks()] = ordered
        else:
            rows[..., : self.width] = ordered

    def fill_image(self, records: NDArray, image: NDArray) -> None:
        """Write the pixels of an image into records, in place.

        Parameters
        ----------
        records : ndarray, shape (n_outputs, n_ticks or more)
            Records to change; other ticks are unchanged.
        image : ndarray, shape (n_slow, n_fast)
            In the detector frame.
        """
        for k, part in enumerate(self._parts(image)):
            self.fill(records[k : k + 1], part[np.newaxis])

    def _rows(self, records: NDArray) -> NDArray:
        # Splitting an axis always returns a view.
        return records[:, : self.n_ticks].reshape(len(records), self.n_slow, self.row_ticks)
