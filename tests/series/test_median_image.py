"""Series whose stable scene a template takes off, against their truth."""

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stdatamodels.jwst import datamodels

from conftest import exposure_of, plain_exposure
from deflicker import (
    CannotClean,
    CleanFlickerNoiseStep,
    CleanOptions,
    NothingToClean,
    clean_exposure,
)
from deflicker.cleaning.backgrounds import fitted_images
from deflicker.detector.dq import DO_NOT_USE
from deflicker.models.exposure import model_from_simulation
from deflicker.scene.draft_masks import MaskMaker
from deflicker.series.median_image import series_template
from deflicker.series.template import Template
from deflicker.simulation.exposures import SERIES, simulate
from deflicker.simulation.quality import measure_quality
from support.light_curves import fit_transit, white_light

MEDIAN_IMAGE = CleanOptions(background_method="median_image")
BOTS = replace(SERIES["bots"], shape=(32, 256), n_integrations=9)

CLEANING = "deflicker.mission.cleaning_run"  # whose log says why a file is left alone


@pytest.fixture(scope="module")
def bots():
    return simulate(BOTS, seed=3)


def striped_series(rng, *, n_integrations=6, n_groups=4, reset=0.0, ramp=True, light=80, n_rows=24):
    """A scene that fills some rows, stripes, and white noise that is as strong."""
    scene = np.full((n_rows, 800), 3.0, np.float32)
    scene[10:14] += light * (1 + 0.5 * np.sin(np.arange(800) / 9))
    groups = np.arange(1, n_groups + 1)[:, np.newaxis, np.newaxis] if ramp else 1.0
    shape = (n_integrations, n_groups, n_rows, 1)
    stripes = np.broadcast_to(rng.normal(0, 2, shape), (*shape[:3], 800)).astype(np.float32)
    data = (groups * scene + stripes).astype(np.float32)
    data += rng.normal(0, 2, data.shape).astype(np.float32)
    data += rng.normal(0, reset, (n_integrations, 1, n_rows, 800)).astype(np.float32)
    return data, stripes


def rows(images):
    """Images without their level, which is no stripe."""
    return images - images.mean(axis=(-2, -1), keepdims=True)


DARK = np.r_[:10, 14:24]
LIT = slice(10, 14)


def slopes(array):
    return rows((array[:, -1] - array[:, 0]) / (array.shape[1] - 1))


@pytest.mark.parametrize("reset", [0.0, 30.0])
def test_stripes_go_from_rows_with_background(rng, caplog, reset):
    """Also with the noise of a reset, which is as large as the scene.

    What rows that are all scene say may be light of the target that changes with wavelength:
    they keep light and noise, and are named.
    """
    data, stripes = striped_series(rng, reset=reset)
    with caplog.at_level(logging.WARNING):
        result = clean_exposure(plain_exposure(data), MEDIAN_IMAGE)
    left = slopes((stripes - (data - result.data))[:, :, DARK])
    each = left - left.mean(axis=0)  # what the integrations have of their own
    expected = slopes(stripes[:, :, DARK])
    assert np.var(each) < 0.01 * np.var(expected - expected.mean(axis=0))
    assert np.array_equal(result.data[:, :, LIT], data[:, :, LIT])
    assert "4 rows (from 0: 10-13)" in caplog.text


def test_stripes_of_the_template_go_too(rng):
    """What is left of the stripes in the median of all integrations."""
    data, stripes = striped_series(rng, n_integrations=5, n_rows=200)
    result = clean_exposure(plain_exposure(data), MEDIAN_IMAGE)
    dark = np.r_[:10, 14:200]
    left = slopes((stripes - (data - result.data))[:, :, dark]).mean(axis=0)
    expected = slopes(stripes[:, :, dark]).mean(axis=0)
    assert np.var(left) < 0.1 * np.var(expected)


def test_first_group_is_cleaned(rng):
    data, stripes = striped_series(rng)
    result = clean_exposure(plain_exposure(data), MEDIAN_IMAGE)
    left = rows((stripes - (data - result.data))[:, 0, DARK])
    each = left - left.mean(axis=0)
    assert np.var(each) < 0.02 * np.var(rows(stripes[:, 0, DARK]))


