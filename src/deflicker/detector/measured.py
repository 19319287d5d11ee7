"""Which numbers a detector can have measured."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST_VALUE", "SMALLEST_DIFFERENCE", "is_measured"]

# A pixel holds some 1e5 electrons and is read with some 10 electrons of noise, in DN of up to
# 10 electrons, or in DN/s. The limits leave four powers of ten beyond that, and sums of squares
# of full frames fit into float32.
LARGEST_VALUE: Final = 1e9
SMALLEST_DIFFERENCE: Final = 1e-9


def is_measured(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell which values a detector can have measured.

    Parameters
    ----------
    values : ndarray of float, any shape
        In DN, or in DN/s.

    Returns
    -------
    ndarray of bool, shape of ``values``
        False for NaN, infinities and numbers beyond ``LARGEST_VALUE``, which come from
        overflows and damaged files.

    Examples
    --------
    >>> import numpy as np
    >>> from deflicker.detector.measured import is_measured
    >>> is_measured(np.array([-3.0, 1e30, np.nan, np.inf]))
    array([ True, False, False, False])
    """
    return np.abs(values) <= LARGEST_VALUE
