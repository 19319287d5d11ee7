import logging
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst import datamodels

from conftest import exposure_of
from deflicker import CleanFlickerNoiseStep, CleanOptions, __version__, clean_exposure
from deflicker.models.exposure import model_from_simulation
from deflicker.models.files import open_model
from deflicker.simulation.quality import measure_quality


@pytest.fixture
def ramp(small_nircam):
    """An open ramp of its own memory."""
    model = model_from_simulation(small_nircam).copy()
    yield model
    model.close()


def run(data, **parameters):
    """With ``median``, which is quick and the default of the recipe, unless a method is given."""
    return CleanFlickerNoiseStep.call(data, **{"fit_method": "median", **parameters})


def test_same_numbers_as_the_recipe(small, tmp_path):
    path = tmp_path / "x_ramp.fits"
    with model_from_simulation(small) as model:
        model.save(str(path))
    expected = clean_exposure(exposure_of(small)).data
    with run(str(path)) as cleaned:
        assert type(cleaned) is datamodels.RampModel
        assert cleaned.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert np.array_equal(cleaned.data, expected, equal_nan=True)


@pytest.mark.parametrize("kind", [str, Path])
def test_files_are_input(ramp_file, kind, small_nircam):
    before = ramp_file.read_bytes()
    with run(kind(ramp_file)) as cleaned:
        assert cleaned.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert not np.array_equal(cleaned.data, small_nircam.data, equal_nan=True)
    assert ramp_file.read_bytes() == before
    assert list(ramp_file.parent.iterdir()) == [ramp_file]


def test_open_input_is_not_changed(ramp):
    before = ramp.copy()
    with run(ramp) as cleaned:
        assert cleaned.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert not np.shares_memory(cleaned.data, ramp.data)
        assert not np.array_equal(cleaned.data, before.data, equal_nan=True)
    assert np.array_equal(ramp.data, before.data, equal_nan=True)
    assert ramp.meta.cal_step.clean_flicker_noise is None
    before.close()


@pytest.mark.parametrize("byte_order", ["asdf", "fits"])
def test_file_formats(ramp, tmp_path, byte_order, small_nircam):
    path = tmp_path / f"x_ramp.{byte_order}"
    ramp.save(str(path))
    with run(path) as cleaned:
        expected = clean_exposure(exposure_of(small_nircam)).data
        assert np.array_equal(cleaned.data, expected, equal_nan=True)


@pytest.mark.parametrize(
    "parameters",
    [
        {"fit_by_channel": True},
        {"background_method": "model"},
        {"background_method": "model", "background_box_size": [16, 64]},
        {"background_method": None},
        {"n_sigma": 3.0, "fit_histogram": True},
        {"single_mask": False},
    ],
)
def test_parameters_reach_the_recipe(ramp, small_nircam, parameters):
    options = dict(parameters)
    if "background_box_size" in options:
        options["background_box_size"] = tuple(options["background_box_size"])
    expected = clean_exposure(exposure_of(small_nircam), CleanOptions(**options)).data
    default = clean_exposure(exposure_of(small_nircam)).data
    with run(ramp, **parameters) as cleaned:
        assert np.array_equal(cleaned.data, expected, equal_nan=True)
        if parameters != {"single_mask": False}:
            assert not np.array_equal(cleaned.data, default, equal_nan=True)


@pytest.mark.parametrize("text", ["None", "none"])
def test_the_text_none_means_none(ramp, text):
    with run(ramp, user_mask=text) as cleaned, run(ramp) as default:
        assert np.array_equal(cleaned.data, default.data, equal_nan=True)
    with run(ramp, background_method="None") as cleaned, run(ramp, background_method=None) as none:
        assert cleaned.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert np.array_equal(cleaned.data, none.data, equal_nan=True)


