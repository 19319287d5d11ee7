"""Share of noise in a power that may contain light."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtri

__all__ = ["noise_share"]

Values = NDArray[np.float64]


def noise_share(
    found: NDArray,
    expected: NDArray,
    *,
    freedom: NDArray,
    measured: NDArray,
    probability: NDArray | float,
) -> Values:
    """Expected relative to found power where that is significantly less, and 1 elsewhere.

    Parameters
    ----------
    found, expected : ndarray of float64
        Sums of squares of Gaussian noise and light, and of noise alone as it was measured.
    freedom, measured : ndarray of float64
        Degrees of freedom of the two; positive.
    probability : ndarray of float64 or float
        Probability that the noise alone is weaker than the limit (F distribution).

    Returns
    -------
    ndarray of float64
        The Wiener filter for noise of the expected power beside light of the rest.

    Examples
    --------
    >>> import numpy as np
    >>> from deflicker.stats.power_share import noise_share
    >>> many = np.full(2, 1000.0)
    >>> noise_share(
    ...     np.array([1.01, 4.0]), np.ones(2), freedom=many, measured=many, probability=0.999
    ... )
    array([1.  , 0.25])
    """
    limit = fdtri(freedom, measured, probability)
    share = np.ones(np.shape(found))
    return np.divide(expected, found, out=share, where=found > limit * expected)
