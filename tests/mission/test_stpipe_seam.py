"""What is asked of stpipe beyond its documentation; it must hold for its oldest and newest."""

import logging

import pytest
from stdatamodels.jwst import datamodels
from stpipe import Pipeline, Step
from stpipe.config_parser import config_from_dict

from deflicker.mission import stpipe_seam as seam


class OtherStep(Step):
    class_alias = "other"
    spec = """
    number = integer(default=1) # A number
    output_ext = string(default='.fits')
    """
    reference_file_types = ("flat",)
    _log_records_formatter = logging.Formatter("%(message)s")

    def process(self, model):
        self.number += 1
        logging.getLogger("stpipe.other").warning("number %d", self.number)
        return model

    @staticmethod
    def get_stpipe_loggers():
        return ("stpipe",)

    @classmethod
    def _datamodels_open(cls, init, **options):
        return datamodels.open(init, **options)


class OtherPipeline(Pipeline):
    spec = "output_ext = string(default='.fits')"
    step_defs = {"other": OtherStep}


@pytest.fixture
def image():
    with datamodels.ImageModel((2, 2)) as model:
        model.meta.filename = "x_rate.fits"
        yield model


def test_a_run_changes_the_copy_alone(image):
    step = OtherStep(suffix=None)
    before = dict(vars(step))
    run = seam.copy_for_one_run(step, output_use_model=True)
    run.run(image)
    assert vars(step) == before
    assert (run.number, run.suffix, run.output_use_model) == (2, "otherstep", True)
    assert seam.input_name(run) == "x_rate.fits"
    assert seam.input_name(step) is None


def test_the_log_of_the_last_run(image):
    step = OtherStep()
    run = seam.copy_for_one_run(step)
    run.run(image)
    seam.keep_log_records(step, run)
    assert "number 2" in step.log_records


def test_reference_files_and_their_names(image, tmp_path):
    path = tmp_path / "flat.fits"
    image.save(str(path))
    step = OtherStep(override_flat=str(path))
    assert seam.find_reference_file(step, image, "flat") == (str(path), str(path))
    model = datamodels.FlatModel((2, 2))
    found, name = seam.find_reference_file(OtherStep(override_flat=model), image, "flat")
    assert found is model
    assert isinstance(name, str)
    assert seam.find_reference_file(OtherStep(override_flat="N/A"), image, "flat")[1] == "N/A"
    model.close()


def test_who_owns_an_input():
    pipeline = OtherPipeline()
    alone = OtherStep()
    assert not seam.belongs_to_pipeline(alone)
    assert not seam.belongs_to_pipeline(OtherStep(parent=alone))
    assert seam.belongs_to_pipeline(pipeline.other)
    assert seam.belongs_to_pipeline(OtherStep(parent=pipeline.other))


def test_the_switch_of_the_environment(monkeypatch):
    monkeypatch.delenv("STPIPE_DISABLE_CRDS_STEPPARS", raising=False)
    assert seam.looks_up_parameters(None)
    monkeypatch.setenv("STPIPE_DISABLE_CRDS_STEPPARS", "true")
    assert not seam.looks_up_parameters(None)
    assert seam.looks_up_parameters(False)


def test_what_comes_from_the_command_line(tmp_path, monkeypatch):
    """As strun hands it on to a step of this package."""
    seen = []

    class Listening(OtherStep):
        @classmethod
        def from_config_section(cls, config, *others, **options):
            seen.append(seam.names_from_command_line(config))
            return super().from_config_section(config, *others, **options)

        def run(self, *_inputs):
            """Only parameters matter here."""

    monkeypatch.setattr(f"{__name__}.Listening", Listening, raising=False)
    monkeypatch.setenv("STPIPE_DISABLE_CRDS_STEPPARS", "true")
    path = tmp_path / "x_rate.fits"
    with datamodels.ImageModel((2, 2)) as model:
        model.save(str(path))
    Step.from_cmdline([f"{__name__}.Listening", str(path), "--number=3"])
    assert seen == [frozenset({"number"})]
    plain = config_from_dict({"number": 3}, OtherStep.load_spec_file())
    assert seam.names_from_command_line(plain) == frozenset()