@pytest.mark.parametrize("kind", ["rate", "rateints"])
def test_rates(ramp, small_nircam, kind):
    rate = (small_nircam.data[0, -1] - small_nircam.data[0, 0]) / 43
    model_class, data = {
        "rate": (datamodels.ImageModel, rate),
        "rateints": (datamodels.CubeModel, np.stack([rate, rate * 1.1])),
    }[kind]
    with model_class(data=data) as model:
        model.update(ramp)
        dq = np.broadcast_to(small_nircam.pixel_dq, data.shape)
        model.dq = dq.copy()
        with run(model, save_noise=True, save_mask=True, guard_light=False) as cleaned:
            assert type(cleaned) is model_class
            assert cleaned.data.shape == data.shape
            assert cleaned.meta.cal_step.clean_flicker_noise == "COMPLETE"
            removed = data - cleaned.data
            assert np.nanstd(removed) > 0
            # NIRCam's stripes run along x.
            assert np.nanmax(np.nanstd(removed, axis=-1)) < 1e-4 * np.nanstd(removed)
            assert np.array_equal(np.isfinite(cleaned.data), np.isfinite(data))


def test_products(ramp_file, small_nircam):
    with run(ramp_file, save_mask=True, save_background=True, save_noise=True) as cleaned:
        names = sorted(path.name for path in Path().glob("*.fits") if path.name != ramp_file.name)
        assert names == [
            "jw00001_nrca1_flicker_bkg.fits",
            "jw00001_nrca1_flicker_noise.fits",
            "jw00001_nrca1_mask.fits",
        ]
        with open_model(names[0]) as background, open_model(names[1]) as noise:
            assert type(background) is type(noise) is datamodels.RampModel
            difference = cleaned.data - small_nircam.data
            np.testing.assert_allclose(
                np.nan_to_num(difference), np.where(np.isnan(difference), 0, noise.data), atol=0.01
            )
            sky = background.data[0, 1:]
            assert np.all(sky == sky[:, :1, :1])
            assert np.all(background.data[0, 0] == 0)
        with open_model(names[2]) as mask:
            assert type(mask) is datamodels.ImageModel
            assert set(np.unique(mask.data)) == {0, 1}
            reference = (small_nircam.pixel_dq & (1 << 31)) != 0
            assert not mask.data[reference].any()


def test_mask_comes_back_as_user_mask(ramp_file, tmp_path):
    with run(ramp_file, save_mask=True) as first:
        pass
    with run(ramp_file, user_mask="jw00001_nrca1_mask.fits") as second:
        assert np.array_equal(first.data, second.data, equal_nan=True)
    with open_model(tmp_path / "jw00001_nrca1_mask.fits") as mask:
        mask.data[:, :100] = 0
        mask.save(str(tmp_path / "edited.fits"))
    with run(ramp_file, user_mask=str(tmp_path / "edited.fits")) as third:
        assert not np.array_equal(first.data, third.data, equal_nan=True)


def test_saved_under_the_pipelines_names(ramp_file, tmp_path):
    run(ramp_file, save_results=True).close()
    assert (tmp_path / "jw00001_nrca1_clean_flicker_noise.fits").is_file()
    run(ramp_file, save_results=True, output_dir="below", suffix="clean").close()
    assert (tmp_path / "below" / "jw00001_nrca1_clean.fits").is_file()
    run(ramp_file, output_file="mine.fits").close()
    assert (tmp_path / "mine_clean_flicker_noise.fits").is_file()


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("jw01_nrca1_jump", "jw01_nrca1"),
        ("jw01_nrca1_ramp", "jw01_nrca1"),
        ("jw01_nrca1_rateints", "jw01_nrca1"),
        ("jw01_nrca1_clean_flicker_noise", "jw01_nrca1"),
        ("jw01_nrca1_ramp.fits", "jw01_nrca1"),
        ("jw01_nrca1", "jw01_nrca1"),
        ("mine", "mine"),
    ],
)
def test_known_suffixes(name, bare):
    assert CleanFlickerNoiseStep.remove_suffix(name)[0] == bare


def test_header_tells_what_was_done(ramp_file, tmp_path):
    run(ramp_file, save_results=True, n_sigma=2.5).close()
    path = tmp_path / "jw00001_nrca1_clean_flicker_noise.fits"
    header = fits.getheader(path)
    assert header["S_CLNFNS"] == "COMPLETE"
    history = "".join(header["HISTORY"])
    assert f"deflicker {__version__} clean_flicker_noise" in history
    assert "n_sigma=2.5" in history
    assert "% of the pixels" in history
    assert "R_FLAT" not in header
    with open_model(path) as model:
        assert model.meta.cal_step.clean_flicker_noise == "COMPLETE"


