"""Range of the values that a detector can measure."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST_VALUE", "SMALLEST_DIFFERENCE", "is_measured"]

# The full well is about 1e5 electrons and the read noise about 10 electrons; the unit is a DN of up
# to 10 electrons, or DN/s. The limits leave a margin of four powers of ten, and sums of squares of
# full frames still fit into float32.
LARGEST_VALUE: Final = 1e9
SMALLEST_DIFFERENCE: Final = 1e-9


def is_measured(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Find the values that are within the range of a detector.

    Parameters
    ----------
    values : ndarray of float, any shape
        Values in DN, or in DN/s.

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
