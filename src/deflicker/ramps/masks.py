"""Scene masks, either one for all integrations or one for each."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["majority_mask", "mask_of_integration"]


def mask_of_integration(mask: NDArray[np.bool_], integration: int) -> NDArray[np.bool_]:
    """Scene mask of one integration.

    Parameters
    ----------
    mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx)
        One mask for all integrations, or one for each.
    integration : int
        Index of the integration.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        A view of the mask.
    """
    return mask[integration] if mask.ndim == 3 else mask


def majority_mask(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels that may be used in most of the integrations that have usable pixels.

    Parameters
    ----------
    mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx)
        One mask for all integrations, or one for each.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        Majority of the masks; the mask itself if there is only one.
    """
    if mask.ndim == 2:
        return mask
    some = mask[mask.any(axis=(1, 2))]
    return np.count_nonzero(some, axis=0) * 2 > len(some)
