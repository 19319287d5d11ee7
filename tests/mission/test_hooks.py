"""The step as a hook, in a small pipeline of two steps."""

import numpy as np
import pytest
from stdatamodels.jwst import datamodels
from stpipe import Pipeline, Step
from stpipe.config_parser import ConfigObj

from conftest import exposure_of
from deflicker import CleanFlickerNoiseStep, CleanOptions, clean_exposure
from deflicker.models.exposure import model_from_simulation


class Host:
    """What a mission gives its steps."""

    @classmethod
    def _datamodels_open(cls, init, **options):
        return datamodels.open(init, **options)

    @staticmethod
    def get_stpipe_loggers():
        return ("stpipe",)

    @classmethod
    def get_config_from_reference(cls, *_arguments, **_options):
        return ConfigObj()


class AddStep(Host, Step):
    """Stands for the jump step: adds 5 DN to every group."""

    class_alias = "add"
    spec = "output_ext = string(default='.fits')"

    def process(self, model):
        result = model.copy()
        result.data += 5
        return result


class SumStep(Host, Step):
    """Stands for the ramp fit: remembers what it was given."""

    class_alias = "sum"
    spec = "output_ext = string(default='.fits')"

    def process(self, model):
        type(self).received = np.array(model.data)
        return model


class TwoSteps(Host, Pipeline):
    class_alias = "two_steps"
    spec = "output_ext = string(default='.fits')"
    step_defs = {"add": AddStep, "sum": SumStep}

    def process(self, model):
        return self.sum.run(self.add.run(model))

    def prefetch(self, *_arguments):
        """There are no references here."""


@pytest.fixture
def ramp(small_nircam):
    model = model_from_simulation(small_nircam).copy()
    yield model
    model.close()


def expected(simulated, **options):
    return clean_exposure(
        exposure_of(simulated, data=simulated.data + np.float32(5)), CleanOptions(**options)
    ).data


@pytest.mark.parametrize("hook", ["class", "name", "instance"])
def test_post_hook(ramp, small_nircam, hook):
    hooks = {
        "class": (CleanFlickerNoiseStep, {"fit_method": "wiener"}),
        "name": ("deflicker.step.CleanFlickerNoiseStep", {"fit_method": "wiener"}),
        "instance": (CleanFlickerNoiseStep(fit_method="median", n_sigma=3.0), {"n_sigma": 3.0}),
    }
    given, options = hooks[hook]
    before = np.array(ramp.data)
    result = TwoSteps.call(ramp, steps={"add": {"post_hooks": [given]}})
    assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"
    assert np.array_equal(SumStep.received, expected(small_nircam, **options), equal_nan=True)
    assert np.array_equal(ramp.data, before, equal_nan=True)
    result.close()


def test_hook_in_the_place_of_a_skipped_step(ramp, small_nircam):
    steps = {"add": {"skip": True, "post_hooks": [CleanFlickerNoiseStep]}}
    result = TwoSteps.call(ramp.copy(), steps=steps)
    assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"
    assert np.array_equal(
        SumStep.received,
        clean_exposure(exposure_of(small_nircam), CleanOptions(fit_method="wiener")).data,
        equal_nan=True,
    )
    result.close()


def test_inside_a_pipeline_nothing_is_copied(ramp):
    """The hook of class kind has a parent: the pipeline's model is cleaned in place."""
    step = CleanFlickerNoiseStep(parent=TwoSteps().add)
    before = np.array(ramp.data)
    assert step.run(ramp) is ramp
    assert ramp.meta.cal_step.clean_flicker_noise == "COMPLETE"
    assert not np.array_equal(ramp.data, before, equal_nan=True)
    alone = CleanFlickerNoiseStep()
    assert alone.run(ramp) is not ramp


def test_skip(ramp):
    host = AddStep()
    step = CleanFlickerNoiseStep(parent=host, skip=True)
    before = np.array(ramp.data)
    result = step.run(ramp)
    assert result.meta.cal_step.clean_flicker_noise == "SKIPPED"
    assert np.array_equal(result.data, before, equal_nan=True)


@pytest.mark.parametrize("hooks", ["pre_hooks", "post_hooks"])
@pytest.mark.parametrize("hook", [CleanFlickerNoiseStep, CleanFlickerNoiseStep()])
def test_a_hook_of_a_step_leaves_the_users_model(small_nircam, hooks, hook):
    """Without a pipeline the open model is the user's."""
    with model_from_simulation(small_nircam) as shared, shared.copy() as model:
        before = model.data.copy()
        result = SumStep(**{hooks: [hook]}).run(model)
        assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert not np.array_equal(result.data, before, equal_nan=True)
        assert np.array_equal(model.data, before, equal_nan=True)
        assert model.meta.cal_step.clean_flicker_noise is None


class SeeStep(Host, Step):
    """A hook that looks at the step to which it belongs."""

    class_alias = "see"
    spec = "output_ext = string(default='.fits')"

    def process(self, model):
        parent = self.parent
        type(self).seen = (parent.search_attr("_input_filename"), self.make_input_path("aux.fits"))
        return model


def test_hooks_see_the_run_that_they_belong_to(ramp_file):
    """Its input's name and folder, which the step itself does not keep."""
    step = CleanFlickerNoiseStep(post_hooks=[SeeStep])
    step.run(str(ramp_file)).close()
    assert SeeStep.seen == (str(ramp_file), str(ramp_file.parent / "aux.fits"))
    assert step.search_attr("_input_filename") is None


def test_the_process_of_a_subclass_is_called(ramp):
    class Louder(CleanFlickerNoiseStep):
        def process(self, *inputs):
            result = super().process(*inputs)
            result.meta.observation.program_number = "12345"
            return result

    with Louder().run(ramp) as result:
        assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert result.meta.observation.program_number == "12345"
