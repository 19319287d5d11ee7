"""All that this package needs of photutils."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["filled_and_filtered"]


def filled_and_filtered(
    mesh: NDArray[np.float32], good: NDArray[np.bool_], *, n_boxes: int
) -> NDArray[np.float32]:
    """Fill the boxes of a background that are not good, and filter all of them.

    Parameters
    ----------
    mesh : ndarray of float32, shape (n_y, n_x)
        Background of each box.
    good : ndarray of bool, shape (n_y, n_x)
        True where enough pixels tell it; somewhere.
    n_boxes : int
        Side of the median filter in boxes.

    Returns
    -------
    ndarray of float, shape (n_y, n_x)
        Boxes that are not good are interpolated from those that are, by inverse distances.

    Notes
    -----
    `photutils.background.Background2D` of boxes of one pixel: what is left of its work is to
    fill the empty ones and to filter. Its estimators then get one value each, and its own clip
    has nothing to do.
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
