"""The scene from other exposures: real WCS objects, a mosaic in a FITS file, the step itself."""

import re
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from deflicker import CleanFlickerNoiseStep
from deflicker.models.exposure import model_from_simulation
from deflicker.simulation.dithers import Pointing, dithered_set, gwcs_of
from deflicker.simulation.quality import measure_quality
from deflicker.simulation.scenes import SCENES

SCENARIO = replace(SCENES["nebula-640"], shape=(320, 320), subarray="SUB320", n_stars=30)
POINTING = Pointing(offset=(7.3, -11.8), roll=23.0, error=(0.6, -0.4))


@pytest.fixture(scope="module")
def dithers():
    return dithered_set(SCENARIO, (POINTING,), seed=3)


@pytest.fixture
def model(dithers):
    exposure = dithers.exposures[0]
    ramp = model_from_simulation(exposure.truth)
    ramp.data, ramp.meta.wcs = ramp.data.copy(), exposure.wcs
    ramp.meta.instrument.filter = "F200W"
    return ramp


@pytest.fixture
def mosaic(dithers, tmp_path):
    """The true field in another unit, with an error, in a file."""
    path = tmp_path / "mosaic_i2d.fits"
    write(path, dithers.sky / 3, dithers.wcs)
    return path


def write(path, image, wcs, **keywords):
    header = wcs.to_header() if wcs is not None else fits.Header()
    header.update(keywords)
    error = np.full_like(image, 0.002)
    hdus = [
        fits.PrimaryHDU(),
        fits.ImageHDU(image, header, name="SCI"),
        fits.ImageHDU(error, name="ERR"),
    ]
    fits.HDUList(hdus).writeto(path)


def clean(model, **parameters):
    return CleanFlickerNoiseStep.call(model, progress_bar=False, **parameters)


@pytest.mark.parametrize("method", ["median", "wiener"])
def test_known_light_is_no_noise(dithers, model, mosaic, method, caplog):
    truth = dithers.exposures[0].truth
    rates = [
        measure_quality(truth, clean(model, fit_method=method, **more).data).removed_rate
        for more in ({}, {"scene_image": str(mosaic)})
    ]
    assert rates[1] > rates[0] + 15
    shift, factor = re.search(r"lies (\S+ and \S+) pixels.*factor (\S+)", caplog.text).groups()
    # The WCS of the field turns by no angle, so its pixels are the directions of the error.
    dy, dx = (float(one) for one in shift.split(" and "))
    assert (dy, dx) == pytest.approx((-POINTING.error[0], -POINTING.error[1]), abs=0.03)
    assert float(factor) == pytest.approx(3, rel=0.01)


def test_wcs_of_another_file(dithers, model, mosaic, tmp_path):
    truth, path = dithers.exposures[0].truth, tmp_path / "x_cal.fits"
    with model.copy() as other:
        other.save(str(path))
    model.meta.wcs = None
    cleaned = clean(model, fit_method="median", scene_image=str(mosaic), scene_wcs=str(path))
    assert measure_quality(truth, cleaned.data).removed_rate > 25


def test_a_template_is_the_scene(model, mosaic, caplog):
    model.data = np.concatenate([model.data] * 2)
    model.groupdq = np.concatenate([model.groupdq] * 2)
    model.meta.exposure.nints = 2
    clean(model, background_method="median_image", fit_method="median", scene_image=str(mosaic))
    assert "scene_image is ignored" in caplog.text


def test_a_mosaic_of_other_light_is_not_used(model, dithers, tmp_path, caplog, rng):
    path = tmp_path / "other.fits"
    write(path, rng.normal(0, 1, dithers.sky.shape).astype(np.float32), dithers.wcs)
    with_mosaic = clean(model, fit_method="median", scene_image=str(path))
    assert "does not show the structure" in caplog.text
    np.testing.assert_array_equal(with_mosaic.data, clean(model, fit_method="median").data)


def test_another_filter(model, dithers, tmp_path, caplog):
    path = tmp_path / "other.fits"
    write(path, dithers.sky, dithers.wcs, FILTER="F444W")
    clean(model, fit_method="median", scene_image=str(path))
    assert caplog.text.count("F444W") == 1


def _nothing(path, dithers):
    write(path, np.full_like(dithers.sky, np.nan), dithers.wcs)


def _no_wcs(path, dithers):
    write(path, dithers.sky, None)


def _elsewhere(path, dithers):
    wcs = dithers.wcs.deepcopy()
    wcs.wcs.crval = [wcs.wcs.crval[0] + 1, wcs.wcs.crval[1]]
    write(path, dithers.sky, wcs)


def _no_image(path, dithers):
    fits.HDUList([fits.PrimaryHDU()]).writeto(path)


def _broken(path, dithers):
    path.write_bytes(b"SIMPLE  = no")


def _no_file(path, dithers):
    pass


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_nothing, "no finite value"),
        (_no_wcs, "no celestial WCS"),
        (_elsewhere, "covers 0 %"),
        (_no_image, "has no image"),
        (_broken, "cannot be read"),
        (_no_file, "mosaic.fits"),
    ],
)
def test_bad_mosaics_change_nothing(model, dithers, tmp_path, caplog, *, make, says):
    path = tmp_path / "mosaic.fits"
    make(path, dithers)
    before = model.data.copy()
    result = clean(model, scene_image=str(path))
    assert result.meta.cal_step.clean_flicker_noise == "FAILED"
    assert caplog.text.count("FAILED") == 1
    assert says in caplog.text
    np.testing.assert_array_equal(result.data, before)


def test_an_exposure_without_wcs_says_what_to_do(model, mosaic, caplog):
    model.meta.wcs = None
    result = clean(model, scene_image=str(mosaic))
    assert result.meta.cal_step.clean_flicker_noise == "FAILED"
    assert "scene_wcs" in caplog.text
    assert "assign_wcs" in caplog.text


def test_the_wcs_of_the_simulation_is_undone(dithers):
    """Pixels to the sky and back to the field: distortion, roll and offset."""
    wcs = gwcs_of(SCENARIO.shape, Pointing(offset=(0.0, 0.0)))
    middle = (np.array(SCENARIO.shape) - 1) / 2
    x, y = dithers.wcs.world_to_pixel_values(*wcs(middle[1], middle[0]))
    np.testing.assert_allclose([x, y], (np.array(dithers.sky.shape[::-1]) - 1) / 2, atol=1e-6)
