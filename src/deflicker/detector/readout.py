"""Read-out of a detector: axes, outputs, and conversion between its two frames.

Arrays are stored in the *science frame*, ``data[..., y, x]``. In the *detector
frame*, the first axis is the slow axis and the second the fast axis, and time runs towards
larger indices, so that flicker noise is a stripe along a row for all instruments.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.facts import FULL_FRAME, H2RG_OUTPUTS, IRS2_OUTPUTS

__all__ = ["STRIP_ROWS", "Readout", "count_outputs"]

# If the axes are swapped, images are transposed a few rows at a time, which fit into the cache.
STRIP_ROWS = 16


@dataclass(frozen=True, kw_only=True)
class Readout:
    """Axes and outputs of one read-out.

    Parameters
    ----------
    fast_axis, slow_axis : int
        ``meta.subarray.fastaxis`` and ``slowaxis``: 1 is x (columns), 2 is y
        (rows); the sign is the direction of time.
    n_outputs : int, optional
        Number of outputs that read equal slices of the fast axis in parallel.
    interleaved : bool, optional
        Whether reference pixels are interleaved with the others (IRS2).

    Raises
    ------
    ValueError
        If the two axes are not one of +-1 and one of +-2, or ``n_outputs`` is
        not positive.

    Examples
    --------
    A NIRISS stripe is vertical in the science frame and a row in the detector frame:

    >>> import numpy as np
    >>> from deflicker.detector.readout import Readout
    >>> readout = Readout(fast_axis=-2, slow_axis=-1)
    >>> image = np.zeros((3, 4), dtype=np.float32)
    >>> image[:, 0] = 1
    >>> readout.to_detector(image)[-1]
    array([1., 1., 1.], dtype=float32)
    """

    fast_axis: int
    slow_axis: int
    n_outputs: int = 1
    interleaved: bool = False

    def __post_init__(self) -> None:
        for name in ("fast_axis", "slow_axis", "n_outputs"):
            object.__setattr__(self, name, int(getattr(self, name)))  # may be numpy integers
        if {abs(self.fast_axis), abs(self.slow_axis)} != {1, 2}:
            msg = (
                "fast_axis and slow_axis must be one of +-1 (x) and one of +-2 (y), "
                f"not {self.fast_axis} and {self.slow_axis}"
            )
            raise ValueError(msg)
        if self.n_outputs < 1:
            msg = f"n_outputs must be positive, not {self.n_outputs}"
            raise ValueError(msg)

    def to_detector(self, image: NDArray) -> NDArray:
        """View images of the science frame in the detector frame.

        Parameters
        ----------
        image : ndarray, shape (..., ny, nx)
            Images in the science frame, any dtype and unit.

        Returns
        -------
        ndarray, shape (..., n_slow, n_fast)
            A view of the same memory.
        """
        flipped = image[..., :: self._step(2), :: self._step(1)]
        return flipped.swapaxes(-1, -2) if abs(self.fast_axis) == 2 else flipped

    def to_detector_copy(self, image: NDArray) -> NDArray:
        """Copy an image of the science frame into the detector frame.

        Parameters
        ----------
        image : ndarray, shape (ny, nx)
            Image in the science frame, any dtype and unit.

        Returns
        -------
        ndarray, shape (n_slow, n_fast)
            C-contiguous, of native byte order.
        """
        dtype = image.dtype.newbyteorder("=")
        detector = np.empty(self.to_detector(image).shape, dtype=dtype)
        out = self.to_science(detector)
        for start in range(0, len(image), STRIP_ROWS):
            out[start : start + STRIP_ROWS] = image[start : start + STRIP_ROWS]
        return detector

    def to_science(self, image: NDArray) -> NDArray:
        """View images of the detector frame in the science frame.

        Parameters
        ----------
        image : ndarray, shape (..., n_slow, n_fast)
            Images in the detector frame, any dtype and unit.

        Returns
        -------
        ndarray, shape (..., ny, nx)
            A view of the same memory.
        """
        upright = image.swapaxes(-1, -2) if abs(self.fast_axis) == 2 else image
        return upright[..., :: self._step(2), :: self._step(1)]

    def _step(self, axis: int) -> int:
        signed = self.fast_axis if abs(self.fast_axis) == axis else self.slow_axis
        return 1 if signed > 0 else -1

    def output_slices(self, n_fast: int) -> list[slice]:
        """Fast-axis columns of each output, in the detector frame.

        Parameters
        ----------
        n_fast : int
            Size of the fast axis in pixels.

        Returns
        -------
        list of slice
            One slice per output.

        Raises
        ------
        ValueError
            If the fast axis cannot be divided equally between the outputs.
        """
        if n_fast % self.n_outputs:
            msg = f"{n_fast} columns cannot be shared by {self.n_outputs} outputs"
            raise ValueError(msg)
        width = n_fast // self.n_outputs
        return [slice(k * width, (k + 1) * width) for k in range(self.n_outputs)]


def count_outputs(*, instrument: str, n_slow: int, n_fast: int, declared: int | None) -> int:
    """Number of outputs that share the fast axis.

    Parameters
    ----------
    instrument : str
        ``meta.instrument.name``.
    n_slow, n_fast : int
        Size of the slow and of the fast axis in pixels.
    declared : int or None
        ``meta.exposure.noutputs``; None if the keyword is missing.

    Returns
    -------
    int
        1 or more. It is 1 for MIRI, whose outputs are interleaved columns and not slices.

    Notes
    -----
    If the keyword is missing, the number follows from the size. All outputs read full frames
    and, by default, the sub-arrays of NIRCam that are as wide as the detector (grism time
    series and DHS stripes). Other sub-arrays are read by one output.
    """
    if instrument.upper() == "MIRI":
        return 1
    if declared == IRS2_OUTPUTS:
        declared = H2RG_OUTPUTS
    if declared and declared > 0 and n_fast % declared == 0:
        return int(declared)
    wide = n_fast == FULL_FRAME[0]
    return (
        H2RG_OUTPUTS if wide and (n_slow == FULL_FRAME[0] or instrument.upper() == "NIRCAM") else 1
    )
