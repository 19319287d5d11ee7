"""Input and output of a cleaning: an exposure as arrays, and where to write the result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.dq import DO_NOT_USE, JUMP_DET, REFERENCE_PIXEL, SATURATED
from deflicker.detector.readout import STRIP_ROWS, Readout

__all__ = ["Exposure", "Output", "Ramps"]

PIXEL_FORBIDS = np.uint32(DO_NOT_USE | REFERENCE_PIXEL)
EARLIER_GROUP_FORBIDS = np.uint8(DO_NOT_USE | SATURATED)
JUMPS = np.uint8(JUMP_DET)
LATER_GROUP_FORBIDS = np.uint8(DO_NOT_USE | SATURATED | JUMP_DET)


class Ramps(Protocol):
    """Array of ramps: a numpy array, or any object that returns one integration at a time."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (n_integrations, n_groups, ny, nx)."""

    @property
    def ndim(self) -> int:
        """Number of axes, 4."""

    @property
    def dtype(self) -> np.dtype:
        """Data type, of any byte order."""

    def __getitem__(self, integration: int, /) -> NDArray:
        """View of the ramps of one integration (n_groups, ny, nx)."""


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """Arrays of an exposure, with read-out and times.

    A rate image or cube is an exposure of one group per integration, whose only
    "difference" is the image itself.

    Parameters
    ----------
    data : Ramps of float, shape (n_integrations, n_groups, ny, nx)
        Ramps in DN, or rates in DN/s. An array of any byte order, or any object that returns
        the array of an integration by index.
    pixel_dq : ndarray of uint32, shape (ny, nx) or (n_integrations, ny, nx)
        Data quality of the pixels.
    group_dq : Ramps of uint8, shape of ``data``, or None
        Data quality of the groups; None for rates.
    readout : Readout
        Axes and outputs of the detector.
    group_time : float, optional
        Time between two groups in seconds; not used for rates.
    group_times : ndarray of float64, shape (n_groups,), optional
        Time of each group in seconds, ascending, with any zero point, if groups are not evenly
        spaced. By default they are `group_time` apart. Not used for rates.
    has_stars : bool, optional
        Whether there may be stars anywhere, as in images and slitless spectra; False if all
        light is in a few spectra.
    whole_groups : bool, optional
        Whether the groups of ramps are cleaned one by one, like rates, instead of their
        differences. A "difference" is then a group.

    Raises
    ------
    ValueError
        If the shapes of the arrays do not agree, or the times are not ascending.
    """

    data: Ramps
    pixel_dq: NDArray
    group_dq: Ramps | None
    readout: Readout
    group_time: float = 1.0
    group_times: NDArray[np.float64] | None = None
    has_stars: bool = True
    whole_groups: bool = False

    def __post_init__(self) -> None:
        if self.data.ndim != 4:
            msg = f"data must be (integrations, groups, rows, columns), not {self.data.shape}"
            raise ValueError(msg)
        shape, image = self.data.shape, self.data.shape[-2:]
        if self.pixel_dq.shape not in (image, (shape[0], *image)):
            msg = f"pixel_dq of shape {self.pixel_dq.shape} does not fit data of shape {shape}"
            raise ValueError(msg)
        if self.group_dq is not None and self.group_dq.shape != shape:
            msg = f"group_dq of shape {self.group_dq.shape} does not fit data of shape {shape}"
            raise ValueError(msg)
        times = self.group_times
        if times is not None:
            if times.shape != shape[1:2]:
                msg = f"group_times of shape {times.shape} do not fit {shape[1]} groups"
                raise ValueError(msg)
            if not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
                msg = f"group_times must be finite and ascend, not {times}"
                raise ValueError(msg)

    @property
    def times(self) -> NDArray[np.float64]:
        """Time of each group in seconds, shape (n_groups,)."""
        if self.group_times is not None:
            return self.group_times
        return np.arange(self.data.shape[1], dtype=np.float64) * self.group_time

    @property
    def steps(self) -> NDArray[np.float64]:
        """Durations of the differences relative to their mean, shape (n_differences,).

        All are 1 if groups are evenly spaced, for rates, and if groups are cleaned one by one.
        """
        if self.group_times is None or not self.first_cleaned:
            return np.ones(self.n_differences)
        times = self.group_times
        return np.diff(times) * (self.n_differences / (times[-1] - times[0]))

    @property
    def seconds(self) -> float:
        """Mean duration of a difference in seconds; 1 for rates, whose unit is DN/s."""
        if self.group_dq is None:
            return 1.0
        times = self.times
        return float(times[-1] - times[0]) / max(len(times) - 1, 1)

    @property
    def image_shape(self) -> tuple[int, int]:
        """(ny, nx) of one image."""
        ny, nx = self.data.shape[-2:]
        return ny, nx

    @property
    def n_integrations(self) -> int:
        """Number of integrations."""
        return self.data.shape[0]

    @property
    def n_differences(self) -> int:
        """Number of differences of an integration; 1 for rates; n_groups for whole groups."""
        return self.data.shape[1] - self.first_cleaned

    @property
    def first_cleaned(self) -> int:
        """Index of the first group from which noise is removed."""
        return 0 if self.group_dq is None or self.whole_groups else 1

    def good_pixels(self, integration: int, rows: slice = slice(None)) -> NDArray[np.bool_]:
        """Pixels that PIXELDQ does not exclude.

        Parameters
        ----------
        integration : int
            Index of the integration.
        rows : slice, optional
            Rows of the science frame; all by default.

        Returns
        -------
        ndarray of bool, shape (ny, nx)
            False for DO_NOT_USE and REFERENCE_PIXEL.
        """
        dq = (self.pixel_dq[integration] if self.pixel_dq.ndim == 3 else self.pixel_dq)[rows]
        good = np.empty(dq.shape, dtype=bool)
        for start in range(0, len(dq), STRIP_ROWS):
            part = slice(start, start + STRIP_ROWS)
            np.equal(dq[part] & PIXEL_FORBIDS, 0, out=good[part])
        return good

    def difference(
        self, integration: int, j: int, *, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Difference of two groups in the detector frame; the image itself for rates.

        Parameters
        ----------
        integration, j : int
            Indices of the integration and of the difference.
        out : ndarray of float32, shape (n_slow, n_fast), optional
            Array to which it is written; a new array by default.

        Returns
        -------
        ndarray of float32, shape (n_slow, n_fast)
            C-contiguous, in the unit of the data.
        """
        groups = self.data[integration]
        later, earlier = groups[j + self.first_cleaned], groups[j] if self.first_cleaned else None
        rotated = self.readout.to_detector(later)
        difference = np.empty(rotated.shape, dtype=np.float32) if out is None else out
        upright = self.readout.to_science(difference)
        with np.errstate(invalid="ignore", over="ignore"):
            for start in range(0, len(later), STRIP_ROWS):
                rows = slice(start, start + STRIP_ROWS)
                if earlier is None:
                    upright[rows] = later[rows]
                else:
                    upright[rows] = np.subtract(later[rows], earlier[rows], dtype=np.float32)
        return difference

    def good_differences(self, integration: int, j: int) -> NDArray[np.bool_] | None:
        """Pixels whose two groups may make a difference, in the detector frame.

        Parameters
        ----------
        integration, j : int
            Indices of the integration and of the difference.

        Returns
        -------
        ndarray of bool, shape (n_slow, n_fast), or None
            False where either group is DO_NOT_USE or SATURATED, or the later one is JUMP_DET. If
            groups are cleaned one by one: False where the group is DO_NOT_USE or SATURATED, or
            where it or any earlier group is JUMP_DET. None for rates, which have no flags.
        """
        if self.group_dq is None:
            return None
        flags_of = self.group_dq[integration]
        later = flags_of[j + self.first_cleaned]
        good = np.empty(self.readout.to_detector(later).shape, dtype=bool)
        upright = self.readout.to_science(good)
        for start in range(0, len(later), STRIP_ROWS):
            rows = slice(start, start + STRIP_ROWS)
            flags = later[rows] & LATER_GROUP_FORBIDS
            if self.first_cleaned:
                flags |= flags_of[j, rows] & EARLIER_GROUP_FORBIDS
            else:
                for earlier in flags_of[:j, rows]:
                    flags |= earlier & JUMPS
            upright[rows] = flags == 0  # transposing a copy is faster than a ufunc with strides
        return good


def _float32_zeros(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.zeros(shape, dtype=np.float32)


def _nothing() -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Output:
    """Destination of the result of a cleaning, and callback for its progress.

    Parameters
    ----------
    make_data : callable, optional
        Returns the array, of the shape of the exposure, to which the cleaned data are written;
        it may be that of the exposure. Called only if there is something to clean.
    make_zeros : callable, optional
        Makes a float32 array of zeros of a given shape, for products that are to be saved.
    advance : callable, optional
        Called without arguments after each difference.
    """

    make_data: Callable[[], Ramps] | None = None
    make_zeros: Callable[[tuple[int, ...]], Ramps] = _float32_zeros
    advance: Callable[[], object] = _nothing
