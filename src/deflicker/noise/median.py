"""Median noise: the median of each detector row."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.facts import ALL_INSTRUMENTS
from deflicker.noise.noise_image import NoiseImage
from deflicker.noise.rowwise.method import RowMethod
from deflicker.stats.row_medians import row_medians
from deflicker.stats.shrinkage import ShrinkageTuning, pixel_scatter, shrunk_levels

__all__ = ["MEDIAN", "median_noise"]


def median_noise(
    values: NDArray[np.float32],
    usable: NDArray[np.bool_],
    outputs: Sequence[slice],
    *,
    tuning: ShrinkageTuning | None = None,
) -> NoiseImage:
    """Flicker noise as one number per detector row, or per row of each output.

    Parameters
    ----------
    values : ndarray of float32, shape (n_slow, n_fast)
        Background-subtracted difference in the detector frame, in DN.
    usable : ndarray of bool, shape (n_slow, n_fast)
        True where a value may be used.
    outputs : sequence of slice
        Fast-axis slices that are fitted separately; they cover the fast axis.
    tuning : ShrinkageTuning, optional
        Tuning constants.

    Returns
    -------
    NoiseImage
        A constant for each output; 0 where a row has no usable pixel.

    Notes
    -----
    The method of the image1overf script by C. Willott, which the JWST pipeline's
    step adopted. Medians of few pixels would add more noise than they remove, and are
    therefore shrunk according to their errors (`deflicker.stats.shrinkage`); medians of many
    pixels stay unchanged.

    Examples
    --------
    >>> import numpy as np
    >>> from deflicker.noise.median import median_noise
    >>> rows = np.array([[1, 1, 9], [5, 5, 5]], dtype=np.float32)
    >>> median_noise(rows, np.ones((2, 3), bool), [slice(0, 3)]).image()
    array([[1., 1., 1.],
           [5., 5., 5.]], dtype=float32)
    """
    number = [np.count_nonzero(usable[:, output], axis=1) for output in outputs]
    medians = [
        row_medians(values[:, output], usable[:, output], number=n)
        for output, n in zip(outputs, number, strict=True)
    ]
    levels = shrunk_levels(
        np.stack(medians, axis=1),
        np.stack(number, axis=1),
        pixel_scatter(values, usable, outputs),
        tuning=tuning,
    )
    shapes = np.zeros((len(outputs), values.shape[1]), dtype=np.float32)
    for shape, output in zip(shapes, outputs, strict=True):
        shape[output] = 1
    return NoiseImage(levels, shapes)


MEDIAN: Final = RowMethod(
    name="median",
    fit=median_noise,
    instruments=ALL_INSTRUMENTS,
    detectors="all detectors",
    suits_choice=True,
    tuning=ShrinkageTuning,
)
