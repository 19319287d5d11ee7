"""The constants are what their formulae say, to the digits that they have."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from deflicker.stats import constants

three_quarters = norm.ppf(0.75)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAD_TO_SIGMA", 1 / three_quarters),
        ("MEDIAN_VARIANCE", np.pi / 2),
        ("MEDIAN_ERROR", np.sqrt(np.pi / 2)),
        ("MEDIAN_OF_SQUARE", three_quarters**2),
        ("MIDDLE_QUARTER", 2 * norm.ppf(5 / 8)),
        ("VARIANCE_WITHIN_3_SIGMA", 1 - 6 * norm.pdf(3) / (2 * norm.cdf(3) - 1)),
        ("PINK_STEP", quad(lambda t: (1 - np.cos(t)) / t, 0, np.pi)[0]),
    ],
)
def test_constants(name, value):
    assert getattr(constants, name) == pytest.approx(value, abs=6e-5)
    assert name in constants.__all__


def test_all_of_them_are_tested():
    marks = test_constants.pytestmark[0].args[1]
    assert {name for name, _ in marks} == set(constants.__all__)
