"""SOSS traces in the step: made PASTASOSS files, sub-arrays, pupil wheel, and bad input."""

import logging
import math

import numpy as np
import pytest
from astropy.io import fits
from small_pastasoss import (
    BOUNDS,
    COMMANDED,
    PIVOTS,
    pastasoss_file,
    pastasoss_model,
    reference_points,
)
from stdatamodels.jwst import datamodels

from deflicker import CannotClean, CleanFlickerNoiseStep
from deflicker.models.soss import read_traces, soss_region
from deflicker.scene.traces import Trace, trace_region

SHAPES = {"SUBSTRIP256": (256, 2048), "SUBSTRIP96": (96, 2048), "FULL": (2048, 2048)}


def rate_model(subarray="SUBSTRIP256", position=COMMANDED):
    """A rate image of noise alone: what is masked in it is a region, or next to nothing."""
    shape = SHAPES[subarray]
    data = np.random.default_rng(8).normal(10, 1, shape).astype(np.float32)
    model = datamodels.ImageModel(data=data, dq=np.zeros(shape, np.uint32))
    model.meta.instrument.name, model.meta.instrument.detector = "NIRISS", "NIS"
    model.meta.instrument.pupil, model.meta.instrument.filter = "GR700XD", "CLEAR"
    model.meta.instrument.pupil_position = position
    model.meta.exposure.type = "NIS_SOSS"
    model.meta.exposure.noutputs = 4 if subarray == "FULL" else 1
    model.meta.observation.date, model.meta.observation.time = "2026-01-01", "00:00:00"
    model.meta.subarray.name = subarray
    model.meta.subarray.fastaxis, model.meta.subarray.slowaxis = -2, -1
    model.meta.filename = "soss_rate.fits"
    return model


def expected_region(subarray, rotation):
    first = {"SUBSTRIP256": 0, "SUBSTRIP96": 10, "FULL": -1792}[subarray]
    traces = [
        Trace(
            order=order,
            x=reference_points(order)[:, 0],
            y=reference_points(order)[:, 1],
            pivot_x=pivot[0],
            pivot_y=pivot[1],
        )
        for order, pivot in PIVOTS.items()
    ]
    return trace_region(traces, SHAPES[subarray], rotation=rotation, first_row=first)


@pytest.fixture
def reference(tmp_path):
    return pastasoss_file(tmp_path / "traces.asdf")


def run(model, reference, **parameters):
    return CleanFlickerNoiseStep(
        mask_science_regions=True, override_pastasoss=reference, **parameters
    ).run(model)


@pytest.mark.parametrize("rotation", [0.0, 0.2, -0.2])
@pytest.mark.parametrize("subarray", ["SUBSTRIP256", "SUBSTRIP96"])
def test_traces_are_masked(reference, subarray, rotation):
    with rate_model(subarray, COMMANDED + rotation) as model:
        result = run(model, reference, n_sigma=5, save_mask=True)
        assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert result.meta.ref_file.pastasoss.name == reference
        assert result.meta.ref_file.crds.context_used is None
        result.close()
    masked = fits.getdata("soss_mask.fits", "SCI") == 0
    region = expected_region(subarray, rotation)
    assert masked[region].all()
    assert masked[~region].mean() < 1e-2


def test_the_rotation_moves_the_mask(tmp_path):
    """By its sine times the distance from the pivot: 7.9 pixels at column 80 for 0.25 degrees."""
    reference = pastasoss_file(tmp_path / "first.asdf", orders=(1,))
    with rate_model(position=COMMANDED) as model:
        before = soss_region(model, reference)
        model.meta.instrument.pupil_position = COMMANDED - 0.25
        after = soss_region(model, reference)
    rows = np.arange(256)[:, np.newaxis]
    moved = ((rows * after).sum(0) / after.sum(0) - (rows * before).sum(0) / before.sum(0))[80]
    assert moved == pytest.approx(math.sin(math.radians(0.25)) * (1890 - 80), abs=1)  # whole rows