def test_rates_of_integrations(rng):
    data, stripes = striped_series(rng, n_groups=1, ramp=False)
    result = clean_exposure(plain_exposure(data, ramp=False), MEDIAN_IMAGE)
    left = rows((stripes - (data - result.data))[:, 0, DARK])
    assert np.var(left - left.mean(axis=0)) < 0.02 * np.var(rows(stripes[:, :, DARK]))


@pytest.mark.parametrize("fit_method", ["median", "fft"])
def test_more_noise_goes_than_without_a_template(bots, fit_method):
    plain = CleanOptions(fit_method=fit_method)
    options = replace(plain, background_method="median_image")
    data, without = (clean_exposure(exposure_of(bots), each).data for each in (options, plain))
    assert np.nanstd(data - without) > 0.1
    after, before = (measure_quality(bots, each) for each in (data, without))
    assert after.new_nan == 0
    better = 1.2 if fit_method == "median" else 0.99
    assert after.removed_integration > better * before.removed_integration


@pytest.mark.parametrize(
    "scenario",
    [
        replace(SERIES["bots"], shape=(32, 512)),
        pytest.param(SERIES["bots"], marks=pytest.mark.slow),
        pytest.param(SERIES["grism"], marks=pytest.mark.slow),
    ],
    ids=lambda scenario: f"{scenario.instrument}-{scenario.shape[1]}",
)
def test_depth_of_a_transit_is_kept(scenario):
    """To 0.01 percent, by what the cleaning does to a series without correlated noise."""
    truth = simulate(scenario, seed=2)
    quiet = replace(truth, data=truth.data - truth.correlated, correlated=0 * truth.correlated)
    cleaned = clean_exposure(exposure_of(quiet), MEDIAN_IMAGE).data
    before, after = (fit_transit(white_light(quiet, data)) for data in (quiet.data, cleaned))
    assert before.depth == pytest.approx(0.01, abs=5 * before.error)
    assert after.depth == pytest.approx(before.depth, abs=1e-4)


def test_groups_that_are_flagged_as_a_whole(rng, caplog):
    data, stripes = striped_series(rng, n_groups=5)
    dq = np.zeros(data.shape, np.uint8)
    dq[:, 0] = DO_NOT_USE
    dq[3] = DO_NOT_USE  # and an integration
    with caplog.at_level(logging.WARNING):
        result = clean_exposure(plain_exposure(data, group_dq=dq), MEDIAN_IMAGE)
    assert np.array_equal(result.data[3], data[3])
    assert np.array_equal(result.data[:, 0], data[:, 0])
    good = [0, 1, 2, 4, 5]
    left = slopes((stripes - (data - result.data))[good, 1:][:, :, DARK])
    expected = slopes(stripes[good, 1:][:, :, DARK])
    assert np.var(left - left.mean(axis=0)) < 0.01 * np.var(expected)
    filled, lost = [r.getMessage() for r in caplog.records]
    assert "(from 0: 10-13)" in filled
    assert "no usable pixel" in lost


def test_a_star_that_leaves_does_no_harm(rng, caplog):
    data, stripes = striped_series(rng, light=0)
    y, x = np.mgrid[:24, :800]
    star = 300 * np.exp(-((y - 19) ** 2 + (x - 100) ** 2) / 8)
    scene = np.arange(1, 5)[:, np.newaxis, np.newaxis] * star
    data[:4] += scene.astype(np.float32)
    with caplog.at_level(logging.WARNING):
        result = clean_exposure(plain_exposure(data), MEDIAN_IMAGE)
    (message,) = [r.getMessage() for r in caplog.records]
    assert "2 integrations" in message
    assert message.endswith("5, 6")
    left = slopes(stripes - (data - result.data))
    for i in range(6):
        assert np.var(left[i]) < 0.02 * np.var(slopes(stripes)[i])


