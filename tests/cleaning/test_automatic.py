"""The method that fit_method='auto' stands for."""

import pytest

from deflicker import CleanOptions
from deflicker.cleaning.automatic import choose_method

AUTO = CleanOptions(fit_method="auto")


@pytest.mark.parametrize(
    ("instrument", "background", "expected"),
    [
        ("NIRCAM", "median", "wiener"),
        ("niriss", "model", "wiener"),
        ("NIRSPEC", None, "wiener"),
        (None, "median", "wiener"),
        ("MIRI", "median", "median"),
        ("NIRCAM", "median_image", "median"),
    ],
)
def test_choice(instrument, background, expected, caplog):
    caplog.set_level("INFO")
    options = CleanOptions(fit_method="auto", background_method=background, n_sigma=3.0)
    chosen = choose_method(options, instrument)
    assert chosen.fit_method == expected
    assert chosen.n_sigma == 3.0
    assert len(caplog.records) == 1
    assert repr(expected) in caplog.text


@pytest.mark.parametrize("method", ["median", "fft", "wiener"])
def test_a_method_that_is_named_stays(method, caplog):
    options = CleanOptions(fit_method=method)
    assert choose_method(options, "MIRI") is options
    assert not caplog.records
