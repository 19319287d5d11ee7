"""Draft rates of the integrations of an exposure, and scene masks made from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.measured import is_measured
from deflicker.options import CleanOptions
from deflicker.ramps.exposure import Exposure
from deflicker.ramps.rates import DraftRate, combine_rates, draft_rate
from deflicker.scene.known_light import KnownLight
from deflicker.scene.mask import scene_mask
from deflicker.stats.constants import MAD_TO_SIGMA

__all__ = ["MaskMaker", "integration_rate", "masks_of_exposure"]

# Error of known light up to which a pixel counts as background, relative to the scatter.
MOST_ERROR = 0.5


@dataclass(frozen=True, kw_only=True)
class MaskMaker:
    """Makes scene masks from rate images.

    Parameters
    ----------
    exposure : Exposure
        Exposure, whose read-out gives the direction of the stripes.
    options : CleanOptions
        Clipping levels.
    flat : ndarray of float32, shape (ny, nx), optional
        Flat field by which rates are divided before masking.
    science : ndarray of bool, shape (ny, nx), optional
        True where science regions are to be masked.
    known : KnownLight, optional
        Light that is subtracted from rates before masking.
    """

    exposure: Exposure
    options: CleanOptions
    flat: NDArray[np.float32] | None = None
    science: NDArray[np.bool_] | None = None
    known: KnownLight | None = None

    def mask(self, rate: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Scene mask of a rate image.

        Parameters
        ----------
        rate : ndarray of float32, shape (ny, nx)
            Rate in DN/s; NaN where there is none.

        Returns
        -------
        ndarray of bool, shape (ny, nx)
            True where the pixel may be used.
        """
        if self.known is not None:
            rate = rate - self.known.light
        mask = scene_mask(
            rate if self.flat is None else rate / self.flat,
            n_sigma=self.options.n_sigma,
            fit_histogram=self.options.fit_histogram,
            science=self.science,
            readout=self.exposure.readout,
        )
        if self.known is not None and mask.any():
            # Where the light is not known well enough, it is masked as without it.
            scatter = MAD_TO_SIGMA * np.median(np.abs(rate[mask] - np.median(rate[mask])))
            mask &= self.known.error < MOST_ERROR * scatter
        return mask


def masks_of_exposure(maker: MaskMaker) -> NDArray[np.bool_]:
    """Scene mask of the combined rate, or one for each integration.

    Parameters
    ----------
    maker : MaskMaker
        Exposure and options; ``single_mask`` selects one of the two.

    Returns
    -------
    ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx)
        True where the pixel may be used.
    """
    exposure, options = maker.exposure, maker.options
    rates = (
        integration_rate(exposure, i, n_threads=options.n_threads)
        for i in range(exposure.n_integrations)
    )
    if options.single_mask:
        return maker.mask(combine_rates(rates))
    masks = np.empty((exposure.n_integrations, *exposure.image_shape), dtype=bool)
    for mask, item in zip(masks, rates, strict=True):
        mask[:] = maker.mask(item.rate)
    return masks


def integration_rate(exposure: Exposure, integration: int, *, n_threads: int = 1) -> DraftRate:
    """Draft rate of one integration.

    Parameters
    ----------
    exposure : Exposure
        The exposure.
    integration : int
        Index of the integration.
    n_threads : int, optional
        Threads that share the rows.

    Returns
    -------
    DraftRate
        Rate in DN/s; NaN where PIXELDQ excludes the pixel, no difference is valid, or the slope
        is beyond the range of a detector.
    """
    if exposure.group_dq is None:
        image = exposure.data[integration][0].astype(np.float32)
        drafted = DraftRate(image, is_measured(image).astype(np.uint16))
    else:
        drafted = draft_rate(
            exposure.data[integration],
            exposure.group_dq[integration],
            times=exposure.times,
            n_threads=n_threads,
        )
    bad = ~exposure.good_pixels(integration)
    bad |= ~is_measured(drafted.rate)
    drafted.rate[bad] = np.nan
    drafted.n_differences[bad] = 0
    return drafted