def test_two_integrations_are_cleaned_with_a_warning(rng, caplog):
    """What they have of their own goes; of what both share, what is no larger than noise."""
    data, stripes = striped_series(rng, n_integrations=2, n_rows=200)
    with caplog.at_level(logging.WARNING):
        result = clean_exposure(plain_exposure(data), MEDIAN_IMAGE)
    dark = np.r_[:10, 14:200]
    left = slopes((stripes - (data - result.data))[:, :, dark])
    expected = slopes(stripes[:, :, dark])
    assert np.var(left - left.mean(axis=0)) < 0.01 * np.var(expected - expected.mean(axis=0))
    # Two integrations tell roughly how large noise is.
    assert np.var(left.mean(axis=0)) < 0.25 * np.var(expected.mean(axis=0))
    assert [r.getMessage() for r in caplog.records if "two integrations" in r.getMessage()]


def test_one_integration_needs_the_template_of_its_series(rng):
    data, stripes = striped_series(rng, n_rows=200)
    one, whole = plain_exposure(data[:1]), plain_exposure(data)
    with pytest.raises(NothingToClean, match="needs several integrations"):
        clean_exposure(one, MEDIAN_IMAGE)
    maker = MaskMaker(exposure=whole, options=MEDIAN_IMAGE)
    template = series_template([fitted_images(whole, MEDIAN_IMAGE)], maker)
    cleaned = clean_exposure(one, MEDIAN_IMAGE, template=template)
    dark = np.r_[:10, 14:200]
    left = slopes((stripes[:1] - (data[:1] - cleaned.data))[:, :, dark])
    assert np.var(left) < 0.05 * np.var(slopes(stripes[:1, :, dark]))
    together = clean_exposure(whole, MEDIAN_IMAGE)
    assert np.array_equal(cleaned.data[0], together.data[0])
    other = Template(groups=template.groups[:2])
    with pytest.raises(CannotClean, match=r"template has groups.*\(2, 200, 800\)"):
        clean_exposure(one, MEDIAN_IMAGE, template=other)


def test_wiener_needs_no_template(bots, caplog):
    with caplog.at_level(logging.WARNING):
        result = clean_exposure(
            exposure_of(bots), CleanOptions(fit_method="wiener", background_method="median_image")
        )
    assert result.spectrum is not None
    assert measure_quality(bots, result.data).removed_differences > 50
    assert any("median_image" in r.getMessage() for r in caplog.records)


def write_segments(truth, folder):
    """The series as one file and as three."""
    paths = []
    for name, part in {
        "whole": np.s_[:],
        "seg001": np.s_[:2],
        "seg002": np.s_[2:6],
        "seg003": np.s_[6:],
    }.items():
        some = replace(truth, data=truth.data[part].copy(), group_dq=truth.group_dq[part].copy())
        with model_from_simulation(some) as model:
            model.meta.exposure.nints = len(some.data)
            path = folder / f"jw00001-{name}_nrs1_jump.fits"
            model.save(str(path))
        paths.append(path)
    return paths


def read(path):
    with datamodels.open(path) as model:
        assert model.meta.cal_step.clean_flicker_noise == "COMPLETE"
        return np.array(model.data)


def test_segments_are_cleaned_as_the_whole(bots, tmp_path):
    whole, *segments = write_segments(bots, tmp_path)
    options = {"background_method": "median_image", "progress_bar": False}
    with CleanFlickerNoiseStep.call(str(whole), **options) as result:
        expected = np.array(result.data)
    results = CleanFlickerNoiseStep.call([str(path) for path in segments], **options)
    got = np.concatenate([model.data for model in results])
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert np.nanstd(bots.data - expected) > 0.5
    assert [model.meta.cal_step.clean_flicker_noise for model in results] == ["COMPLETE"] * 3


