"""Result of fitting the noise of a difference."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deflicker.noise.noise_image import NoiseImage
from deflicker.scene.background import BoxBackground

__all__ = ["DifferenceFit"]


@dataclass(frozen=True, kw_only=True)
class DifferenceFit:
    """Noise of one difference and what it was measured from.

    Parameters
    ----------
    noise : NoiseImage
        Noise in the detector frame, finite everywhere.
    background : BoxBackground, ndarray or float, optional
        Background; boxes are in the science frame, an array (n_slow, n_fast) of float32 is in
        the detector frame.
    n_used : int, optional
        Number of pixels from which the noise was measured.
    model_failed : bool, optional
        Whether the ``model`` background failed and the median was used instead.
    converged : bool, optional
        Whether equations that are solved iteratively reached their tolerance.
    dropped : bool, optional
        Whether noise was found but dropped, because subtracting it would have done harm.
    """

    noise: NoiseImage
    background: BoxBackground | NDArray[np.float32] | float = 0.0
    n_used: int = 0
    model_failed: bool = False
    converged: bool = True
    dropped: bool = False
