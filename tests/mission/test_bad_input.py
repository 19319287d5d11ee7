"""Bad input: one clear message, the right status or error, nothing broken."""

import logging
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst import datamodels
from stpipe.config_parser import ValidationError

from deflicker import CleanFlickerNoiseStep
from deflicker.models.exposure import model_from_simulation


@pytest.fixture
def ramp(small_nircam):
    model = model_from_simulation(small_nircam).copy()
    yield model
    model.close()


def without_change(caplog, model, status, reason, **parameters):
    """Run on a file; the status is as expected, one warning says why, the data stay."""
    model.save("x_ramp.fits")
    before = Path("x_ramp.fits").read_bytes()
    original = None if model.data is None else np.array(model.data)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        result = CleanFlickerNoiseStep.call("x_ramp.fits", save_results=True, **parameters)
    assert result.meta.cal_step.clean_flicker_noise == status
    assert np.array_equal(result.data, original, equal_nan=True)
    result.close()
    said = [r.getMessage() for r in caplog.records if r.name.startswith("deflicker")]
    said = [message for message in said if "Default parameters" not in message]
    assert len(said) == 1, said
    assert status in said[0]
    assert reason in said[0]
    assert Path("x_ramp.fits").read_bytes() == before
    assert sorted(p.name for p in Path().iterdir() if "ramp" in p.name or "clean" in p.name) == [
        "x_clean_flicker_noise.fits",
        "x_ramp.fits",
    ]


@pytest.mark.parametrize(
    ("attribute", "keyword"),
    [
        ("exposure.type", "EXP_TYPE"),
        ("instrument.detector", "DETECTOR"),
        ("subarray.fastaxis", "FASTAXIS"),
        ("subarray.slowaxis", "SLOWAXIS"),
    ],
)
def test_missing_keyword(caplog, ramp, attribute, keyword):
    ramp[f"meta.{attribute}"] = None
    without_change(caplog, ramp, "FAILED", keyword)


@pytest.mark.parametrize("exp_type", ["MIR_MRS", "MIR_LYOT", "MIR_4QPM"])
def test_miri_modes(caplog, ramp, exp_type):
    ramp.meta.instrument.name, ramp.meta.exposure.type = "MIRI", exp_type
    without_change(caplog, ramp, "SKIPPED", exp_type)


def test_one_group(caplog, ramp):
    ramp.data, ramp.groupdq = ramp.data[:, :1], ramp.groupdq[:, :1]
    without_change(caplog, ramp, "SKIPPED", "at least two groups")


def test_no_integrations(caplog, ramp):
    """FITS cannot hold an empty axis: from memory."""
    ramp.data, ramp.groupdq = ramp.data[:0], ramp.groupdq[:0]
    with caplog.at_level(logging.WARNING):
        result = CleanFlickerNoiseStep.call(ramp)
    assert result.meta.cal_step.clean_flicker_noise == "SKIPPED"
    assert caplog.text.count("no data") == 1
    result.close()


def test_all_pixels_flagged(caplog, ramp):
    ramp.pixeldq[:] = 1
    without_change(caplog, ramp, "SKIPPED", "no pixel can be used")


def test_all_groups_flagged(caplog, ramp):
    ramp.groupdq[:] = 1
    without_change(caplog, ramp, "SKIPPED", "no pixel can be used")


def test_all_nan(caplog, ramp):
    ramp.data[:] = np.nan
    without_change(caplog, ramp, "SKIPPED", "no pixel can be used")


@pytest.mark.parametrize("how", ["nan", "flagged"])
def test_one_group_lost_in_the_middle(caplog, ramp, how):
    """The others are cleaned, and the lost group is named."""
    if how == "nan":
        ramp.data[0, 2] = np.nan
    else:
        ramp.groupdq[0, 2] = 1
    with caplog.at_level(logging.WARNING):
        result = CleanFlickerNoiseStep.call(ramp)
    assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"
    lost = [record.getMessage() for record in caplog.records if "usable" in record.getMessage()]
    assert len(lost) == 1
    assert "integration 1, group 3; integration 1, group 4" in lost[0]
    assert np.array_equal(np.isfinite(result.data), np.isfinite(ramp.data))
    assert not np.array_equal(result.data[0, 4], ramp.data[0, 4], equal_nan=True)
    result.close()


@pytest.mark.parametrize(
    ("shape", "value", "reason"),
    [
        ((127, 256), 1, "user_mask has shape (127, 256)"),
        ((3, 128, 256), 1, "user_mask has shape (3, 128, 256)"),
        ((128, 256), 0, "user_mask leaves no pixel"),
        ((128, 256), np.nan, "user_mask leaves no pixel"),
    ],
)
def test_user_mask(caplog, ramp, shape, value, reason):
    kind = datamodels.ImageModel if len(shape) == 2 else datamodels.CubeModel
    with kind(data=np.full(shape, value, np.float32)) as mask:
        mask.save("mask.fits")
    without_change(caplog, ramp, "FAILED", reason, user_mask="./mask.fits")


