"""The scene from other exposures: real WCS objects, a mosaic in a FITS file, the step itself."""

import re
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import gaussian_filter
from stdatamodels.jwst import datamodels

from deflicker import CleanFlickerNoiseStep
from deflicker.mission.field import Field
from deflicker.models.exposure import model_from_simulation
from deflicker.models.mosaics import Mosaic, write_mosaic
from deflicker.simulation.dithers import Pointing, dithered_set, gwcs_of
from deflicker.simulation.quality import measure_quality
from deflicker.simulation.scenes import SCENES

SCENARIO = replace(SCENES["nebula-640"], shape=(320, 320), subarray="SUB320", n_stars=30)
NAME = "jw00001001001_02101_00001_nrcb1"
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
    ramp.meta.filename = f"{NAME}_ramp.fits"
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


def without_wcs(model, folder):
    """File of an exposure without a WCS, and beside it a _cal file that has one."""
    with model.copy() as other:
        other.save(str(folder / f"{NAME}_cal.fits"))
    model.meta.wcs = None
    model.save(str(folder / f"{NAME}_ramp.fits"))
    return folder / f"{NAME}_ramp.fits"


def test_wcs_of_a_file_beside_the_input(dithers, model, mosaic, tmp_path, caplog):
    path = without_wcs(model, tmp_path)
    cleaned = clean(path, fit_method="median", scene_image=str(mosaic))
    assert measure_quality(dithers.exposures[0].truth, cleaned.data).removed_rate > 25
    assert f"{NAME}_cal.fits" in caplog.text


def test_a_file_beside_the_input_without_a_wcs_is_passed_over(model, mosaic, tmp_path, caplog):
    model.meta.wcs = None
    path = without_wcs(model, tmp_path)
    result = clean(path, scene_image=str(mosaic))
    assert result.meta.cal_step.clean_flicker_noise == "FAILED"
    assert f"put {NAME}_cal.fits beside" in caplog.text


def test_scene_wcs_without_a_wcs(model, mosaic, tmp_path, caplog):
    model.meta.wcs = None
    without_wcs(model, tmp_path)
    path = tmp_path / f"{NAME}_cal.fits"
    result = clean(model, scene_image=str(mosaic), scene_wcs=str(path))
    assert result.meta.cal_step.clean_flicker_noise == "FAILED"
    assert f"{path} has no WCS" in caplog.text


@pytest.mark.parametrize("method", ["median", "wiener"])
def test_an_image_of_the_same_pixels_needs_no_wcs(dithers, model, tmp_path, method):
    """Such as the light that leaks through closed shutters, from an exposure of its own."""
    model.meta.wcs = None
    truth, path = dithers.exposures[0].truth, tmp_path / "leakage_rate.fits"
    leak = (truth.scene / SCENARIO.group_time).astype(np.float32)
    write(path, leak, None, BUNIT="DN/s")
    rates = [
        measure_quality(truth, clean(model, fit_method=method, **more).data).removed_rate
        for more in ({}, {"scene_image": str(path)})
    ]
    assert rates[1] > rates[0] + 15


def test_a_larger_mosaic_shows_the_same(dithers, model, tmp_path):
    """A mosaic may be much larger than the exposure, and its other light does not matter."""
    images = []
    for margin in (0, 150):
        path, wcs = tmp_path / f"{margin}_i2d.fits", dithers.wcs.deepcopy()
        wcs.wcs.crpix = wcs.wcs.crpix + margin
        wide = np.pad(dithers.sky, margin, constant_values=100)
        write(path, wide, wcs)
        images.append(clean(model, fit_method="median", scene_image=str(path)).data)
    np.testing.assert_allclose(images[0], images[1], atol=0.05)


def test_own_stripes_are_no_light(dithers, model, tmp_path, caplog):
    """A mosaic of the exposure itself, from its rate, which does not say of what it was made."""
    truth, path = dithers.exposures[0].truth, tmp_path / "own_i2d.fits"
    field = Field()
    field.add(model, "own")
    field.add(model, "itself, under another name")
    assert field.write_mosaic("own", path)
    before = model.data.copy()
    result = clean(model, scene_image=str(path))
    assert result.meta.cal_step.clean_flicker_noise == "FAILED"
    assert "has the stripes of this exposure itself" in caplog.text
    np.testing.assert_array_equal(result.data, before)
    assert truth.scene.shape == SCENARIO.shape


def test_light_goes_through_the_flat_field(dithers, model, mosaic, tmp_path):
    """Light of the exposure that the mosaic, which is flat, shows differently."""
    truth, rng = dithers.exposures[0].truth, np.random.default_rng(2)
    flat = 1 + 3 * gaussian_filter(rng.normal(size=SCENARIO.shape), 6).astype(np.float32)
    through = np.arange(SCENARIO.n_groups)[:, np.newaxis, np.newaxis] * truth.scene * (flat - 1)
    model.data += through.astype(np.float32)
    path = tmp_path / "flat.fits"
    datamodels.FlatModel(data=flat, dq=np.zeros(flat.shape, np.uint32)).save(str(path))
    kept = {"scene_image": str(mosaic), "override_flat": str(path), "apply_flat_field": True}
    cleaned = clean(model, fit_method="median", **kept).data - through
    assert measure_quality(truth, cleaned).removed_rate > 25


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


def _of_another_unit(path, dithers):
    write(path, np.ones(SCENARIO.shape, np.float32), None, BUNIT="Jy")


def _of_this_exposure(path, dithers):
    image = dithers.sky
    members = (f"{NAME}_cal.fits",)
    write_mosaic(
        Mosaic(image=image, error=np.ones_like(image), wcs=dithers.wcs, members=members), path
    )


def _broken(path, dithers):
    path.write_bytes(b"SIMPLE  = no")


def _no_file(path, dithers):
    pass


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_nothing, "no finite value"),
        (_no_wcs, "no celestial WCS"),
        (_of_another_unit, "its unit Jy"),
        (_of_this_exposure, "made of this exposure alone"),
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
