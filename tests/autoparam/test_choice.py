import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst import datamodels

from conftest import exposure_of, plain_exposure
from deflicker import (
    CannotClean,
    CleanFlickerNoiseStep,
    CleanOptions,
    NothingToClean,
    clean_exposure,
)
from deflicker.autoparam.choice import choose_options, may_choose, resolve_options
from deflicker.autoparam.pixel_pairs import FlatMatch
from deflicker.autoparam.row_levels import RowStatistics
from deflicker.autoparam.trial_fits import SceneStatistics, measure_scene
from deflicker.models.exposure import model_from_simulation
from deflicker.simulation.quality import measure_quality
from support.scenes import NIRISS, Scene, observe, settings

SIZE = 256
SCENES = {
    "gradient": (Scene(gradient=(2.0, 1.0)), ("model", False, False)),
    "niriss gradient": (Scene(base=NIRISS, gradient=(2.0, 4.0)), ("model", False, False)),
    "offsets": (Scene(offsets=10.0), ("median", True, False)),
    "niriss offsets": (Scene(base=NIRISS, offsets=20.0), ("median", True, False)),
    "flat": (
        Scene(flat=(0.02, 0.1), base=replace(Scene().base, sky=20.0), offsets=10.0),
        ("median", True, True),
    ),
    "other flat": (Scene(flat=(0.05, 0.1), flat_in_data=False, offsets=10.0), None),
}


def chosen(truth, flat=None, given=(), **options):
    used = resolve_options(exposure_of(truth), CleanOptions(**options), flat=flat, given=given)[1]
    return used["background_method"], used["fit_by_channel"], used["apply_flat_field"]


@pytest.fixture(scope="module", params=list(SCENES))
def scene(request):
    seen, right = SCENES[request.param]
    return *observe(seen, size=SIZE, seed=5), right or ("median", True, False)


def test_right_choice_where_it_is_known(scene):
    truth, flat, right = scene
    assert chosen(truth, flat) == right
    exposure, left = exposure_of(truth), {}
    for setting in settings(flat=flat is not None):
        background, by_channel, divides = setting
        # The choice is that of the fits; the guard would return some of their light.
        options = CleanOptions(
            background_method=background, fit_by_channel=by_channel, guard_light=False
        )
        cleaned = clean_exposure(exposure, options, flat=flat if divides else None).data
        left[setting] = 100 - measure_quality(truth, cleaned).removed_rate
    assert left[right] <= 1.1 * min(left.values())


def test_the_users_settings_stay(scene):
    truth, flat, right = scene
    background, by_channel, _ = right
    other = "median" if background == "model" else "model"
    assert chosen(truth, flat, background_method=other, given=["background_method"])[0] == other
    assert chosen(truth, flat, background_method=None)[0] is None
    own = chosen(truth, flat, fit_by_channel=not by_channel, given=["fit_by_channel"])
    assert own[1] != by_channel
    assert chosen(truth, flat, given=["apply_flat_field"])[2] == (flat is not None)
    everything = {"background_method": other, "fit_by_channel": not by_channel}
    assert chosen(truth, given=list(everything), **everything) == (other, not by_channel, False)


def test_values_beside_the_defaults_are_the_users(small_nircam):
    assert chosen(small_nircam, background_method="model", fit_by_channel=True)[:2] == (
        "model",
        True,
    )


def row(light=0.0, noise=1.0, error=0.01, outputs=0.0):
    return RowStatistics(light=light, noise=noise, error=error, outputs=outputs)


BLANK = {
    ("median", False): row(),
    ("median", True): row(noise=1.03, error=0.04),
    ("model", False): row(noise=0.7),
    ("model", True): row(noise=0.73, error=0.04),
}


@pytest.mark.parametrize(
    ("changes", "right"),
    [
        ({}, ("median", False)),
        ({("median", True): row(noise=1.5, error=0.04)}, ("median", True)),
        (
            {("median", False): row(light=1.0), ("median", True): row(light=1.0)},
            ("model", False),
        ),
        ({("median", False): row(outputs=1.0)}, ("median", True)),
        # what the model saves must be more than the noise that it takes for background
        (
            {("median", False): row(light=0.2), ("median", True): row(light=1.0)},
            ("median", False),
        ),
    ],
)
def test_decision(changes, right):
    choice = choose_options(SceneStatistics(masked_fraction=0.1, rows={**BLANK, **changes}))
    assert (choice.background_method, choice.fit_by_channel) == right
    assert not choice.apply_flat_field