def test_no_user_mask(caplog, ramp):
    without_change(caplog, ramp, "FAILED", "none.fits does not exist", user_mask="./none.fits")


def test_box_larger_than_the_image(caplog, ramp):
    box = {"background_method": "model", "background_box_size": [129, 16]}
    without_change(caplog, ramp, "FAILED", "background_box_size", **box)


def test_flat_that_is_not_there(caplog, ramp):
    parameters = {"apply_flat_field": True, "override_flat": "none.fits"}
    without_change(caplog, ramp, "FAILED", "override_flat", **parameters)


def test_flat_without_crds(caplog, ramp):
    without_change(
        caplog, ramp, "FAILED", "set up CRDS or give override_flat", apply_flat_field=True
    )


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"n_sigma": -1.0}, ["n_sigma", "-1.0"]),
        ({"n_sigma": math.nan}, ["n_sigma", "nan"]),
        ({"background_box_size": [0, 16]}, ["background_box_size", "(0, 16)", "positive"]),
        ({"background_box_size": [16, -16]}, ["background_box_size", "(16, -16)", "positive"]),
        ({"maximum_cores": "many"}, ["maximum_cores", "'many'", "half"]),
        ({"fit_method": "mean"}, ["fit_method", '"mean"', "'median', 'fft'"]),
        ({"background_method": "mean"}, ["background_method", '"mean"', "'median', 'model'"]),
        ({"background_box_size": [16]}, ["background_box_size", "[16]", "int_list(min=2, max=2"]),
        ({"n_sigma": "big"}, ["n_sigma", '"big"', "float"]),
    ],
)
def test_wrong_parameters_stop_before_any_work(ramp_file, parameters, words):
    with pytest.raises((ValueError, ValidationError)) as error:
        CleanFlickerNoiseStep.call(ramp_file, save_results=True, **parameters)
    for word in words:
        assert word in str(error.value)
    assert list(Path().iterdir()) == [Path(ramp_file.name)]


def truncated(path, fraction):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])


def test_no_such_file():
    with pytest.raises(FileNotFoundError, match="none_ramp.fits does not exist"):
        CleanFlickerNoiseStep.call("none_ramp.fits")


@pytest.mark.parametrize("name", ["x_ramp.fits", "x_ramp.txt", "x_ramp"])
def test_no_fits(tmp_path, name):
    (tmp_path / name).write_text("This is no FITS file.\n" * 1000)
    with pytest.raises(OSError, match=f"{name} cannot be read"):
        CleanFlickerNoiseStep.call(name, save_results=True)
    assert list(Path().iterdir()) == [Path(name)]


@pytest.mark.parametrize("fraction", [0.0, 0.0005, 0.01, 0.3, 0.7, 0.95, 0.9999])
def test_truncated(ramp_file, fraction):
    truncated(ramp_file, fraction)
    before = ramp_file.read_bytes()
    with pytest.raises(OSError, match=f"{ramp_file.name} (cannot be read|holds no science data)"):
        CleanFlickerNoiseStep.call(ramp_file, save_results=True)
    assert ramp_file.read_bytes() == before
    assert list(Path().iterdir()) == [Path(ramp_file.name)]


def test_no_science_extension(ramp):
    with datamodels.RampModel() as model:
        model.update(ramp)
        model.save("x_ramp.fits")
    with pytest.raises(OSError, match="x_ramp.fits holds no science data"):
        CleanFlickerNoiseStep.call("x_ramp.fits", save_results=True)
    assert list(Path().iterdir()) == [Path("x_ramp.fits")]


@pytest.mark.parametrize("kind", [datamodels.QuadModel, datamodels.Level1bModel])
def test_another_kind_of_model(caplog, ramp, kind):
    with kind(data=np.ones((1, 2, 8, 8), np.float32)) as model:
        model.update(ramp)
        without_change(caplog, model, "SKIPPED", kind.__name__)


def test_model_without_plain_data(caplog, ramp):
    with datamodels.MultiSlitModel() as model:
        model.update(ramp)
        model.save("x_cal.fits")
    with caplog.at_level(logging.WARNING), CleanFlickerNoiseStep.call("x_cal.fits") as result:
        assert result.meta.cal_step.clean_flicker_noise == "SKIPPED"
    assert caplog.text.count("MultiSlitModel is not a RampModel") == 1


def test_reference_file_as_input():
    with datamodels.GainModel(data=np.ones((8, 8), np.float32)) as model:
        model.save("gain.fits")
    with pytest.raises(TypeError, match="reference file .GainModel., not an exposure"):
        CleanFlickerNoiseStep.call("gain.fits")


