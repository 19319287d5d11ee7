"""Beside the real JWST pipeline; skipped where it is not installed."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from deflicker.simulation.exposures import EXPOSURES
from deflicker.simulation.quality import measure_quality
from support.runs import cleaners, environment, run_step, write_case

pytest.importorskip("jwst", reason="the jwst package is not installed")

STRUN = Path(sys.executable).with_name("strun")
# jwst knows outputs by the full frame alone.
CASES = {
    "nircam": replace(EXPOSURES["nircam"], n_groups=3),
    "niriss": replace(EXPOSURES["niriss"], n_groups=3),
    "miri": replace(EXPOSURES["miri"], n_groups=4),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("jwst")


@pytest.fixture(scope="module")
def env(folder):
    return environment(folder)


@pytest.mark.parametrize("by_channel", [False, True])
@pytest.mark.parametrize("name", list(CASES))
def test_no_more_noise_is_left(folder, env, name, by_channel):
    source = folder / "x_ramp.fits"
    truth = write_case(CASES[name], source, seed=11)
    parameters = ["--fit_method=median", "--save_mask=true", f"--fit_by_channel={by_channel}"]
    found, masks = [], []
    for cleaner in cleaners(None):
        run_step(cleaner, source, folder / "x_cleaned.fits", parameters, env)
        found.append(measure_quality(truth, fits.getdata(folder / "x_cleaned.fits", "SCI")))
        masks.append(fits.getdata(folder / "x_mask.fits", "SCI") > 0)
    ours, theirs = found
    assert ours.removed_differences >= theirs.removed_differences
    assert ours.removed_rate >= theirs.removed_rate
    assert ours.new_nan == 0
    assert np.mean(masks[0] == masks[1]) > 0.97  # the same polarity, and mostly the same pixels


def test_aliases_with_two_owners(ramp_file, env):
    words = [str(ramp_file), "--skip=false"]

    def strun(alias):
        command = [str(STRUN), alias, *words]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    both = strun("clean_flicker_noise")
    assert both.returncode != 0
    assert "deflicker::clean_flicker_noise" in both.stdout + both.stderr
    for alias in ("deflicker", "deflicker::clean_flicker_noise"):
        done = strun(alias)
        assert done.returncode == 0, done.stderr
        assert "deflicker.cleaning.clean" in done.stdout + done.stderr
        made = ramp_file.with_name("jw00001_nrca1_clean_flicker_noise.fits")
        assert fits.getheader(made)["S_CLNFNS"] == "COMPLETE"
        made.unlink()


def test_hook_in_the_slot_of_the_pipelines_own_step(ramp_file, env):
    """The real Detector1, with all other steps skipped."""
    code = """
import sys
from jwst.pipeline import Detector1Pipeline
from deflicker import CleanFlickerNoiseStep
steps = {name: {"skip": True} for name in Detector1Pipeline.step_defs}
steps["clean_flicker_noise"]["post_hooks"] = [CleanFlickerNoiseStep]
result = Detector1Pipeline.call(sys.argv[1], steps=steps)
result.save("result.fits")
"""
    subprocess.run(
        [sys.executable, "-c", code, str(ramp_file)], env={**os.environ, **env}, check=True
    )
    header = fits.getheader("result.fits")
    assert header["S_CLNFNS"] == "COMPLETE"
    assert "deflicker" in "".join(header["HISTORY"])
