from pathlib import Path

import numpy as np
import pytest
from stdatamodels.jwst import datamodels

from deflicker import CannotClean, NothingToClean
from deflicker.models.exposure import (
    exposure_from_model,
    mask_model,
    model_from_simulation,
    product_model,
)
from deflicker.models.files import check_folder, open_model, read_crds_parameters, write_whole


@pytest.fixture
def ramp(small_nircam):
    model = model_from_simulation(small_nircam).copy()
    yield model
    model.close()


def test_ramp_as_arrays(ramp, small_nircam):
    exposure = exposure_from_model(ramp)
    assert np.shares_memory(exposure.data, ramp.data)
    assert np.shares_memory(exposure.group_dq, ramp.groupdq)
    assert exposure.data.shape == (1, 5, 128, 256)
    assert (exposure.first_cleaned, exposure.n_differences) == (1, 4)
    assert exposure.readout == small_nircam.scenario.readout
    assert exposure.group_time == pytest.approx(10.73677)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ([], None),
        ([10.0, 20, 30, 40, 50], None),
        ([[1.0, 3], [5, 7], [9, 11], [13, 15], [17, 19]], None),
        ([10.0, 20, 30, 50, 60], [10, 20, 30, 50, 60]),
        ([[1.0], [3, 5], [7, 9, 11], [14], [20]], [1, 4, 9, 14, 20]),
    ],
)
def test_times_of_groups_that_are_not_evenly_spaced(ramp, given, expected):
    ramp.meta.exposure._instance["read_times"] = given
    exposure = exposure_from_model(ramp)
    if expected is None:
        assert exposure.group_times is None
        np.testing.assert_allclose(exposure.times, 10.73677 * np.arange(5))
        np.testing.assert_array_equal(exposure.steps, 1)
    else:
        np.testing.assert_array_equal(exposure.group_times, expected)
        np.testing.assert_array_equal(exposure.times, expected)
        steps = np.diff(expected)
        np.testing.assert_allclose(exposure.steps, steps / steps.mean())


@pytest.mark.parametrize(
    "given",
    [[1.0, 2], [1.0, 2, 3, 4, 4], [1.0, 2, 3, 4, np.nan], [[1.0], [2], [3], [4], []], ["a"]],
)
def test_times_that_tell_nothing_are_named(ramp, given):
    ramp.meta.exposure._instance["read_times"] = given
    with pytest.raises(CannotClean, match=r"meta.exposure.read_times .*each of the 5 groups"):
        exposure_from_model(ramp)


@pytest.mark.parametrize(
    ("pattern", "interleaved"), [("NRSIRS2", True), ("NRSIRS2RAPID", True), ("NRSRAPID", False)]
)
def test_irs2_interleaves_reference_pixels(ramp, pattern, interleaved):
    assert not exposure_from_model(ramp).readout.interleaved
    ramp.meta.exposure.readpatt = pattern
    assert exposure_from_model(ramp).readout.interleaved == interleaved


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (datamodels.CubeModel, (3, 128, 256)),
        (datamodels.ImageModel, (128, 256)),
        (datamodels.IFUImageModel, (128, 256)),
    ],
)
def test_rates_as_arrays(ramp, kind, shape):
    with kind(data=np.ones(shape, np.float32)) as rate:
        rate.update(ramp)
        exposure = exposure_from_model(rate)
        assert np.shares_memory(exposure.data, rate.data)
        assert exposure.data.shape == ((*shape, 1)[0] if len(shape) == 3 else 1, 1, 128, 256)
        assert exposure.group_dq is None
        assert (exposure.first_cleaned, exposure.n_differences) == (0, 1)


def test_miri_banding_is_vertical_whatever_the_keywords_say(ramp):
    ramp.meta.instrument.name, ramp.meta.instrument.detector = "MIRI", "MIRIMAGE"
    ramp.meta.exposure.type = "MIR_IMAGE"
    ramp.meta.subarray.fastaxis, ramp.meta.subarray.slowaxis = None, None
    readout = exposure_from_model(ramp).readout
    stripe = np.zeros((4, 6))
    stripe[:, 2] = 1
    assert np.ptp(readout.to_detector(stripe), axis=1).max() == 0
    assert readout.n_outputs == 1


