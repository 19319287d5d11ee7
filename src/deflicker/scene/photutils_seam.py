"""The only use of photutils in this package."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["filled_and_filtered"]


def filled_and_filtered(
    mesh: NDArray[np.float32], good: NDArray[np.bool_], *, n_boxes: int
) -> NDArray[np.float32]:
    """Fill the bad boxes of a background, and apply a median filter to all boxes.

    Parameters
    ----------
    mesh : ndarray of float32, shape (n_y, n_x)
        Background of each box.
    good : ndarray of bool, shape (n_y, n_x)
        True where enough pixels determine the background; at least one box.
    n_boxes : int
        Side of the median filter in boxes.

    Returns
    -------
    ndarray of float, shape (n_y, n_x)
        Filtered boxes; bad ones are interpolated from good ones by inverse distances.

    Notes
    -----
    Uses `photutils.background.Background2D` with boxes of one pixel, so that it only fills and
    filters: its estimators get a single value each, and its clipping is turned off.
    """
    from photutils.background import Background2D

    return Background2D(
        mesh,
        box_size=1,
        filter_size=n_boxes,
        mask=~good,
        sigma_clip=None,
        bkg_estimator=np.sum,
        bkg_rms_estimator=np.sum,
    ).background_mesh
