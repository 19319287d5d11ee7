"""Associations, containers and libraries of models as inputs."""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stdatamodels.jwst import datamodels
from stpipe import Pipeline
from stpipe.library import AbstractModelLibrary

from conftest import SMALL
from deflicker import CleanFlickerNoiseStep
from deflicker.models.exposure import model_from_simulation
from deflicker.models.files import open_model
from deflicker.simulation.exposures import simulate

NAMES = ("a_jump.fits", "b_jump.fits")


@pytest.fixture(autouse=True)
def _no_parameters(monkeypatch):
    monkeypatch.setenv("STPIPE_DISABLE_CRDS_STEPPARS", "true")


@pytest.fixture(scope="session")
def two_ramps():
    scenario = replace(SMALL["nircam"], shape=(64, 128), n_groups=3, n_stars=20)
    return [simulate(scenario, seed=seed) for seed in (1, 2)]


@pytest.fixture
def models(two_ramps):
    made = []
    for name, ramp in zip(NAMES, two_ramps, strict=True):
        model = model_from_simulation(ramp).copy()
        model.meta.filename = name
        made.append(model)
    yield made
    for model in made:
        model.close()


@pytest.fixture
def files(models, tmp_path):
    (tmp_path / "below").mkdir()
    for model in models:
        model.save(str(tmp_path / "below" / model.meta.filename))
    return tmp_path / "below"


def association(*members, **more):
    return {"asn_type": "image2", "products": [{"name": "p", "members": list(members)}], **more}


def member(name, kind="science"):
    return {"expname": name, "exptype": kind}


class Container(Sequence):
    """As the ModelContainer of jwst."""

    def __init__(self, models):
        self.models = models

    def __len__(self):
        return len(self.models)

    def __getitem__(self, index):
        return self.models[index]


class Library(AbstractModelLibrary):
    """As the ModelLibrary of jwst."""

    @property
    def crds_observatory(self):
        return "jwst"

    def _datamodels_open(self, filename, **kwargs):
        return datamodels.open(filename, **kwargs)

    @classmethod
    def _load_asn(cls, filename):
        raise NotImplementedError

    def _filename_to_group_id(self, filename):
        return filename

    def _model_to_group_id(self, model):
        return model.meta.filename

    def _assign_member_to_model(self, model, member):
        pass


def collections(models):
    return {"container": Container(models), "library": Library(models)}


def alone(models, **parameters):
    """What comes of each by itself."""
    return [np.array(CleanFlickerNoiseStep.call(one, **parameters).data) for one in models]


@pytest.mark.parametrize("kind", ["file", "path", "dictionary"])
def test_science_members_are_exposures(files, models, kind, monkeypatch):
    members = [member(NAMES[0]), member("dark.fits", "dark"), member(NAMES[1], "SCIENCE")]
    item = association(*members, member(NAMES[0]))
    if kind == "dictionary":
        monkeypatch.chdir(files)
    else:
        (files / "x_asn.json").write_text(json.dumps(item))
        item = files / "x_asn.json"
    found = CleanFlickerNoiseStep.call(str(item) if kind == "file" else item, save_results=True)
    for result, data, letter in zip(found, alone(models), "ab", strict=True):
        assert np.array_equal(result.data, data, equal_nan=True)
        with open_model(f"{letter}_clean_flicker_noise.fits") as saved:
            assert np.array_equal(saved.data, data, equal_nan=True)
        result.close()
    assert sorted(path.name for path in Path().glob("*clean*")) == [
        "a_clean_flicker_noise.fits",
        "b_clean_flicker_noise.fits",
    ]


def test_science_members_are_segments_for_median_image(files, models):
    (files / "x_asn.json").write_text(json.dumps(association(*map(member, NAMES))))
    parameters = {"background_method": "median_image"}
    step = CleanFlickerNoiseStep(save_results=True, **parameters)
    found = step.run(str(files / "x_asn.json"))
    expected = CleanFlickerNoiseStep(**parameters).run(*models)
    for result, one, letter in zip(found, expected, "ab", strict=True):
        assert np.array_equal(result.data, one.data, equal_nan=True)
        assert result.meta.cal_step.clean_flicker_noise == one.meta.cal_step.clean_flicker_noise
        assert Path(f"{letter}_clean_flicker_noise.fits").is_file()
        result.close()


