"""Integrations whose differences are fitted one by one."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deflicker.noise.fit import DifferenceFit
from deflicker.noise.method import Integration
from deflicker.noise.rowwise.difference import RowModel, fit_difference_in_place
from deflicker.options import CleanOptions
from deflicker.ramps.exposure import Exposure
from deflicker.ramps.masks import mask_of_integration
from deflicker.ramps.outputs import fitted_outputs

__all__ = ["fitted_one_by_one"]


@dataclass(frozen=True, kw_only=True)
class _Integration:
    """An integration whose differences are fitted independently of each other."""

    exposure: Exposure
    number: int
    options: CleanOptions
    method: RowModel
    usable: NDArray[np.bool_]
    flat: NDArray[np.float32] | None
    known: NDArray[np.float32] | None

    def fit(self, j: int, buffer: NDArray[np.float32]) -> DifferenceFit:
        """Fit one difference."""
        usable = self.exposure.good_differences(self.number, j)
        if usable is None:
            usable = self.usable.copy()
        else:
            usable &= self.usable

        step = np.float32(self.exposure.steps[j])

        def difference() -> NDArray[np.float32]:
            self.exposure.difference(self.number, j, out=buffer)
            if self.known is not None:
                with np.errstate(invalid="ignore"):  # NaNs of a damaged file may be signalling
                    np.subtract(buffer, self.known * step, out=buffer)
            return buffer if self.flat is None else np.divide(buffer, self.flat, out=buffer)

        return fit_difference_in_place(
            difference,
            usable,
            self.options,
            method=self.method,
            readout=self.exposure.readout,
            outputs=fitted_outputs(self.exposure, self.options),
        )


def fitted_one_by_one(
    exposure: Exposure,
    mask: NDArray[np.bool_],
    *,
    options: CleanOptions,
    method: RowModel,
    flat: NDArray[np.float32] | None,
    known: NDArray[np.float32] | None = None,
) -> Iterator[Integration]:
    """Yield the integrations of an exposure, whose differences are fitted independently.

    Parameters
    ----------
    exposure : Exposure
        Exposure to clean.
    mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx)
        Scene mask.
    options : CleanOptions
        Options of the cleaning.
    method : RowModel
        Method that fits the noise.
    flat : ndarray of float32, shape (n_slow, n_fast), or None
        Flat field in the detector frame.
    known : ndarray of float32, shape (n_slow, n_fast), optional
        Light of a difference of mean duration that is known, in the detector frame.

    Yields
    ------
    Integration
        The integrations in order.
    """
    for number in range(exposure.n_integrations):
        usable = mask_of_integration(mask, number) & exposure.good_pixels(number)
        yield _Integration(
            exposure=exposure,
            number=number,
            options=options,
            method=method,
            usable=exposure.readout.to_detector_copy(usable),
            flat=flat,
            known=known,
        )