def test_odd_but_readable_files(ramp_file):
    """What astropy reads with a shrug is read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(ramp_file, mode="update") as content:
            content["SCI"].header["BLANK"] = 7
        with ramp_file.open("ab") as stream:
            stream.write(b"\0" * 2880)
        with CleanFlickerNoiseStep.call(ramp_file) as result:
            assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"


def test_output_that_would_overwrite_the_input(ramp_file):
    again = ramp_file.with_name("x_clean_flicker_noise.fits")
    ramp_file.rename(again)
    before = again.read_bytes()
    with pytest.raises(OSError, match="would overwrite the input .*suffix or an output_dir"):
        CleanFlickerNoiseStep.call(again, save_results=True)
    assert again.read_bytes() == before
    CleanFlickerNoiseStep.call(again, save_results=True, output_dir="below").close()
    assert Path("below/x_clean_flicker_noise.fits").is_file()


@pytest.mark.parametrize("time", [None, math.nan, 0.0, -3.0])
def test_group_time_only_scales(ramp, time):
    with CleanFlickerNoiseStep.call(ramp) as expected:
        assert not np.allclose(expected.data, ramp.data, atol=1, equal_nan=True)
        ramp.meta.exposure.group_time = time
        with CleanFlickerNoiseStep.call(ramp) as found:
            assert found.meta.cal_step.clean_flicker_noise == "COMPLETE"
            np.testing.assert_allclose(found.data, expected.data, atol=1e-2)


@pytest.mark.parametrize("thing", [np.ones((4, 4)), 7, None])
def test_no_model_at_all(thing):
    with pytest.raises(TypeError, match="file name or a JWST data model"):
        CleanFlickerNoiseStep().run(thing)


def test_an_open_fits_file(ramp_file):
    """Is a list, of extensions: no segments of a series."""
    with (
        fits.open(ramp_file) as hdulist,
        pytest.raises(TypeError, match="file name or a JWST data model, not HDUList; write it"),
    ):
        CleanFlickerNoiseStep().run(hdulist)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("s3://bucket/x_ramp.fits", "input file s3://bucket/x_ramp.fits is an address"),
        ("https://a.b/x_ramp.fits", "input file https://a.b/x_ramp.fits is an address"),
        (Path("s3://bucket/x_ramp.fits"), "input file s3://bucket/x_ramp.fits is an address"),
        ("s3://bucket/x_asn.json", "association s3://bucket/x_asn.json is an address"),
    ],
)
def test_addresses(address, words):
    with pytest.raises(FileNotFoundError, match=f"{words}.* download it"):
        CleanFlickerNoiseStep.call(address)


@pytest.mark.parametrize("parameter", ["user_mask", "override_flat", "template"])
def test_addresses_of_parameters(caplog, ramp, parameter):
    others = {"apply_flat_field": True} if parameter == "override_flat" else {}
    if parameter == "template":
        others = {"background_method": "median_image"}
    address = "s3://bucket/x.fits"
    without_change(caplog, ramp, "FAILED", address, **{parameter: address}, **others)


@pytest.mark.parametrize(
    ("name", "value", "plain"),
    [
        ("n_sigma", np.float32(2.5), 2.5),
        ("n_sigma", np.array(3), 3),
        ("background_box_size", np.array([16, 8]), [16, 8]),
        ("background_box_size", (np.int32(16), np.int64(8)), [16, 8]),
        ("fit_by_channel", np.True_, True),
        ("maximum_cores", np.int64(1), "1"),
    ],
)
def test_numbers_of_numpy(ramp_file, name, value, plain):
    """By construction, by call, and set on a step."""
    step = CleanFlickerNoiseStep(background_method="model", **{name: value})
    found = getattr(step, name)
    assert (list(found) if isinstance(found, list | tuple) else found) == plain
    others = {"background_method": "model", "save_results": True}
    results = [CleanFlickerNoiseStep.call(ramp_file, **others, **{name: value})]
    step = CleanFlickerNoiseStep(**others)
    setattr(step, name, value)
    results.append(step.run(str(ramp_file)))
    for result in results:
        assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"
    assert np.array_equal(results[0].data, results[1].data, equal_nan=True)
    history = "".join(fits.getheader("jw00001_nrca1_clean_flicker_noise.fits")["HISTORY"])
    assert f"{name}={plain}" in history.replace("(16, 8)", "[16, 8]")


@pytest.mark.parametrize(
    "parameters",
    [{"save_results": True}, {"save_mask": True}, {"save_noise": True}, {"output_file": "a.fits"}],
)
def test_output_folder_that_cannot_be_written(ramp_file, parameters):
    Path("file").touch()
    with pytest.raises(OSError, match="output folder file/below cannot be written.*output_dir"):
        CleanFlickerNoiseStep.call(ramp_file, output_dir="file/below", **parameters)
    assert sorted(Path().iterdir()) == [Path("file"), Path(ramp_file.name)]
