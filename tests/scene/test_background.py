import numpy as np
import pytest
from astropy.stats import SigmaClip
from photutils.background import Background2D, MedianBackground

from deflicker.scene.background import default_box_size, model_background, no_box_warnings


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ((2048, 2048), (32, 32)),
        ((1024, 1032), (32, 24)),
        ((32, 2048), (32, 32)),
        ((7, 31), (7, 31)),
        ((37, 64), (1, 32)),
    ],
)
def test_default_box_size(shape, box):
    assert default_box_size(shape) == box


def test_follows_a_gradient_under_sources(rng):
    y, x = np.mgrid[:512, :512]
    truth = (5 + 0.02 * x + 0.01 * y).astype(np.float32)
    image = truth + rng.normal(0, 0.5, truth.shape).astype(np.float32)
    usable = np.ones(truth.shape, bool)
    # Too large for any clip or filter: only the mask can tell.
    usable[160:256, 160:256] = False
    image[~usable] += 100
    with no_box_warnings():
        found = model_background(image, usable).rows(0, 512)
    assert found.dtype == np.float32
    inner = (slice(96, -96), slice(96, -96))
    np.testing.assert_allclose(found[inner], truth[inner], atol=0.3)


def test_box_size_decides_the_resolution(rng):
    y, _ = np.mgrid[:128, :128]
    wave = np.sin(y / 8).astype(np.float32) * 10
    image = wave + rng.normal(0, 0.1, wave.shape).astype(np.float32)
    usable = np.ones(wave.shape, bool)
    with no_box_warnings():
        fine = model_background(image, usable, box_size=(4, 4)).rows(0, 128)
        coarse = model_background(image, usable, box_size=(32, 32)).rows(0, 128)
    assert np.std(fine - wave) < 0.6 * np.std(coarse - wave)


@pytest.mark.parametrize("box", [(16, 16), (50, 33), (7, 128)])
def test_is_the_one_of_photutils(rng, box):
    y, x = np.mgrid[:128, :160]
    image = (np.hypot(x, y) / 10 + rng.normal(0, 1, y.shape)).astype(np.float32)
    image[30:33] += 30
    image[122:] = np.nan
    usable = np.isfinite(image) & (rng.random(image.shape) < 0.97)
    usable[40:50, 60:80] = False
    with no_box_warnings():
        expected = Background2D(
            image,
            box,
            filter_size=5,
            mask=~usable,
            sigma_clip=SigmaClip(sigma=3.0, maxiters=5),
            bkg_estimator=MedianBackground(),
        ).background
        found = model_background(image, usable, box_size=box)
    np.testing.assert_allclose(found.rows(0, 128), expected, rtol=1e-6)
    np.testing.assert_allclose(found.rows(40, 50), expected[40:50], rtol=1e-6)
    rest = image.copy()
    found.subtract_from(rest)
    np.testing.assert_array_equal(rest, image - found.rows(0, 128))


def test_nothing_to_fit():
    with no_box_warnings(), pytest.raises(ValueError, match="no box of the background"):
        model_background(np.ones((64, 64), np.float32), np.zeros((64, 64), bool))
