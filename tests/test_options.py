import math

import pytest

from deflicker import CleanOptions


def test_defaults_are_the_pipelines():
    options = CleanOptions()
    assert (options.fit_method, options.background_method, options.n_sigma) == (
        "median",
        "median",
        2.0,
    )
    assert options.single_mask


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fit_method", "mean"),
        ("background_method", "mean"),
        ("n_sigma", -1.0),
        ("n_sigma", math.nan),
        ("n_sigma", math.inf),
        ("n_threads", 0),
        ("background_box_size", (0, 8)),
        ("background_box_size", (8, -1)),
        ("background_box_size", (8,)),
    ],
)
def test_wrong_values_name_parameter_value_and_what_is_allowed(name, value):
    with pytest.raises(ValueError, match=rf"{name} must be .+, not ") as error:
        CleanOptions(**{name: value})
    assert str(value) in str(error.value)
