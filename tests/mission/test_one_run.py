"""A step keeps nothing of a run: it is used again, and by two threads at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stdatamodels.jwst import datamodels

from deflicker import CleanFlickerNoiseStep, CleanOptions, clean_exposure
from deflicker.models.exposure import exposure_from_model, model_from_simulation
from deflicker.simulation.exposures import EXPOSURES, simulate


@pytest.fixture
def two_ramps(tmp_path):
    """Files of two exposures, and what is right for each."""
    scenario = replace(EXPOSURES["nircam"], shape=(256, 256), n_stars=10)
    files, cleaned = [], []
    for seed in (5, 6):
        truth = simulate(scenario, seed=seed)
        with model_from_simulation(truth) as model:
            path = tmp_path / f"jw{seed}_nrca1_jump.fits"
            model.save(str(path))
            options = CleanOptions(fit_by_channel=True)
            cleaned.append(clean_exposure(exposure_from_model(model), options).data)
        files.append(path)
    return files, cleaned


def state_of(step):
    """All that a step is, but for the log that stpipe keeps of the last run."""
    return {name: value for name, value in vars(step).items() if name != "_log_records"}


def check(path, expected):
    with datamodels.open(path) as model:
        assert model.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert np.array_equal(model.data, expected, equal_nan=True)
        assert sum("deflicker" in str(entry) for entry in model.instance["history"]["entries"]) == 1


def test_two_files_one_after_the_other(two_ramps):
    files, cleaned = two_ramps
    outcomes = []
    step = CleanFlickerNoiseStep(
        fit_method="median", fit_by_channel=True, save_results=True, save_mask=True
    )
    step.on_outcome = outcomes.append
    before = state_of(step)
    for path in files:
        step.run(str(path)).close()
        assert state_of(step) == before
    for path, expected in zip(files, cleaned, strict=True):
        name = path.name.replace("_jump", "_clean_flicker_noise")
        check(path.parent / name, expected)
        assert (path.parent / path.name.replace("_jump", "_mask")).is_file()
    assert [one.status for one in outcomes] == ["COMPLETE", "COMPLETE"]
    assert all("fit_by_channel=True" in one.history for one in outcomes)


def test_two_threads(two_ramps):
    files, cleaned = two_ramps
    step = CleanFlickerNoiseStep(
        fit_method="median", fit_by_channel=True, save_results=True, maximum_cores="none"
    )
    before = state_of(step)
    together = threading.Barrier(2)

    def clean(path):
        together.wait()
        step.run(str(path)).close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(clean, files))
    assert state_of(step) == before
    for path, expected in zip(files, cleaned, strict=True):
        name = path.name.replace("_jump", "_clean_flicker_noise")
        check(path.parent / name, expected)


def test_outcomes_tell_why(two_ramps, tmp_path):
    outcomes = []
    step = CleanFlickerNoiseStep(user_mask=str(tmp_path / "none.fits"))
    step.on_outcome = outcomes.append
    step.run(str(two_ramps[0][0])).close()
    (outcome,) = outcomes
    assert outcome.status == "FAILED"
    assert "none.fits does not exist" in outcome.reason
    assert not outcome.history
    with pytest.raises(AttributeError):
        outcome.status = "COMPLETE"


def test_a_skip_of_a_step_that_is_run_alone_stays(two_ramps):
    """stpipe turns it off for the run; in a pipeline it still holds."""
    step = CleanFlickerNoiseStep(skip=True)
    step.run(str(two_ramps[0][0])).close()
    assert step.skip


def test_a_result_is_saved_under_the_name_of_its_input(two_ramps):
    path = Path(two_ramps[0][0])
    step = CleanFlickerNoiseStep(output_dir=str(path.parent))
    with step.run(str(path)) as result:
        saved = step.save_model(result, force=True)
    assert Path(saved).name == path.name.replace("_jump", "_clean_flicker_noise")