def test_log_tells_what_is_done(ramp_file, caplog):
    with caplog.at_level(logging.INFO):
        run(ramp_file).close()
    messages = [record.getMessage() for record in caplog.records if "deflicker" in record.name]
    assert any("Cleaning jw00001_nrca1_jump.fits" in message for message in messages)
    assert any("% of the pixels see background" in message for message in messages)
    assert any("4 of 4 differences" in message for message in messages)


def test_series_method_on_one_integration_is_skipped(ramp, caplog):
    with caplog.at_level(logging.WARNING), run(ramp, background_method="median_image") as result:
        assert result.meta.cal_step.clean_flicker_noise == "SKIPPED"
        assert np.array_equal(result.data, ramp.data, equal_nan=True)
    assert sum("median_image" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize(
    ("instrument", "exp_type", "status"),
    [
        ("NIRSPEC", "NRS_IFU", "FAILED"),
        ("NIRSPEC", "NRS_FIXEDSLIT", "FAILED"),
        ("NIRISS", "NIS_SOSS", "FAILED"),
        ("NIRISS", "NIS_WFSS", "COMPLETE"),
        ("NIRCAM", "NRC_WFSS", "COMPLETE"),
        ("NIRCAM", "NRC_IMAGE", "COMPLETE"),
    ],
)
def test_science_regions_by_mode(ramp, caplog, instrument, exp_type, status):
    ramp.meta.instrument.name, ramp.meta.exposure.type = instrument, exp_type
    ramp.meta.instrument.detector = {"NIRSPEC": "NRS1", "NIRISS": "NIS"}.get(instrument, "NRCA1")
    with run(ramp) as plain:
        assert plain.meta.cal_step.clean_flicker_noise == "COMPLETE"
    caplog.clear()
    with caplog.at_level(logging.WARNING), run(ramp, mask_science_regions=True) as result:
        assert result.meta.cal_step.clean_flicker_noise == status
    assert sum("mask_science_regions" in record.message for record in caplog.records) == 1


def flat_file(path, shape, dq=None):
    y, _ = np.mgrid[: shape[0], : shape[1]]
    with datamodels.FlatModel(data=(1 + 0.05 * np.sin(y)).astype(np.float32)) as flat:
        flat.dq = np.zeros(shape, np.uint32) if dq is None else dq
        flat.save(str(path))
    return str(path)


def test_flat_field_by_override(ramp, tmp_path, small_nircam):
    path = flat_file(tmp_path / "flat.fits", (128, 256))
    with open_model(path) as flat:
        expected = clean_exposure(exposure_of(small_nircam), flat=np.array(flat.data, "f4")).data
    with run(ramp, apply_flat_field=True, override_flat=path) as cleaned:
        assert np.array_equal(cleaned.data, expected, equal_nan=True)
        assert cleaned.meta.ref_file.flat.name == path
        assert cleaned.meta.ref_file.crds.context_used is None


def test_miri_non_science_pixels_come_from_the_flat(small_nircam, tmp_path):
    dq = np.zeros((128, 256), np.uint32)
    dq[:40] = 1
    path = flat_file(tmp_path / "flat.fits", (128, 256), dq)
    with model_from_simulation(small_nircam) as model:
        model.meta.instrument.name, model.meta.exposure.type = "MIRI", "MIR_IMAGE"
        model.save("miri_ramp.fits")
    for wanted in (True, False):
        run(
            "miri_ramp.fits", mask_science_regions=wanted, override_flat=path, save_mask=True
        ).close()
        mask = fits.getdata("miri_mask.fits", "SCI")
        assert mask[:40].any() == (not wanted)
        assert mask[40:].mean() > 0.8


def test_the_specification_is_what_it_was():
    """Parameter files and ``strun --help`` depend on every word of it."""
    kept = (Path(__file__).parent / "specification.txt").read_text()
    assert CleanFlickerNoiseStep.spec.strip() == kept.strip()


def test_every_parameter_of_the_specification_has_its_default():
    expected = {
        "autoparam": False,
        "fit_method": "auto",
        "fit_by_channel": False,
        "background_method": "median",
        "background_box_size": None,
        "mask_science_regions": False,
        "apply_flat_field": False,
        "n_sigma": 2.0,
        "fit_histogram": False,
        "guard_light": True,
        "single_mask": True,
        "user_mask": None,
        "save_mask": False,
        "save_background": False,
        "save_noise": False,
        "save_spectrum": False,
        "maximum_cores": "all",
        "memory_limit": "half",
        "progress_bar": True,
        "skip": False,
        "override_flat": None,
        "override_pastasoss": None,
    }
    step = CleanFlickerNoiseStep()
    assert {name: getattr(step, name) for name in expected} == expected


@pytest.mark.parametrize("cores", ["none", "1", "half", "all"])
def test_cores_do_not_change_the_result(ramp, small_nircam, cores):
    expected = clean_exposure(exposure_of(small_nircam)).data
    with run(ramp, maximum_cores=cores) as cleaned:
        assert np.array_equal(cleaned.data, expected, equal_nan=True)


def test_user_mask_is_the_whole_mask(ramp, tmp_path, caplog):
    """Regions that cannot be found do not matter then."""
    with datamodels.ImageModel(data=np.ones((128, 256), np.float32)) as mask:
        mask.save("mask.fits")
    for exp_type, instrument in (("NRS_IFU", "NIRSPEC"), ("MIR_IMAGE", "MIRI")):
        ramp.meta.instrument.name, ramp.meta.exposure.type = instrument, exp_type
        ramp.meta.instrument.detector = {"NIRSPEC": "NRS1"}.get(instrument, "MIRIMAGE")
        caplog.clear()
        with run(ramp, user_mask=str(tmp_path / "mask.fits"), mask_science_regions=True) as result:
            assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert "mask_science_regions is ignored" in caplog.text


def test_flat_marks_regions_of_miri_alone(ramp, tmp_path):
    """For others apply_flat_field divides, and no more."""
    dq = np.zeros((128, 256), np.uint32)
    dq[:40] = 1
    path = flat_file(tmp_path / "flat.fits", (128, 256), dq)
    flat = {"apply_flat_field": True, "override_flat": path}
    with run(ramp, **flat) as plain, run(ramp, mask_science_regions=True, **flat) as asked:
        assert asked.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert asked.meta.ref_file.flat.name == path
        assert np.array_equal(plain.data, asked.data, equal_nan=True)


def test_products_say_that_they_are_of_a_cleaned_ramp(ramp_file):
    run(ramp_file, save_noise=True).close()
    header = fits.getheader("jw00001_nrca1_flicker_noise.fits")
    assert header["S_CLNFNS"] == "COMPLETE"
    assert "deflicker" in "".join(header["HISTORY"])
    with open_model("jw00001_nrca1_flicker_noise.fits") as noise, open_model(ramp_file) as raw:
        assert np.array_equal(noise.pixeldq, raw.pixeldq)


def test_failure_records_no_reference(ramp, tmp_path):
    path = flat_file(tmp_path / "flat.fits", (128, 256))
    with datamodels.ImageModel(data=np.ones((5, 5), np.float32)) as mask:
        mask.save("mask.fits")
    bad_mask = {"override_flat": path, "user_mask": "./mask.fits"}
    for parameters in ({"override_flat": "none.fits"}, bad_mask):
        with run(ramp, apply_flat_field=True, **parameters) as result:
            assert result.meta.cal_step.clean_flicker_noise == "FAILED"
            assert result.meta.ref_file.flat.name is None


@pytest.mark.parametrize(("instrument", "detector"), [("NIRCAM", "NRCA1"), ("NIRISS", "NIS")])
def test_fourier_is_for_nirspec(ramp, caplog, instrument, detector):
    ramp.meta.instrument.name, ramp.meta.instrument.detector = instrument, detector
    with caplog.at_level(logging.WARNING), run(ramp, fit_method="fft") as result:
        assert result.meta.cal_step.clean_flicker_noise == "SKIPPED"
        assert np.array_equal(result.data, ramp.data, equal_nan=True)
    assert caplog.text.count("fit_method='fft' is for NIRSpec") == 1


def test_the_wiener_filter_is_not_for_miri(ramp, caplog):
    ramp.meta.instrument.name, ramp.meta.instrument.detector = "MIRI", "MIRIMAGE"
    ramp.meta.exposure.type = "MIR_IMAGE"
    with caplog.at_level(logging.WARNING), run(ramp, fit_method="wiener") as result:
        assert result.meta.cal_step.clean_flicker_noise == "SKIPPED"
        assert np.array_equal(result.data, ramp.data, equal_nan=True)
    assert caplog.text.count("fit_method='wiener' is for near-infrared detectors") == 1


def test_the_wiener_filter_in_the_step(ramp, small_nircam):
    expected = clean_exposure(exposure_of(small_nircam), CleanOptions(fit_method="wiener")).data
    with run(ramp, fit_method="wiener") as cleaned:
        assert cleaned.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert np.array_equal(cleaned.data, expected, equal_nan=True)


@pytest.mark.parametrize("detector", ["NRS1", "NRS2"])
def test_fourier_of_nirspec(ramp, small_nircam, detector):
    ramp.meta.instrument.name, ramp.meta.instrument.detector = "NIRSPEC", detector
    ramp.meta.exposure.type, ramp.meta.exposure.noutputs = "NRS_BRIGHTOBJ", 1
    expected = clean_exposure(exposure_of(small_nircam), CleanOptions(fit_method="fft")).data
    with run(ramp, fit_method="fft") as cleaned:
        assert cleaned.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert np.array_equal(cleaned.data, expected, equal_nan=True)


def test_other_detectors_of_nirspec(ramp, caplog):
    ramp.meta.instrument.name, ramp.meta.exposure.type = "NIRSPEC", "NRS_IFU"
    with caplog.at_level(logging.WARNING), run(ramp) as result:
        assert result.meta.cal_step.clean_flicker_noise == "FAILED"
    assert "must be NRS1 or NRS2, not NRCA1" in caplog.text


def test_paths_and_numbers_where_stpipe_wants_text(ramp_file, tmp_path):
    run(ramp_file, save_mask=True, output_dir=tmp_path / "below").close()
    mask = tmp_path / "below" / "jw00001_nrca1_mask.fits"
    with run(ramp_file, user_mask=mask, maximum_cores=1) as called:
        history = "".join(entry["description"] for entry in called._asdf["history"]["entries"])
        assert f"user_mask={mask}" in history
    step = CleanFlickerNoiseStep(user_mask=mask)
    step.maximum_cores = 1
    step.output_dir = tmp_path / "again"
    step.save_results = True
    step.run(ramp_file).close()
    assert (tmp_path / "again" / "jw00001_nrca1_clean_flicker_noise.fits").is_file()


def test_header_tells_every_parameter_and_what_was_removed(ramp_file):
    """In cards that a save and a reopening by stdatamodels leave as they are."""
    run(
        ramp_file,
        n_sigma=2.25,
        fit_by_channel=True,
        save_results=True,
        save_noise=True,
        save_mask=True,
    ).close()
    path = "jw00001_nrca1_clean_flicker_noise.fits"
    with open_model(path) as model:
        model.save("again.fits")
    # Cards lose the blanks at their ends.
    history = "".join(fits.getheader("again.fits")["HISTORY"]).replace(" ", "")
    assert f"deflicker{__version__}" in history
    spec = CleanFlickerNoiseStep.load_spec_file()
    for name, value in CleanFlickerNoiseStep().get_pars(full_spec=False).items():
        assert name in spec
        if name in {"memory_limit", "progress_bar"}:  # no matter where, and who watched
            assert name not in history
        elif name not in {"fit_method", "n_sigma", "fit_by_channel", "save_noise", "save_mask"}:
            assert f"{name}={value}".replace(" ", "") in history
    assert "fit_method=median" in history
    assert "n_sigma=2.25" in history
    assert "fit_by_channel=True" in history
    for name in ("mask", "flicker_noise"):
        product = "".join(fits.getheader(f"jw00001_nrca1_{name}.fits")["HISTORY"])
        assert product.replace(" ", "") == history
    noise = np.diff(fits.getdata("jw00001_nrca1_flicker_noise.fits", "SCI"), axis=1)
    told = float(history.split("differences")[1].split("DN")[0])
    assert told == pytest.approx(np.sqrt(np.mean(noise.astype(float) ** 2)), rel=1e-3)


def test_a_cleaned_ramp_stays_as_it_is(ramp_file, caplog):
    run(ramp_file, save_results=True).close()
    cleaned = "jw00001_nrca1_clean_flicker_noise.fits"
    history = list(fits.getheader(cleaned)["HISTORY"])
    before = fits.getdata(cleaned, "SCI")
    caplog.clear()
    with caplog.at_level(logging.WARNING, "deflicker"):
        run(cleaned, output_file="again_ramp.fits", n_sigma=3.0).close()
    said = [record for record in caplog.records if "has been cleaned" in record.message]
    assert len(said) == 1
    assert "force=True" in said[0].getMessage()
    again = next(Path().glob("again*.fits"))
    assert fits.getheader(again)["S_CLNFNS"] == "COMPLETE"
    assert list(fits.getheader(again)["HISTORY"]) == history
    assert np.array_equal(fits.getdata(again, "SCI"), before, equal_nan=True)


def test_force_cleans_again(ramp, caplog):
    with run(ramp) as once, caplog.at_level(logging.INFO), run(once, force=True) as twice:
        assert "second time" in caplog.text
        assert twice.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert not np.array_equal(once.data, twice.data, equal_nan=True)


def test_a_rate_of_a_cleaned_ramp_may_be_cleaned(small_nircam, caplog):
    rate, noise = (
        np.diff(array[0], axis=0).mean(axis=0)
        for array in (small_nircam.data, small_nircam.correlated)
    )
    good = (small_nircam.pixel_dq & 1) == 0
    with model_from_simulation(small_nircam) as ramp, datamodels.ImageModel(data=rate) as image:
        image.update(ramp)
        image.meta.cal_step.clean_flicker_noise = "COMPLETE"
        with caplog.at_level(logging.INFO), run(image) as cleaned:
            assert "second time" in caplog.text
            assert cleaned.meta.cal_step.clean_flicker_noise == "COMPLETE"
            left = noise - (rate - cleaned.data)
            assert np.nanvar(left[good]) < 0.7 * np.var(noise[good])


@pytest.mark.parametrize("parameters", [{"fit_method": "fft"}, {"user_mask": "none.fits"}])
def test_an_earlier_cleaning_stays_true(ramp, parameters):
    with run(ramp) as once, run(once, force=True, **parameters) as twice:
        assert twice.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert np.array_equal(once.data, twice.data, equal_nan=True)


def test_paths_that_are_not_ascii(ramp, tmp_path):
    folder = tmp_path / "Müller\n2"
    folder.mkdir()
    with datamodels.ImageModel(data=np.ones(ramp.data.shape[-2:], np.float32)) as mask:
        mask.save(str(folder / "mask.fits"))
    run(ramp, user_mask=folder / "mask.fits", output_file="x_ramp.fits").close()
    header = fits.getheader("x_clean_flicker_noise.fits")
    assert header["S_CLNFNS"] == "COMPLETE"
    assert "M\\xfcller" in "".join(header["HISTORY"])


def test_a_singular_fit_falls_back(ramp, small_nircam, tmp_path):
    """Every second column: alternating columns cannot be told from the level."""
    ramp.meta.instrument.name, ramp.meta.instrument.detector = "NIRSPEC", "NRS1"
    ramp.meta.exposure.type = "NRS_BRIGHTOBJ"
    comb = np.zeros(ramp.data.shape[-2:], np.float32)
    comb[:, ::2] = 1
    with datamodels.ImageModel(data=comb) as mask:
        mask.save("comb.fits")
    with run(ramp, fit_method="fft", user_mask="comb.fits") as cleaned:
        assert cleaned.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert np.array_equal(np.isfinite(cleaned.data), np.isfinite(ramp.data))
        assert np.nanmax(np.abs(cleaned.data - ramp.data)) < 100
        assert measure_quality(small_nircam, cleaned.data).removed_differences > 20


@pytest.mark.parametrize("status", ["SKIPPED", "FAILED"])
def test_a_ramp_that_was_not_cleaned_is_cleaned(ramp, status):
    ramp.meta.cal_step.clean_flicker_noise = status
    with run(ramp) as cleaned:
        assert cleaned.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert not np.array_equal(cleaned.data, ramp.data, equal_nan=True)