def test_one_member_and_output_file(files):
    (files / "x_asn.json").write_text(json.dumps(association(member(NAMES[0]))))
    (result,) = CleanFlickerNoiseStep.call(files / "x_asn.json", output_file="mine.fits")
    result.close()
    assert Path("mine_clean_flicker_noise.fits").is_file()


def test_output_file_of_several(files, caplog):
    (files / "x_asn.json").write_text(json.dumps(association(*map(member, NAMES))))
    with caplog.at_level(logging.WARNING):
        for result in CleanFlickerNoiseStep.call(files / "x_asn.json", output_file="mine.fits"):
            result.close()
    assert "output_file is ignored" in caplog.text
    assert len(list(Path().glob("[ab]_clean_flicker_noise.fits"))) == 2


def test_outputs_that_would_overwrite_each_other(files):
    (files / "a_jump.fits").rename("a_jump.fits")
    (files / "b_jump.fits").rename(files / "a_jump.fits")
    members = [member("a_jump.fits"), member("../a_jump.fits")]
    (files / "x_asn.json").write_text(json.dumps(association(*members)))
    with pytest.raises(OSError, match="overwrite each other"):
        CleanFlickerNoiseStep.call(files / "x_asn.json", save_results=True)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("{", OSError, "cannot be read"),
        ("[" * 100_000, OSError, "cannot be read"),
        ("5", ValueError, "products with members"),
        ("[]", ValueError, "products with members"),
        ('{"products": 5}', ValueError, "products with members"),
        ('{"products": [{"members": ["a_jump.fits"]}]}', ValueError, "expname and exptype"),
        ('{"products": []}', ValueError, "no science members"),
        (json.dumps(association(member("a_jump.fits", "dark"))), ValueError, "no science members"),
        (json.dumps(association(member("none.fits"))), FileNotFoundError, "none.fits"),
    ],
)
def test_what_is_no_association(text, error, words):
    Path("x_asn.json").write_text(text)
    with pytest.raises(error, match=words) as raised:
        CleanFlickerNoiseStep.call("x_asn.json", save_results=True)
    assert "x_asn.json" in str(raised.value) or words == "none.fits"
    assert [path.name for path in Path().iterdir()] == ["x_asn.json"]


def test_an_association_that_is_not_there():
    with pytest.raises(FileNotFoundError, match="association none.json does not exist"):
        CleanFlickerNoiseStep.call("none.json")


@pytest.mark.parametrize("kind", ["container", "library"])
@pytest.mark.parametrize("method", ["median", "median_image"])
def test_collections_of_models(models, kind, method):
    """Outside a pipeline they stay as they are."""
    before = [np.array(model.data) for model in models]
    parameters = {"background_method": method}
    found = CleanFlickerNoiseStep.call(collections(models)[kind], save_results=True, **parameters)
    if method == "median":
        expected = alone(models, **parameters)
    else:
        expected = [one.data for one in CleanFlickerNoiseStep(**parameters).run(*models)]
    for model, data, result, one in zip(models, before, found, expected, strict=True):
        assert np.array_equal(model.data, data, equal_nan=True)
        assert np.array_equal(result.data, one, equal_nan=True)
        assert not np.array_equal(result.data, data, equal_nan=True)
    assert len(list(Path().glob("[ab]_clean_flicker_noise.fits"))) == 2


class OurPipeline(Pipeline):
    """A pipeline with the step alone."""

    class_alias = "ours"
    spec = "output_ext = string(default='.fits')"
    step_defs = {"clean": CleanFlickerNoiseStep}

    def process(self, item):
        return self.clean.run(item)


@pytest.mark.parametrize("kind", ["container", "library"])
@pytest.mark.parametrize("skip", [False, True])
def test_collections_within_a_pipeline(models, kind, skip):
    """Cleaned in place, and returned as what they were."""
    expected = [model.data for model in models] if skip else alone(models)
    collection = collections(models)[kind]
    pipeline = OurPipeline()
    pipeline.clean.skip = skip
    assert pipeline.clean.run(collection) is collection
    for model, data in zip(models, expected, strict=True):
        assert np.array_equal(model.data, data, equal_nan=True)
    status = models[0].meta.cal_step.clean_flicker_noise
    assert status == {False: "COMPLETE", True: "SKIPPED" if kind == "library" else status}[skip]


@pytest.mark.parametrize("kind", ["container", "library"])
def test_collections_of_nothing(kind):
    with pytest.raises(ValueError, match="holds no models"):
        CleanFlickerNoiseStep().run(collections([])[kind])