@pytest.mark.parametrize("subarray", list(SHAPES))
def test_sub_arrays_see_the_same_pixels(reference, subarray):
    with rate_model(subarray) as model:
        found = soss_region(model, reference)
    assert np.array_equal(found, expected_region(subarray, 0.0))


def test_a_path_and_an_open_reference(tmp_path, reference):
    with pastasoss_model() as opened, rate_model() as model:
        result = run(model, tmp_path / "traces.asdf")
        from_model = run(model, opened)
        assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert np.array_equal(result.data, from_model.data)
        assert len(opened.traces) == 3


def test_a_trace_with_gaps(tmp_path):
    """Points that are NaN are none; the others are joined."""
    with pastasoss_model((1,)) as model:
        model.traces[0].trace[10:20] = np.nan
        model.save(str(tmp_path / "gaps.asdf"))
    (trace,) = read_traces(tmp_path / "gaps.asdf").traces
    assert trace.x.size == 2038
    assert np.isfinite(trace.y).all()


def failed(model, caplog, reference, **parameters):
    """Run on bad input: one message, the right status, and the data as they came."""
    with model, caplog.at_level(logging.INFO):
        before = model.data.tobytes()
        result = run(model, reference, **parameters)
        assert result.meta.cal_step.clean_flicker_noise == "FAILED"
        assert result.meta.ref_file.pastasoss.name is None
        assert result.data.tobytes() == before
        result.close()
    said = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 1, said
    return said[0].getMessage()


@pytest.mark.parametrize("position", [BOUNDS[0] - 0.01, BOUNDS[1] + 0.01, 0.0])
def test_pupil_wheel_elsewhere(reference, caplog, position):
    said = failed(rate_model(position=position), caplog, reference)
    for words in ("PWCPOS", f"{position:g}", "245.51 to 246.01", "override_pastasoss"):
        assert words in said


@pytest.mark.parametrize("position", BOUNDS)
def test_bounds_are_allowed(reference, position):
    with rate_model(position=position) as model:
        assert soss_region(model, reference).any()


def test_no_pupil_wheel_position(reference, caplog):
    assert "PWCPOS" in failed(rate_model(position=None), caplog, reference)


def test_another_pupil(reference, tmp_path, caplog):
    model = rate_model()
    model.meta.instrument.pupil = "CLEARP"
    said = failed(model, caplog, reference)
    assert "(PUPIL) is CLEARP" in said
    assert "GR700XD" in said
    caplog.clear()
    with pastasoss_model() as other:
        other.meta.instrument.pupil = "NRM"
        other.save(str(tmp_path / "other.asdf"))
    said = failed(rate_model(), caplog, str(tmp_path / "other.asdf"))
    assert "(PUPIL) is GR700XD" in said
    assert "other.asdf is for NRM" in said


def test_no_such_file(caplog):
    said = failed(rate_model(), caplog, "none.asdf")
    assert "none.asdf" in said
    assert "override_pastasoss" in said


@pytest.mark.parametrize("kind", ["flat", "text", "truncated", "exposure"])
def test_files_of_other_kinds(reference, tmp_path, caplog, kind):
    path = tmp_path / ("other.asdf" if kind == "truncated" else "other.fits")
    if kind == "flat":
        with datamodels.FlatModel(data=np.ones((4, 4), np.float32)) as flat:
            flat.save(str(path))
    elif kind == "exposure":
        with rate_model() as model:
            model.save(str(path))
    elif kind == "text":
        path.write_text("traces")
    else:
        content = (tmp_path / "traces.asdf").read_bytes()
        path.write_bytes(content[: len(content) // 10])
    said = failed(rate_model(), caplog, str(path))
    assert str(path) in said
    assert "override_pastasoss" in said


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"pwcpos_cmd": None}, "meta.pwcpos_cmd is missing"),
        ({"pwcpos_bounds": None}, "meta.pwcpos_bounds is missing"),
    ],
)
def test_incomplete_files(tmp_path, meta, words):
    path = pastasoss_file(tmp_path / "x.asdf", **meta)
    with pytest.raises(CannotClean, match=words):
        read_traces(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trace": np.zeros((5, 3))}, "shape"),
        ({"trace": np.zeros((1, 2))}, "order 1"),
        ({"pivot_x": None}, "pivot_x"),
    ],
)
def test_broken_traces(changes, words):
    with pastasoss_model() as model:
        trace = {**model.traces[0].instance, **changes}
        model.traces = [{name: value for name, value in trace.items() if value is not None}]
        with pytest.raises(CannotClean, match=words):
            read_traces(model)