def test_expected_residuals():
    """Light eaten, error made, noise missed: 0.3 + 0.01 + (1 - 0.01 - (0.5 - 0.01)) + 0.19."""
    rows = {("median", False): row(), ("model", False): row(light=0.3, noise=0.5, outputs=0.19)}
    choice = choose_options(SceneStatistics(masked_fraction=0.1, rows=rows))
    assert choice.expected["median", False] == pytest.approx(0.1)
    assert choice.expected["model", False] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("share", "error", "right"), [(1.0, 0.1, True), (0.1, 0.01, False), (1.0, 0.4, False)]
)
def test_flat_must_be_seen_in_the_light(share, error, right):
    flat = FlatMatch(share=share, error=error)
    choice = choose_options(SceneStatistics(masked_fraction=0.1, rows=BLANK, flat=flat))
    assert choice.apply_flat_field == right


def test_statistics_of_a_known_exposure(rng):
    """Rows of reads with 3 DN of noise, 4 outputs with 2 DN more, and 5 DN of light in rows."""
    n_groups, n_rows, n_fast = 6, 200, 400
    outputs = np.repeat(np.eye(4), n_fast // 4, axis=1)
    reads = 3 * rng.standard_normal((n_groups, n_rows, 1))
    reads = reads + 2 * rng.standard_normal((n_groups, n_rows, 4)) @ outputs
    light = 100 + 5 * rng.standard_normal((n_rows, 1))
    ramp = reads + np.arange(n_groups).reshape(-1, 1, 1) * light
    ramp += 0.2 * rng.standard_normal(ramp.shape)
    exposure = plain_exposure(ramp[np.newaxis].astype(np.float32))
    exposure = replace(exposure, readout=replace(exposure.readout, n_outputs=4))
    found = measure_scene(
        exposure,
        CleanOptions(n_sigma=0),
        settings=[(None, False), (None, True)],
        user_mask=np.ones((n_rows, n_fast), bool),
    )
    together, apart = found.rows[None, False], found.rows[None, True]
    assert found.masked_fraction == 0
    assert together.light == pytest.approx(25, rel=0.25)
    assert apart.light == pytest.approx(25, rel=0.25)
    assert together.noise == pytest.approx(2 * (9 + 4 / 4) / 25, rel=0.2)
    assert apart.noise == pytest.approx(2 * (9 + 4) / 25, rel=0.2)
    assert together.error == pytest.approx(np.pi / 2 * 2 * 0.04 / 25 / 400, rel=0.1)
    assert apart.error == pytest.approx(4 * together.error, rel=1e-6)


def test_first_differences_tell_the_noise_of_a_long_exposure(rng):
    reads = 3 * rng.standard_normal((2, 30, 400, 1)) * np.ones((1, 1, 1, 100))
    exposure = plain_exposure(reads.astype(np.float32))
    mask = np.ones((400, 100), bool)
    found = measure_scene(
        exposure, CleanOptions(n_sigma=0), settings=[(None, False)], user_mask=mask
    )
    assert found.rows[None, False].noise == pytest.approx(2 * 9 * 2 / 58**2, rel=0.15)


def test_groups_that_are_all_flagged_have_no_part(small_nircam):
    """The last group of MIRI is, and that of other detectors may be."""
    exposure = exposure_of(small_nircam)
    flagged = np.concatenate([small_nircam.group_dq, small_nircam.group_dq[:, -1:]], axis=1)
    flagged[:, -1] |= 1
    data = np.concatenate([exposure.data, 0 * exposure.data[:, -1:]], axis=1)
    longer = replace(exposure, data=data, group_dq=flagged)
    choices = [("median", False), ("median", True)]
    options = CleanOptions()
    assert measure_scene(longer, options, settings=choices) == measure_scene(
        exposure, options, settings=choices
    )


@pytest.mark.parametrize("n_integrations", [1, 3])
def test_rates(n_integrations):
    """One difference has no scatter: the gradient shows all the same."""
    truth, _ = observe(Scene(gradient=(4.0, 2.0)), size=SIZE, seed=5)
    rate = (truth.data[0, -1] - truth.data[0, 0]) / 4
    exposure = exposure_of(truth, data=np.stack([rate] * n_integrations)[:, None], group_dq=None)
    before = exposure.data.copy()
    options, _ = resolve_options(exposure, CleanOptions())
    assert options.background_method == "model"
    np.testing.assert_array_equal(exposure.data, before)


def test_nothing_usable_leaves_the_defaults(small_nircam):
    exposure = exposure_of(small_nircam, pixel_dq=np.ones_like(small_nircam.pixel_dq))
    assert resolve_options(exposure, CleanOptions())[0] == CleanOptions()
    flat = np.ones(exposure.image_shape, np.float32)
    assert resolve_options(exposure, CleanOptions(), flat=flat)[0] == CleanOptions()


def test_bad_input_is_told_as_a_cleaning_does(small_nircam):
    exposure = exposure_of(small_nircam)
    with pytest.raises(CannotClean, match="user_mask has shape"):
        resolve_options(exposure, CleanOptions(), user_mask=np.ones((2, 2), bool))
    one_group = replace(exposure, data=exposure.data[:, :1], group_dq=exposure.group_dq[:, :1])
    with pytest.raises(NothingToClean, match="one group"):
        resolve_options(one_group, CleanOptions())


def test_boxes_larger_than_the_image_are_no_candidates():
    truth, _ = observe(Scene(gradient=(2.0, 1.0)), size=SIZE, seed=5)
    assert chosen(truth, background_box_size=(64, 64))[0] == "model"
    assert chosen(truth, background_box_size=(64, 500))[0] == "median"


@pytest.mark.parametrize(
    ("exp_type", "options", "reason"),
    [
        ("NRC_IMAGE", {}, None),
        ("nis_image", {}, None),
        ("NRC_TSIMAGE", {}, "NRC_TSIMAGE"),
        ("NRS_IFU", {"fit_method": "fft"}, "NRS_IFU"),
        ("NRC_IMAGE", {"fit_method": "wiener"}, "wiener"),
        ("NRC_IMAGE", {"background_method": "median_image"}, "median_image"),
    ],
)
def test_where_there_is_something_to_choose(caplog, exp_type, options, reason):
    assert may_choose(CleanOptions(**options), exp_type=exp_type) == (reason is None)
    assert len(caplog.records) == (reason is not None)
    assert reason is None or reason in caplog.text


# The step


@pytest.fixture(scope="module")
def offsets():
    return observe(Scene(offsets=10.0), size=SIZE, seed=5)[0]


@pytest.fixture
def ramp(offsets):
    with model_from_simulation(offsets) as model:
        yield model


def run(data, **parameters):
    given = {"fit_method": "median", **parameters}
    return CleanFlickerNoiseStep.call(data, autoparam=True, **given)


def log_lines(caplog):
    lines = [record.getMessage() for record in caplog.records]
    return [line for line in lines if line.startswith("autoparam: ")]


def history(model):
    return next(
        text for text in model.to_flat_dict().values() if "clean_flicker_noise:" in str(text)
    )


def test_step_runs_and_tells(ramp, offsets, caplog):
    expected = clean_exposure(exposure_of(offsets), CleanOptions(fit_by_channel=True)).data
    with caplog.at_level(logging.INFO), run(ramp) as cleaned:
        assert cleaned.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert np.array_equal(cleaned.data, expected, equal_nan=True)
        assert "autoparam=True" in history(cleaned)
        assert "fit_by_channel=True" in history(cleaned)
        assert cleaned.meta.ref_file.flat.name is None
    (line,) = log_lines(caplog)
    assert "background_method=median, fit_by_channel=True, apply_flat_field=False" in line
    assert "% of the pixels masked" in line
    assert "median by channel" in line
    assert sum("without a flat field" in record.getMessage() for record in caplog.records) == 1


def test_what_was_given_by_name_stays(ramp, caplog):
    """Be it the default; and the step chooses anew for the next exposure."""
    with caplog.at_level(logging.INFO):
        with run(ramp, fit_by_channel=False) as cleaned:
            assert "fit_by_channel=False" in history(cleaned)
        step = CleanFlickerNoiseStep(
            autoparam=True, fit_method="median", background_method="median"
        )
        for _ in range(2):
            step.run(ramp).close()
        assert (step.fit_by_channel, step.apply_flat_field) == (False, False)
    first, second, third = log_lines(caplog)
    assert "fit_by_channel=False (given)" in first
    assert second == third
    assert "background_method=median (given), fit_by_channel=True, " in second


@pytest.mark.parametrize(("value", "right"), [("false", "False (given)"), (None, "True")])
def test_command_line(ramp, caplog, value, right):
    ramp.save("x_ramp.fits")
    words = [
        "deflicker.CleanFlickerNoiseStep",
        "x_ramp.fits",
        "--autoparam=true",
        "--fit_method=median",
    ]
    words += [f"--fit_by_channel={value}"] if value else []
    with caplog.at_level(logging.INFO):
        CleanFlickerNoiseStep.from_cmdline(words)
    text = "".join(fits.getheader("x_clean_flicker_noise.fits")["HISTORY"])
    assert f"fit_by_channel={right.split()[0]}" in text


def test_defaults_in_a_parameter_file_are_open(ramp, caplog):
    """A file lists all parameters, whoever meant them."""
    CleanFlickerNoiseStep(autoparam=True, fit_method="median").export_config("all.asdf")
    CleanFlickerNoiseStep(
        autoparam=True, fit_method="median", background_method="model"
    ).export_config("model.asdf")
    with caplog.at_level(logging.INFO):
        for name in ("all.asdf", "model.asdf"):
            CleanFlickerNoiseStep.call(ramp, config_file=name).close()
    plain, model = log_lines(caplog)
    assert "background_method=median, fit_by_channel=True" in plain
    assert "background_method=model (given)" in model


@pytest.mark.parametrize("fits_data", [True, False])
def test_flat_by_override(fits_data, caplog):
    scene = Scene(flat=(0.03, 0.1), base=replace(Scene().base, sky=20.0), flat_in_data=fits_data)
    truth, flat = observe(scene, size=SIZE, seed=5)
    with datamodels.FlatModel(data=flat, dq=np.zeros(flat.shape, np.uint32)) as reference:
        reference.save("flat.fits")
    path = str(Path("flat.fits").resolve())
    with (
        model_from_simulation(truth) as model,
        caplog.at_level(logging.INFO),
        run(model, override_flat=path) as cleaned,
    ):
        assert cleaned.meta.ref_file.flat.name == (path if fits_data else None)
        assert f"apply_flat_field={fits_data}" in history(cleaned)
        assert ("before the flat field" in history(cleaned)) == fits_data
    assert f"apply_flat_field={fits_data};" in log_lines(caplog)[0]
    with (
        model_from_simulation(truth) as model,
        run(model, override_flat=path, apply_flat_field=not fits_data) as cleaned,
    ):
        assert cleaned.meta.ref_file.flat.name == (None if fits_data else path)


def test_a_flat_that_was_asked_for_must_be_there(ramp, caplog):
    for parameters in ({"apply_flat_field": True}, {"override_flat": "none.fits"}):
        caplog.clear()
        with run(ramp, **parameters) as cleaned:
            assert cleaned.meta.cal_step.clean_flicker_noise == "FAILED"
        assert "override_flat" in caplog.text


@pytest.mark.parametrize(
    ("exp_type", "parameters"),
    [("NRC_WFSS", {"fit_method": "median"}), ("NRC_IMAGE", {"fit_method": "wiener"})],
)
def test_ignored_once_where_not_needed(small_nircam, caplog, exp_type, parameters):
    with model_from_simulation(small_nircam) as model:
        model.meta.exposure.type = exp_type
        with (
            run(model, **parameters) as cleaned,
            CleanFlickerNoiseStep.call(model, **parameters) as plain,
        ):
            assert cleaned.meta.cal_step.clean_flicker_noise == "COMPLETE"
            assert np.array_equal(cleaned.data, plain.data, equal_nan=True)
    assert (
        sum(
            "autoparam is ignored" in r.message or "it is ignored" in r.message
            for r in caplog.records
        )
        == 1
    )
