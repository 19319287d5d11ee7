"""Constants of the statistics of Gaussian noise, with their formulae.

The values are rounded to more digits than noise can show; `tests/stats/test_constants.py`
computes them.
"""

import math
from typing import Final

__all__ = [
    "MAD_TO_SIGMA",
    "MEDIAN_ERROR",
    "MEDIAN_OF_SQUARE",
    "MEDIAN_VARIANCE",
    "MIDDLE_QUARTER",
    "PINK_STEP",
    "VARIANCE_WITHIN_3_SIGMA",
]

# Standard deviation of a Gaussian divided by its median absolute deviation: 1 / Phi^-1(3/4).
MAD_TO_SIGMA: Final = 1.4826
# Variance of the median of many values relative to that of their mean, pi / 2, and its root.
MEDIAN_VARIANCE: Final = math.pi / 2
MEDIAN_ERROR: Final = 1.2533
# Median of the square of a value divided by its variance: Phi^-1(3/4)^2.
MEDIAN_OF_SQUARE: Final = 0.4549
# Width of the middle quarter of the values in standard deviations: 2 Phi^-1(5/8).
MIDDLE_QUARTER: Final = 0.6373
# Variance of the values within 3 standard deviations relative to that of all values:
# 1 - 6 phi(3) / (2 Phi(3) - 1).
VARIANCE_WITHIN_3_SIGMA: Final = 0.9733
# Pink noise of n samples: half the mean square of the step between neighbours is the variance times
# this constant divided by ln(n / 2). It is Cin(pi), the integral of (1 - cos t) / t from 0 to pi.
PINK_STEP: Final = 1.6483