def test_traces_beside_the_image(tmp_path, caplog):
    path = pastasoss_file(tmp_path / "x.asdf", subarray_ymin=0)
    assert "beside SUBSTRIP256" in failed(rate_model(), caplog, path)


@pytest.mark.parametrize(
    "name", ["SUB17STRIPE_SOSS", "SUB204STRIPE_SOSS", "SUB60STRIPE_SOSS", None]
)
@pytest.mark.parametrize("start", [1793, None])
def test_stripes_are_masked_as_the_window_that_they_make(reference, name, start):
    """By the keywords or, without them, by the size."""
    with rate_model() as model:
        model.meta.subarray.name = name
        model.meta.subarray.xstart, model.meta.subarray.ystart = start and 1, start
        result = run(model, reference)
        assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert np.array_equal(soss_region(model, reference), expected_region("SUBSTRIP256", 0.0))


def test_a_cut_out_is_where_the_keywords_say(reference):
    region = expected_region("SUBSTRIP256", 0.1)
    with rate_model(position=COMMANDED + 0.1) as model:
        model.data, model.dq = model.data[20:, 300:], model.dq[20:, 300:]
        model.meta.subarray.xstart, model.meta.subarray.ystart = 301, 1793 + 20
        assert np.array_equal(soss_region(model, reference), region[20:, 300:])


@pytest.mark.parametrize("name", ["SUBSTRIP256", "SUB204STRIPE_SOSS"])
def test_a_cut_out_without_place(reference, caplog, name):
    model = rate_model()
    model.data, model.dq = model.data[20:], model.dq[20:]
    model.meta.subarray.name = name
    said = failed(model, caplog, reference)
    assert "SUBSTRT2" in said
    assert f"{name} (SUBARRAY) of (236, 2048) pixels" in said
    assert "user_mask" in said


def test_places_count_from_1(reference, caplog):
    model = rate_model()
    model.data, model.dq = model.data[20:], model.dq[20:]
    model.meta.subarray.ystart = 0
    assert "count from 1" in failed(model, caplog, reference)


def test_a_known_name_of_another_size(reference, caplog):
    model = rate_model()
    model.meta.subarray.name = "SUBSTRIP96"
    assert "of (256, 2048) pixels" in failed(model, caplog, reference)


def test_without_crds(caplog):
    said = failed(rate_model(), caplog, None)
    assert "set up CRDS or give override_pastasoss" in said


def test_none_of_crds_is_wanted(caplog):
    assert "needs a PASTASOSS reference file" in failed(rate_model(), caplog, "N/A")


def test_the_file_is_not_looked_up_where_it_is_not_needed(tmp_path):
    """A user's mask is the whole mask; without mask_science_regions there are no regions."""
    with datamodels.ImageModel(data=np.ones((256, 2048), np.float32)) as mask:
        mask.save("ones.fits")
    for parameters in (
        {"mask_science_regions": True, "user_mask": str(tmp_path / "ones.fits")},
        {"mask_science_regions": False},
    ):
        with rate_model() as model:
            step = CleanFlickerNoiseStep(override_pastasoss="none.asdf", **parameters)
            result = step.run(model)
            assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"
            assert result.meta.ref_file.pastasoss.name is None
