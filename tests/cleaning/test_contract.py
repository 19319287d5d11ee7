"""What every noise method promises with every background, whatever it finds."""

import importlib.util
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import exposure_of
from deflicker import CleanOptions, Readout, clean_exposure
from deflicker.cleaning.backgrounds import BACKGROUNDS
from deflicker.noise.registry import AUTO, METHODS
from deflicker.parameters import PARAMETERS
from deflicker.simulation.exposures import EXPOSURES, simulate
from deflicker.simulation.quality import measure_quality

CASES = list(itertools.product(METHODS, BACKGROUNDS))
AXES = [
    (fast, slow)
    for one, other in ((1, 2), (2, 1))
    for fast, slow in itertools.product((one, -one), (other, -other))
]
each_case = pytest.mark.parametrize(("method", "background"), CASES)


@pytest.fixture(scope="module")
def truth():
    """Three integrations of a slitless time series without its spectrum."""
    scenario = replace(
        EXPOSURES["nircam-stripe"],
        shape=(64, 256),
        n_groups=4,
        n_integrations=3,
        n_stars=20,
        traces=0,
        fast_axis=1,
        slow_axis=2,
    )
    return simulate(scenario, seed=11)


def options_of(method, background, **others):
    return CleanOptions(fit_method=method, background_method=background, **others)


def test_the_table_of_parameters_knows_what_the_registries_hold():
    assert PARAMETERS["fit_method"].choices == (AUTO, *METHODS)
    assert PARAMETERS["background_method"].choices == tuple(BACKGROUNDS)


@each_case
def test_noise_is_removed_and_nothing_else_changes(truth, method, background):
    data = truth.data.copy()
    data[1, :, 20, 30] = np.nan
    data[0, 2, 40, 50] = np.nan
    arrays = data, truth.group_dq.copy(), truth.pixel_dq.copy()
    exposure = exposure_of(truth, data=data, group_dq=arrays[1], pixel_dq=arrays[2])
    before = [array.copy() for array in arrays]
    options = options_of(method, background, save_noise=True)
    result = clean_exposure(exposure, options)
    for array, old in zip(arrays, before, strict=True):
        assert np.array_equal(array, old, equal_nan=array.dtype.kind == "f")
    assert np.array_equal(np.isnan(result.data), np.isnan(data))
    assert np.isfinite(result.noise).all()
    np.testing.assert_allclose(result.data, data + result.noise, rtol=1e-6, atol=1e-3)
    quality = measure_quality(truth, np.where(np.isnan(result.data), truth.data, result.data))
    assert quality.removed_differences > 25
    assert not result.dropped


@each_case
def test_bits_depend_on_nothing_but_the_input(truth, method, background):
    """Not on the number of threads, on the place of the result or on the order of bytes."""
    expected = clean_exposure(exposure_of(truth), options_of(method, background)).data
    for n_threads in (2, 5):
        exposure = exposure_of(truth)
        options = options_of(method, background, n_threads=n_threads)
        found = clean_exposure(exposure, options, out=exposure.data).data
        assert np.shares_memory(found, exposure.data)
        assert np.array_equal(found, expected, equal_nan=True)
    swapped = exposure_of(truth, data=truth.data.astype(">f4"))
    found = clean_exposure(swapped, options_of(method, background)).data
    assert found.dtype == np.dtype(">f4")
    assert np.array_equal(found, expected, equal_nan=True)


@pytest.mark.parametrize(("fast", "slow"), AXES)
@each_case
def test_noise_follows_the_axes(truth, method, background, fast, slow):
    """An exposure that is turned is cleaned as it was; boxes of a background are not turned."""
    options = options_of(method, background)
    expected = clean_exposure(exposure_of(truth), options).data
    axes = Readout(fast_axis=fast, slow_axis=slow, n_outputs=truth.scenario.n_outputs)
    turned = {
        name: np.ascontiguousarray(axes.to_science(getattr(truth, name)))
        for name in ("data", "pixel_dq", "group_dq")
    }
    readout = replace(truth.scenario.readout, fast_axis=fast, slow_axis=slow)
    found = clean_exposure(exposure_of(truth, **turned, readout=readout), options).data
    found = axes.to_detector(found)
    if background == "model" and METHODS[method].needs_background:
        assert measure_quality(truth, found).removed_differences > 25
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-3)


def test_the_example_of_the_documentation_is_a_method(truth, monkeypatch):
    """It cleans under a name of its own, and as well as means of rows can."""
    path = Path(__file__).parents[2] / "docs" / "example_method.py"
    spec = importlib.util.spec_from_file_location("example_method", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    known = PARAMETERS["fit_method"]
    table = {**PARAMETERS, "fit_method": replace(known, choices=(*known.choices, "mean"))}
    monkeypatch.setattr("deflicker.options.PARAMETERS", table)
    methods = {**METHODS, "mean": example.MEAN}
    monkeypatch.setattr("deflicker.cleaning.clean.METHODS", methods)
    monkeypatch.setattr("deflicker.cleaning.backgrounds.METHODS", methods)
    monkeypatch.setattr("deflicker.noise.registry.METHODS", methods)
    for background in BACKGROUNDS:
        result = clean_exposure(exposure_of(truth), options_of("mean", background))
        assert measure_quality(truth, result.data).removed_differences > 25
