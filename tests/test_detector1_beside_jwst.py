"""At home in the real pipeline: hooks, our Detector1, parameters; skipped without jwst."""

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import asdf
import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst import datamodels

from deflicker import CleanFlickerNoiseStep
from deflicker.models.exposure import model_from_simulation
from deflicker.simulation.exposures import EXPOSURES, simulate
from support.local_crds import write_cache, write_ramp_references

pytest.importorskip("jwst", reason="the jwst package is not installed")

from jwst.clean_flicker_noise import CleanFlickerNoiseStep as StockStep
from jwst.pipeline import Detector1Pipeline as StockPipeline

from deflicker.pipeline import Detector1Pipeline

STRUN = Path(sys.executable).with_name("strun")
SLOT = "clean_flicker_noise"
HOOK = "deflicker.CleanFlickerNoiseStep"
OTHERS = [name for name in StockPipeline.step_defs if name != SLOT]
SKIP_OTHERS = [f"--steps.{name}.skip=true" for name in OTHERS]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    root = tmp_path_factory.mktemp("crds")
    write_ramp_references(root, {"nircam": (128, 256)})
    made = {kind: f"jwst_nircam_{kind}_9000.fits" for kind in ("gain", "readnoise")}
    return write_cache(root, {"nircam": {**made, "flat": "N/A", "pastasoss": "N/A"}})


