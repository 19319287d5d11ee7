"""Science regions, on the real NIRSpec optics and on small WCS of the same structure."""

import logging

import asdf
import numpy as np
import pytest
from astropy.modeling.models import Identity, Mapping, Shift
from gwcs import WCS, coordinate_frames
from gwcs.selector import LabelMapperArray, RegionsSelector
from stdatamodels.jwst import datamodels

from deflicker import CannotClean, CleanFlickerNoiseStep
from deflicker.dq import MSA_FAILED_OPEN
from deflicker.scene import regions


@pytest.fixture
def optics(data_folder):
    """A real WCS and its region file."""

    def load(name):
        folder = data_folder / "nirspec_wcs"
        with np.load(folder / f"{name}_slice_region.npz") as file:
            region = file["region"]
        opened.append(asdf.open(folder / f"{name}_gwcs.asdf", lazy_load=False, memmap=False))
        return opened[-1]["wcs"], region

    opened = []
    yield load
    for file in opened:
        file.close()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["ifu_nrs1_g140m", "ifu_nrs1_prism"])
def test_ifu_slices_of_the_real_optics(optics, name):
    wcs, region = optics(name)
    assert np.array_equal(regions.ifu_slices(wcs, region.shape), region > 0)
    with pytest.raises(CannotClean, match="the exposure has"):
        regions.ifu_slices(wcs, (32, 2048))
    with pytest.raises(CannotClean, match="no open slits"):
        regions.slit_footprints(wcs, region.shape)


@pytest.mark.filterwarnings("ignore")
def test_fixed_slits_of_the_real_optics(optics):
    wcs, region = optics("fs_nrs1_prism")
    assert np.array_equal(regions.slit_footprints(wcs, region.shape), region > 0)
    assert regions.has_fixed_slits(wcs)
    with pytest.raises(CannotClean, match="outside the image"):
        regions.slit_footprints(wcs, (512, 512))
    with pytest.raises(CannotClean, match="no map of IFU slices"):
        regions.ifu_slices(wcs, region.shape)


def small_ifu(labels):
    """A WCS whose slices are an image of labels, as assign_wcs makes them."""
    selector = RegionsSelector(
        inputs=("x", "y"),
        outputs=("x", "y"),
        selector={int(k): Shift(k) & Shift(0) for k in np.unique(labels) if k},
        label_mapper=LabelMapperArray(labels),
    )
    frames = [coordinate_frames.Frame2D(name=name) for name in ("coordinates", "detector", "world")]
    return WCS(
        [(frames[0], Identity(2)), (frames[1], selector), (frames[2], None)],
    )


def ifu_model(shape=(64, 64)):
    labels = np.zeros(shape, int)
    labels[10:20], labels[30:40] = 1, 2
    rng = np.random.default_rng(5)
    model = datamodels.ImageModel(data=rng.normal(10, 1, shape).astype(np.float32))
    model.dq = np.zeros(shape, np.uint32)
    model.dq[50, 50] = MSA_FAILED_OPEN
    model.meta.instrument.name, model.meta.instrument.detector = "NIRSPEC", "NRS1"
    model.meta.exposure.type = "NRS_IFU"
    model.meta.subarray.fastaxis, model.meta.subarray.slowaxis = 2, 1
    model.meta.wcs = small_ifu(labels)
    return model, labels


@pytest.mark.parametrize("wanted", [True, False])
def test_step_masks_slices_and_failed_open_shutters(wanted, tmp_path):
    model, labels = ifu_model()
    with model:
        result = CleanFlickerNoiseStep(
            mask_science_regions=wanted, save_mask=True, n_sigma=0, output_dir=str(tmp_path)
        ).run(model)
        assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"
        with datamodels.open(next(tmp_path.glob("*mask.fits"))) as mask:
            assert mask.data[labels > 0].any() == (not wanted)
            assert mask.data[50, 50] == (not wanted)
            assert mask.data[labels == 0].sum() == np.sum(labels == 0) - wanted
        result.close()


def test_without_a_wcs_there_are_three_ways_out(caplog):
    model, _ = ifu_model()
    with model:
        del model.meta.wcs
        with caplog.at_level(logging.WARNING):
            result = CleanFlickerNoiseStep(mask_science_regions=True).run(model)
        assert result.meta.cal_step.clean_flicker_noise == "FAILED"
        assert np.array_equal(result.data, model.data)
        result.close()
    assert caplog.text.count("FAILED") == 1
    for way in ("assign_wcs", "user_mask", "without mask_science_regions"):
        assert way in caplog.text


def test_slice_map_of_another_exposure(caplog):
    model, _ = ifu_model()
    with model:
        model.meta.wcs = small_ifu(np.ones((32, 64), int))
        with caplog.at_level(logging.WARNING):
            result = CleanFlickerNoiseStep(mask_science_regions=True).run(model)
        assert result.meta.cal_step.clean_flicker_noise == "FAILED"
        result.close()
    assert "the exposure has (64, 64)" in caplog.text


def test_wcs_without_slits_or_slices():
    frames = [coordinate_frames.Frame2D(name=name) for name in ("detector", "world")]
    wcs = WCS([(frames[0], Mapping((0, 1))), (frames[1], None)])
    with pytest.raises(CannotClean, match="no map of IFU slices"):
        regions.ifu_slices(wcs, (8, 8))
    with pytest.raises(CannotClean, match="no open slits"):
        regions.slit_footprints(wcs, (8, 8))
    assert not regions.has_fixed_slits(wcs)


def test_fixed_slit_region_is_of_the_full_frame():
    region = regions.fixed_slit_region((2048, 2048))
    assert region[922:1116].all()
    assert region.sum() == 194 * 2048
    assert not regions.fixed_slit_region((256, 2048)).any()


def test_failed_open_shutters_of_any_integration():
    dq = np.zeros((3, 4, 5), np.uint32)
    dq[1, 2, 3] = MSA_FAILED_OPEN | 1
    assert np.argwhere(regions.failed_open(dq)).tolist() == [[2, 3]]
    assert np.argwhere(regions.failed_open(dq[1])).tolist() == [[2, 3]]
