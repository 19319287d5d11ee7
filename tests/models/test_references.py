import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst import datamodels

from deflicker import CannotClean
from deflicker.models.references import read_flat, read_user_mask


@pytest.fixture
def flat():
    """A flat of 100 x 120 pixels whose every value is known by its place."""
    y, x = np.mgrid[1:101, 1:121]
    model = datamodels.FlatModel(data=(1 + 0.001 * y + 0.00001 * x).astype(np.float32))
    model.dq = np.zeros((100, 120), np.uint32)
    model.meta.subarray.xstart, model.meta.subarray.ystart = 1, 1
    yield model
    model.close()


def image(shape, xstart=1, ystart=1):
    model = datamodels.ImageModel(data=np.zeros(shape, np.float32))
    model.meta.subarray.xstart, model.meta.subarray.ystart = xstart, ystart
    return model


def test_subarray_is_cut_out(flat, tmp_path):
    path = tmp_path / "flat.fits"
    flat.save(str(path))
    with image((10, 20), xstart=31, ystart=51) as model:
        data, non_science = read_flat(path, model)
    np.testing.assert_array_equal(data, flat.data[50:60, 30:50])
    assert not non_science.any()


def test_flat_of_the_same_shape_needs_no_keywords(flat):
    flat.meta.subarray.xstart = None
    with image((100, 120), xstart=500) as model:
        np.testing.assert_array_equal(read_flat(flat, model)[0], flat.data)


def test_holes_are_filled_and_non_science_is_told(flat):
    flat.data[10, 10], flat.data[20, 20] = 0, np.nan
    flat.dq[30, 30], flat.dq[40, 40], flat.dq[50, 50] = 1, 512, 4
    with image((100, 120)) as model:
        data, non_science = read_flat(flat, model)
    assert np.all(data > 0.9)
    assert np.argwhere(non_science).tolist() == [[30, 30], [40, 40]]


@pytest.mark.parametrize("start", [(110, 1), (1, 95)])
def test_flat_that_does_not_cover_the_subarray(flat, start):
    with image((10, 20), *start) as model, pytest.raises(CannotClean, match="does not cover"):
        read_flat(flat, model)


def test_unreadable_flat(tmp_path):
    path = tmp_path / "flat.fits"
    path.write_text("no FITS")
    with image((5, 5)) as model, pytest.raises(CannotClean, match="flat.fits.*override_flat"):
        read_flat(path, model)


def test_user_mask_polarity(tmp_path):
    path = tmp_path / "mask.fits"
    with datamodels.ImageModel(data=np.array([[0, 1], [np.nan, 7]], np.float32)) as model:
        model.save(str(path))
    assert read_user_mask(path).tolist() == [[False, True], [False, True]]


def test_user_mask_of_another_tool(tmp_path):
    """A bare image in SCI will do; in the primary header it is not found."""
    image = np.array([[0, 1]], np.int16)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(image, name="SCI")]).writeto("sci.fits")
    assert read_user_mask("sci.fits").tolist() == [[False, True]]
    fits.writeto("plain.fits", image)
    with pytest.raises(CannotClean, match="no image in an extension named SCI"):
        read_user_mask("plain.fits")


def test_unreadable_user_mask(tmp_path):
    with pytest.raises(CannotClean, match="user_mask .*does not exist"):
        read_user_mask(tmp_path / "none.fits")
    (tmp_path / "text.fits").write_text("no FITS")
    with pytest.raises(CannotClean, match="user_mask .*cannot be read"):
        read_user_mask(tmp_path / "text.fits")