@pytest.mark.parametrize(
    ("attribute", "keyword"),
    [
        ("exposure.type", "EXP_TYPE"),
        ("instrument.name", "INSTRUME"),
        ("instrument.detector", "DETECTOR"),
        ("subarray.fastaxis", "FASTAXIS"),
        ("subarray.slowaxis", "SLOWAXIS"),
    ],
)
def test_missing_keywords_are_named(ramp, attribute, keyword):
    ramp[f"meta.{attribute}"] = None
    with pytest.raises(CannotClean, match=f"meta.{attribute} is missing.*{keyword}"):
        exposure_from_model(ramp)


@pytest.mark.parametrize("exp_type", ["MIR_MRS", "MIR_LYOT", "MIR_4QPM", "MIR_LRS-FIXEDSLIT"])
def test_miri_other_than_imaging(ramp, exp_type):
    ramp.meta.instrument.name, ramp.meta.exposure.type = "MIRI", exp_type
    with pytest.raises(NothingToClean, match=exp_type):
        exposure_from_model(ramp)


def test_guider(ramp):
    ramp.meta.instrument.name, ramp.meta.exposure.type = "FGS", "FGS_IMAGE"
    with pytest.raises(NothingToClean, match="FGS"):
        exposure_from_model(ramp)


def test_another_kind_of_model(ramp):
    with datamodels.MultiSlitModel() as model:
        model.update(ramp)
        with pytest.raises(NothingToClean, match="MultiSlitModel"):
            exposure_from_model(model)


def test_contradicting_axes(ramp):
    ramp.meta.subarray.slowaxis = 1
    with pytest.raises(CannotClean, match="FASTAXIS, SLOWAXIS"):
        exposure_from_model(ramp)


def test_arrays_that_do_not_fit(ramp):
    ramp.pixeldq = np.zeros((5, 5), np.uint32)
    with pytest.raises(CannotClean, match="data quality arrays"):
        exposure_from_model(ramp)


def test_products_keep_kind_and_metadata(ramp):
    with product_model(ramp, np.ones((1, 5, 128, 256), np.float32)) as product:
        assert isinstance(product, datamodels.RampModel)
        assert product.meta.exposure.type == "NRC_IMAGE"
    for shape, kind in (((128, 256), datamodels.ImageModel), ((2, 128, 256), datamodels.CubeModel)):
        mask = np.zeros(shape, bool)
        mask[..., 3:] = True
        with mask_model(ramp, mask) as product:
            assert type(product) is kind
            assert np.array_equal(product.data, mask.astype(np.float32))


def test_simulation_survives_a_file(ramp, tmp_path, small_nircam):
    path = tmp_path / "x_ramp.fits"
    write_whole(ramp, path)
    assert [item.name for item in tmp_path.iterdir()] == ["x_ramp.fits"]
    with open_model(path) as model:
        assert model.meta.filename == "x_ramp.fits"
        assert np.array_equal(model.data, small_nircam.data, equal_nan=True)
        assert np.array_equal(model.groupdq, small_nircam.group_dq)
        assert exposure_from_model(model).readout == small_nircam.scenario.readout
    parameters = read_crds_parameters(path)
    assert parameters["meta.instrument.name"] == "NIRCAM"


def test_a_failed_write_keeps_the_old_file(ramp, tmp_path, monkeypatch):
    path = tmp_path / "x_ramp.fits"
    path.write_bytes(b"old")

    def half(_model, name, *_args, **_options):
        Path(name).write_bytes(b"SIMPLE")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(datamodels.RampModel, "save", half)
    with pytest.raises(OSError, match="No space"):
        write_whole(ramp, path)
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["x_ramp.fits"]


def test_parameters_of_files_without_asdf_extension(ramp, tmp_path):
    path = tmp_path / "bare_ramp.fits"
    ramp._no_asdf_extension = True
    ramp.save(str(path))
    assert read_crds_parameters(path)["meta.exposure.type"] == "NRC_IMAGE"


def test_parameters_of_what_cannot_be_read(tmp_path):
    assert read_crds_parameters(tmp_path / "none.fits") == {}
    (tmp_path / "text.fits").write_text("no FITS")
    assert read_crds_parameters(tmp_path / "text.fits") == {}


def test_folders(tmp_path):
    check_folder(tmp_path / "new" / "deep")
    assert (tmp_path / "new" / "deep").is_dir()
    assert not list((tmp_path / "new" / "deep").iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="output folder .*file.* cannot be written.*output_dir"):
        check_folder(tmp_path / "file" / "below")