def test_segments_from_the_shell_and_with_a_saved_template(bots, tmp_path):
    whole, *segments = write_segments(bots, tmp_path)
    strun = Path(sys.executable).with_name("strun")
    fixed = ["--background_method=median_image", "--memory_limit=100 kB"]
    done = subprocess.run(
        [strun, "deflicker", *segments, *fixed, "--save_template=true"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    CleanFlickerNoiseStep.from_cmdline(["deflicker", str(whole), *fixed])
    expected = read(tmp_path / "jw00001-whole_nrs1_clean_flicker_noise.fits")
    names = [f"jw00001-seg00{k}_nrs1_clean_flicker_noise.fits" for k in (1, 2, 3)]
    got = [read(tmp_path / name) for name in names]
    np.testing.assert_allclose(np.concatenate(got), expected, rtol=1e-6)
    assert np.nanstd(bots.data - expected) > 0.5
    template = tmp_path / "jw00001-seg001_nrs1_flicker_template.fits"
    assert template.is_file()
    with CleanFlickerNoiseStep.call(
        str(segments[1]), background_method="median_image", template=template
    ) as again:
        np.testing.assert_array_equal(again.data, got[1])


@pytest.mark.parametrize("what", ["missing", "no template", "other groups"])
def test_template_that_does_not_fit(bots, tmp_path, caplog, what):
    path = tmp_path / "template.fits"
    if what != "missing":
        n_groups = 2 if what == "other groups" else 6
        data = np.zeros((1 if what == "other groups" else 3, n_groups, 32, 256), np.float32)
        datamodels.RampModel(data=data).save(str(path))
    with model_from_simulation(bots) as model, caplog.at_level(logging.WARNING):
        result = CleanFlickerNoiseStep.call(
            model, background_method="median_image", template=str(path)
        )
        assert result.meta.cal_step.clean_flicker_noise == "FAILED"
        assert np.array_equal(result.data, bots.data, equal_nan=True)
    (message,) = [
        r.getMessage()
        for r in caplog.records
        if r.name.startswith("deflicker.mission.cleaning_run")
    ]
    assert "template" in message


def test_segments_of_other_series_are_left_alone(bots, tmp_path, caplog):
    _, *segments = write_segments(bots, tmp_path)
    shorter = replace(bots, data=bots.data[:, :3].copy(), group_dq=bots.group_dq[:, :3].copy())
    with model_from_simulation(shorter) as model, caplog.at_level(logging.WARNING):
        results = CleanFlickerNoiseStep.call(
            [str(segments[0]), model], background_method="median_image"
        )
    assert [r.meta.cal_step.clean_flicker_noise for r in results] == ["FAILED", "FAILED"]
    assert np.array_equal(results[1].data, shorter.data, equal_nan=True)
    with pytest.raises(TypeError, match="median_image"):
        CleanFlickerNoiseStep.call([str(path) for path in segments])


DIFFERENT = [
    ("instrument.detector", "NRS2", "DETECTOR"),
    ("instrument.filter", "F290LP", "FILTER"),
    ("instrument.grating", "G395H", "GRATING"),
    ("exposure.readpatt", "NRS", "READPATT"),
    ("exposure.group_time", 7.2, "TGROUP"),
    ("subarray.name", "SUB512", "SUBARRAY"),
    ("subarray.ystart", 33, "SUBSTRT2"),
    ("target.catalog_name", "WASP-39", "TARGNAME"),
    ("observation.exposure_number", "2", "EXPOSURE"),
]


def told_model(simulated, name):
    model = model_from_simulation(simulated)
    model.meta.filename = f"{name}_jump.fits"
    model.meta.instrument.filter, model.meta.instrument.grating = "F100LP", "G140H"
    model.meta.exposure.readpatt = "NRSRAPID"
    model.meta.target.catalog_name = "WASP-18"
    model.meta.observation.exposure_number = "1"
    return model


def set_keyword(model, attribute, value):
    *parents, last = attribute.split(".")
    node = model.meta
    for parent in parents:
        node = getattr(node, parent)
    setattr(node, last, value)


@pytest.fixture(scope="module")
def template_file(bots, tmp_path_factory):
    """The template of a series, as a step saves it."""
    folder = tmp_path_factory.mktemp("template")
    with told_model(bots, "first") as model:
        CleanFlickerNoiseStep.call(
            model, background_method="median_image", save_template=True, output_dir=str(folder)
        ).close()
    return folder / "first_flicker_template.fits"


@pytest.mark.parametrize("difference", DIFFERENT, ids=lambda difference: difference[2])
@pytest.mark.parametrize("how", ["list", "template"])
def test_other_series_of_the_same_shape_are_refused(bots, template_file, caplog, difference, how):
    attribute, value, keyword = difference
    with told_model(bots, "first") as first, told_model(bots, "second") as second:
        set_keyword(second, attribute, value)
        before = second.data.tobytes()
        options = {"background_method": "median_image"}
        with caplog.at_level(logging.WARNING):
            if how == "list":
                results = CleanFlickerNoiseStep.call([first, second], **options)
            else:
                options["template"] = str(template_file)
                results = [CleanFlickerNoiseStep.call(second, **options)]
        assert {r.meta.cal_step.clean_flicker_noise for r in results} == {"FAILED"}
        assert results[-1].data.tobytes() == before
    said = [
        r.getMessage()
        for r in caplog.records
        if r.name.startswith("deflicker.mission.cleaning_run")
    ]
    assert len(said) == len(results)
    assert f"{keyword} is " in said[0]
    assert "clean each series by itself" in said[0]


def test_keywords_that_are_unknown_do_not_part_a_series(bots, template_file):
    with model_from_simulation(bots) as model:
        result = CleanFlickerNoiseStep.call(
            model, background_method="median_image", template=str(template_file)
        )
        assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"


def test_background_is_the_scaled_template(bots):
    options = replace(MEDIAN_IMAGE, save_background=True)
    result = clean_exposure(exposure_of(bots), options)
    box = np.s_[14:18, 60:200]
    light = [np.nanmean(image[box]) for image in np.diff(result.background, axis=1)[:, 0]]
    truth = bots.light_curve
    np.testing.assert_allclose(np.array(light) / light[0], truth / truth[0], atol=2e-3)


def test_bad_pixels_tell_nothing(rng):
    """They hold stripes of their own, and no row of reference pixels is measured on them."""
    data, stripes = striped_series(rng)
    plain = clean_exposure(plain_exposure(data), MEDIAN_IMAGE).data
    dq = np.zeros(data.shape[-2:], np.uint32)
    dq[:, 300:] = DO_NOT_USE
    dq[:3] = DO_NOT_USE
    garbage = data.copy()
    garbage[:, :, dq != 0] += rng.normal(0, 40, (6, 4, 1)).astype(np.float32)
    result = clean_exposure(plain_exposure(garbage, pixel_dq=dq), MEDIAN_IMAGE)
    assert not result.mask[dq != 0].any()
    assert np.array_equal(result.data[:, :, :3], garbage[:, :, :3])
    dark = np.r_[3:10, 14:24]
    left = slopes((stripes - (garbage - result.data))[:, :, dark, :300])
    before = slopes((stripes - (data - plain))[:, :, dark, :300])
    expected = slopes(stripes[:, :, dark])
    assert np.var(before) < 0.05 * np.var(expected)
    assert np.var(left) < 0.05 * np.var(expected)


def test_what_is_flagged_in_some_rates_does_not_matter(rng):
    data, _ = striped_series(rng, n_integrations=7, n_groups=1, ramp=False)
    dq = np.zeros((7, 24, 800), np.uint32)
    dq[:4, :, :80] = DO_NOT_USE
    garbage = data.copy()
    garbage[:4, :, :, :80] += rng.normal(0, 300, (4, 1, 24, 80)).astype(np.float32)
    expected, got = (
        each - clean_exposure(plain_exposure(each, ramp=False, pixel_dq=dq), MEDIAN_IMAGE).data
        for each in (data, garbage)
    )
    assert np.std(expected) > 0.5
    np.testing.assert_array_equal(got[..., 80:], expected[..., 80:])


@pytest.mark.parametrize("how", ["single_mask", "user_mask"])
def test_an_integration_without_background_is_not_all_of_them(rng, how):
    data, stripes = striped_series(rng)
    dq = np.zeros(data.shape, np.uint8)
    options, mask = MEDIAN_IMAGE, None
    if how == "single_mask":
        dq[2] = DO_NOT_USE
        options = replace(MEDIAN_IMAGE, single_mask=False)
    else:
        mask = np.ones((6, 24, 800), bool)
        mask[:, 10:14] = False
        mask[2] = False
    exposure = plain_exposure(data, group_dq=dq)
    result = clean_exposure(exposure, options, user_mask=mask)
    good = [0, 1, 3, 4, 5]
    left = slopes((stripes - (data - result.data))[good][:, :, DARK])
    expected = slopes(stripes[good][:, :, DARK])
    assert np.var(left) < 0.05 * np.var(expected)


def test_a_group_that_is_missing_without_a_flag_loses_itself_alone(rng):
    data, stripes = striped_series(rng)
    data[1, 2] = np.nan
    result = clean_exposure(plain_exposure(data), MEDIAN_IMAGE)
    assert result.lost == [(1, 2)]
    left = rows((stripes - (data - result.data))[1, [0, 1, 3]][:, DARK])
    assert np.var(left - left.mean(axis=0)) < 0.02 * np.var(rows(stripes[1][:, DARK]))


def test_ramps_of_one_group_and_of_no_integration(rng):
    data, _ = striped_series(rng)
    with pytest.raises(NothingToClean, match="at least two groups"):
        clean_exposure(plain_exposure(data[:, :1]), MEDIAN_IMAGE)
    with pytest.raises(NothingToClean, match="holds no data"):
        clean_exposure(plain_exposure(data[:0]), MEDIAN_IMAGE)


def test_segments_with_masks_by_integration_are_cleaned_as_the_whole(bots, tmp_path):
    whole, *segments = write_segments(bots, tmp_path)
    options = {"background_method": "median_image", "single_mask": False}
    with CleanFlickerNoiseStep.call(str(whole), **options) as result:
        expected = np.array(result.data)
    results = CleanFlickerNoiseStep.call(tuple(segments), **options)
    got = np.concatenate([model.data for model in results])
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_outputs_do_not_overwrite_each_other(bots, tmp_path):
    _, first, second, _ = write_segments(bots, tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    with datamodels.open(second) as model:
        model.save(str(other / first.name))
    step = CleanFlickerNoiseStep(background_method="median_image", save_results=True)
    with pytest.raises(OSError, match="overwrite each other"):
        step.run([str(first), str(other / first.name)])
    assert not list(tmp_path.rglob("*clean_flicker_noise.fits"))
    step.run([str(first), str(second)])
    assert len(list(tmp_path.glob("*clean_flicker_noise.fits"))) == 2
    step.output_file = "alone_jump.fits"
    step.template, step.output_dir = None, str(other)
    step.run(str(second)).close()
    assert (other / "alone_clean_flicker_noise.fits").is_file()


@pytest.mark.parametrize("n_models", [0, 1])
def test_lists_of_none_and_of_one(bots, n_models):
    with model_from_simulation(bots) as model:
        models = [model][:n_models]
        if models:
            (result,) = CleanFlickerNoiseStep.call(models, background_method="median_image")
            assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"
        else:
            with pytest.raises(TypeError, match="no input"):
                CleanFlickerNoiseStep.call(models, background_method="median_image")


def test_mask_of_another_shape_and_parameters_without_meaning(bots, tmp_path, caplog):
    datamodels.ImageModel(data=np.ones((8, 8), np.float32)).save("mask.fits")
    with model_from_simulation(bots) as model, caplog.at_level(logging.WARNING):
        result = CleanFlickerNoiseStep.call(
            model, background_method="median_image", user_mask="mask.fits"
        )
        assert result.meta.cal_step.clean_flicker_noise == "FAILED"
        assert "user_mask has shape" in caplog.text
        caplog.clear()
        CleanFlickerNoiseStep.call(model, save_template=True)
    assert "save_template are ignored" in caplog.text


def test_what_is_not_for_the_detector_leaves_no_template(bots, tmp_path):
    nircam = replace(bots, scenario=replace(bots.scenario, instrument="NIRCAM", detector="NRCA1"))
    models = []
    for number in (1, 2):
        model = model_from_simulation(nircam)
        model.meta.filename = f"x{number}_jump.fits"
        models.append(model)
    results = CleanFlickerNoiseStep.call(
        models, background_method="median_image", fit_method="fft", save_template=True
    )
    assert {m.meta.cal_step.clean_flicker_noise for m in results} == {"SKIPPED"}
    assert not list(tmp_path.glob("*template*"))