@pytest.fixture(autouse=True)
def _no_network(monkeypatch, cache):
    """jwst asks for the CRDS context at the end of every run."""
    for name, value in {**cache, "STPIPE_DISABLE_CRDS_STEPPARS": "true"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def simulated():
    return simulate(replace(EXPOSURES["nircam"], shape=(128, 256), n_stars=100), seed=3)


@pytest.fixture
def ramp(simulated, tmp_path):
    path = tmp_path / "jw00001_nrca1_uncal.fits"
    with model_from_simulation(simulated) as model:
        model.save(str(path))
    return path


@pytest.fixture(scope="module")
def expected(simulated):
    """What the step alone makes of the ramp."""

    def clean(**parameters):
        with (
            model_from_simulation(simulated) as model,
            CleanFlickerNoiseStep(**parameters).run(model) as cleaned,
        ):
            return np.array(cleaned.data)

    return clean


def strun(*words, check=True):
    command = [str(STRUN), *(str(word) for word in words)]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert not check or done.returncode == 0, said[-3000:]
    return said


def slot(**parameters):
    """Parameters of the pipeline: its slot, and all other steps skipped."""
    steps = {name: {"skip": True} for name in OTHERS}
    return {"steps": {**steps, SLOT: parameters}}


def assert_cleaned(model, data):
    assert model.meta.cal_step.clean_flicker_noise == "COMPLETE"
    assert np.array_equal(model.data, data, equal_nan=True)


def test_hook_by_class(ramp, expected):
    hooked = slot(skip=True, post_hooks=[CleanFlickerNoiseStep])
    with StockPipeline.call(str(ramp), **hooked) as result:
        assert_cleaned(result, expected())


def test_hook_by_instance_with_parameters(ramp, expected):
    step = CleanFlickerNoiseStep(n_sigma=2.5, fit_by_channel=True)
    with StockPipeline.call(str(ramp), **slot(skip=True, post_hooks=[step])) as result:
        assert_cleaned(result, expected(n_sigma=2.5, fit_by_channel=True))


def test_hook_on_the_command_line_and_from_a_parameter_file(ramp, expected):
    hook = f"{HOOK}(fit_by_channel=True),"  # the comma makes it a list
    words = [*SKIP_OTHERS, f"--steps.{SLOT}.post_hooks={hook}", "--save-parameters=mine.asdf"]
    strun("calwebb_detector1", ramp, *words)
    with datamodels.open("jw00001_nrca1_ramp.fits") as result:
        assert_cleaned(result, expected(fit_by_channel=True))
    with asdf.open("mine.asdf") as content:
        steps = {step["name"]: step["parameters"] for step in content["steps"]}
    assert steps[SLOT]["post_hooks"] == [f"{HOOK}(fit_by_channel=True)"]
    for made in Path().glob("*_ramp.fits"):
        made.unlink()
    strun("mine.asdf", ramp)
    with datamodels.open("jw00001_nrca1_ramp.fits") as result:
        assert_cleaned(result, expected(fit_by_channel=True))
    assert fits.getheader("jw00001_nrca1_ramp.fits")["S_CLNFNS"] == "COMPLETE"


def test_hook_after_the_stock_step_leaves_its_result(ramp, caplog):
    with (
        StockPipeline.call(str(ramp), **slot(skip=False)) as stock,
        caplog.at_level(logging.WARNING),
        StockPipeline.call(
            str(ramp), **slot(skip=False, post_hooks=[CleanFlickerNoiseStep])
        ) as both,
    ):
        assert "cleaned before" in caplog.text
        assert_cleaned(both, stock.data)


def test_our_pipeline_cleans_by_default(ramp, expected):
    with Detector1Pipeline.call(str(ramp), **slot()) as result:
        assert_cleaned(result, expected())


def test_our_pipeline_on_the_command_line(ramp, expected):
    words = [*SKIP_OTHERS, f"--steps.{SLOT}.background_method=model"]
    said = strun("deflicker_detector1", ramp, *words)
    assert "deflicker.cleaning.clean" in said
    with datamodels.open("jw00001_nrca1_ramp.fits") as result:
        assert_cleaned(result, expected(background_method="model"))


def test_rates_tell_what_was_done_to_their_ramp(ramp):
    words = [word for word in SKIP_OTHERS if "ramp_fit" not in word]
    strun("deflicker_detector1", ramp, *words, f"--steps.{SLOT}.n_sigma=2.5")
    for name in ("rate", "rateints"):
        history = "".join(fits.getheader(f"jw00001_nrca1_{name}.fits")["HISTORY"])
        assert history.count("deflicker") == 1
        assert "n_sigma=2.5" in history
        assert "rmsofthenoiseremoved" in history.replace(" ", "")


def test_a_skipped_step_tells_nothing(ramp):
    pipeline = Detector1Pipeline(**slot())
    for name in OTHERS:
        getattr(pipeline, name).skip = True
    for skip, status, times in ((False, "COMPLETE", 1), (True, "SKIPPED", 0)):
        pipeline.clean_flicker_noise.skip = skip
        with pipeline.run(str(ramp)) as result:
            assert result.meta.cal_step.clean_flicker_noise == status
            entries = result.instance.get("history", {}).get("entries", [])
            assert sum("deflicker" in str(entry) for entry in entries) == times


def test_our_pipeline_is_the_stock_one_but_for_the_slot():
    ours, stock = Detector1Pipeline(), StockPipeline()
    assert list(ours.step_defs) == list(stock.step_defs)
    for name in OTHERS:
        assert ours.step_defs[name] is stock.step_defs[name]
    assert ours.get_config_reftype() == stock.get_config_reftype() == "pars-detector1pipeline"
    ours, stock = ours.get_pars(), stock.get_pars()
    ours["steps"].pop(SLOT)
    stock["steps"].pop(SLOT)
    assert ours == stock


def test_parameters_of_the_pipeline_from_crds(ramp, tmp_path, expected):
    """Those of all steps are taken, but not the switch of ours."""
    name = "jwst_nircam_pars-detector1pipeline_9000.asdf"
    known = {"pars-detector1pipeline": name}
    environment = write_cache(tmp_path / "crds", {"nircam": known})
    pipeline = StockPipeline()
    for other in OTHERS:
        getattr(pipeline, other).skip = True
    pipeline.clean_flicker_noise.n_sigma = 2.75
    assert pipeline.clean_flicker_noise.skip
    folder = tmp_path / "crds" / "references" / "jwst" / "nircam"
    pipeline.export_config(folder / name, include_metadata=True)
    env = {**os.environ, **environment}
    del env["STPIPE_DISABLE_CRDS_STEPPARS"]
    subprocess.run([str(STRUN), "deflicker_detector1", str(ramp)], env=env, check=True)
    with datamodels.open("jw00001_nrca1_ramp.fits") as result:
        assert_cleaned(result, expected(fit_method="median", n_sigma=2.75))


def test_every_parameter_of_the_stock_step_is_ours():
    """Of the same type and default, with all its choices; skip and fit_method differ."""
    ours, stock = CleanFlickerNoiseStep.load_spec_file(), StockStep.load_spec_file()

    def choices(text):
        kind, _, rest = str(text).partition("(")
        default = rest.rpartition("default=")[2].rstrip(") ")
        options = {word.strip(" '\"") for word in rest.rpartition("default=")[0].split(",")}
        return kind.strip(), options - {""}, default.strip("'\"")

    for name in stock:
        assert name in ours
        if name != "skip":
            (kind, options, default), wanted = choices(ours[name]), choices(stock[name])
            if name == "fit_method":
                # The Wiener filter is ours alone, and so is the choice of the best method.
                options -= {"auto", "wiener"}
                assert default == "auto"
                default = "median"
            assert (kind, options, default) == wanted, name
    assert "default=False" in str(ours["skip"]).replace(" ", "")
    assert set(StockStep.reference_file_types) == set(CleanFlickerNoiseStep.reference_file_types)


@pytest.mark.parametrize("how", ["call", "from_config_file"])
def test_parameter_files_of_the_stock_step(ramp, expected, how):
    StockStep(n_sigma=2.5, fit_by_channel=True, skip=False).export_config("stock.asdf")
    if how == "call":
        result = CleanFlickerNoiseStep.call(str(ramp), config_file="stock.asdf")
    else:
        result = CleanFlickerNoiseStep.from_config_file("stock.asdf").run(str(ramp))
    with result:
        assert_cleaned(result, expected(fit_method="median", n_sigma=2.5, fit_by_channel=True))


def test_the_same_names_and_kinds_of_products(ramp):
    found = {}
    words = [f"--save_{name}=true" for name in ("mask", "background", "noise")]
    for alias in ("deflicker", "jwst::clean_flicker_noise"):
        folder = Path(f"by_{alias.partition(':')[0]}")
        folder.mkdir()
        strun(alias, ramp, *words, "--skip=false", f"--output_dir={folder}")
        kinds = {}
        for path in folder.iterdir():
            with fits.open(path) as file:
                kinds[path.name] = (file[0].header["DATAMODL"], file["SCI"].data.shape)
        found[alias] = kinds
    ours, stock = found.values()
    # strun names the output of a step of jwst by its class.
    stock["jw00001_nrca1_clean_flicker_noise.fits"] = stock.pop(
        "jw00001_nrca1_cleanflickernoisestep.fits"
    )
    assert {"jw00001_nrca1_mask.fits", "jw00001_nrca1_flicker_bkg.fits"} <= set(ours)
    assert ours == stock
