"""Numbers that were chosen say what they are, and change what they are said to change."""

from dataclasses import fields, replace

import numpy as np
import pytest

from conftest import exposure_of
from deflicker import CleanOptions, clean_exposure
from deflicker.noise.nsclean import NscleanTuning
from deflicker.noise.wiener import WienerTuning
from deflicker.series import SeriesTuning
from deflicker.simulation import EXPOSURES, SERIES, simulate
from deflicker.stats import ShrinkageTuning
from deflicker.utils.tunable import table_of_tunables, tunables

KINDS = (WienerTuning, NscleanTuning, SeriesTuning, ShrinkageTuning)


@pytest.mark.parametrize("kind", KINDS)
def test_each_number_has_a_meaning_and_a_range(kind):
    listed = tunables(kind())
    assert [one.name for one in listed] == [one.name for one in fields(kind)]
    for one in listed:
        assert one.low <= one.default <= one.high
        assert len(one.meaning.split()) > 4
    table = table_of_tunables(kind())
    assert all(f"``{one.name}``" in table for one in listed)


# A change by which each method must find other noise.
CHANGES = {
    "wiener": (WienerTuning(source_sigma=0.7), "nircam", {"fit_method": "wiener"}),
    "median": (ShrinkageTuning(error_weight=8.0), "nircam", {}),
    "fft": (NscleanTuning(most_low=4), "nirspec-allslits", {"fit_method": "fft"}),
    "median_image": (
        SeriesTuning(light_sigma=0.5), "bots", {"background_method": "median_image"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_other_numbers_reach_the_method(name):
    """And those of another method do nothing."""
    tuning, case, options = CHANGES[name]
    scenario = replace({**EXPOSURES, **SERIES}[case], shape=(64, 256), n_stars=10)
    if case == "bots":
        scenario = replace(scenario, n_integrations=5, shape=(32, 256))
    truth = simulate(scenario, seed=5)

    def clean(**others):
        return clean_exposure(exposure_of(truth), CleanOptions(**options), **others).data

    chosen = clean()
    assert not np.array_equal(clean(tuning=tuning), chosen, equal_nan=True)
    assert np.array_equal(clean(tuning=type(tuning)()), chosen, equal_nan=True)
    other = next(one() for one in KINDS if not isinstance(tuning, one))
    assert np.array_equal(clean(tuning=other), chosen, equal_nan=True)
