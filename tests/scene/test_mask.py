import numpy as np
import pytest

from deflicker.scene.mask import scene_mask


@pytest.fixture
def rate(rng):
    image = rng.normal(1, 0.1, (200, 200)).astype(np.float32)
    image[50:60, 50:60] += 5  # a source
    image[100, 100] = -9  # a bad pixel
    image[0, 0], image[0, 1], image[0, 2] = np.nan, 0, np.inf
    return image


@pytest.mark.parametrize("fit_histogram", [False, True])
def test_masks_sources_bad_pixels_and_missing_data(rate, fit_histogram):
    usable = scene_mask(rate, n_sigma=4.0, fit_histogram=fit_histogram)
    assert not usable[50:60, 50:60].any()
    assert not usable[100, 100]
    assert not usable[0, :3].any()
    # Three sigma below, four above: 0.135 % of a Gaussian.
    assert np.mean(~usable) == pytest.approx(0.00138 + 104 / 40000, abs=0.001)


def test_n_sigma_is_the_upper_limit(rate):
    """2.3 % of a Gaussian lie above 2 sigma."""
    above = scene_mask(rate, n_sigma=4.0) & ~scene_mask(rate, n_sigma=2.0)
    assert above.mean() == pytest.approx(0.0228, abs=0.002)


def test_without_outlier_rejection(rate):
    usable = scene_mask(rate, n_sigma=0)
    assert np.array_equal(usable, np.isfinite(rate) & (rate != 0))


def test_science_regions_do_not_enter_the_statistics(rate):
    science = np.zeros(rate.shape, bool)
    science[:, 100:] = True
    bright = rate.copy()
    bright[:, 100:] += 1000
    usable = scene_mask(bright, n_sigma=2.0, science=science)
    assert not usable[:, 100:].any()
    assert np.array_equal(usable[:, :100], scene_mask(rate[:, :100], n_sigma=2.0))


def test_nothing_usable():
    assert not scene_mask(np.zeros((4, 4)), n_sigma=2.0).any()


def test_rate_stays_as_it_is(rate):
    before = rate.copy()
    scene_mask(rate, n_sigma=2.0)
    assert np.array_equal(rate, before, equal_nan=True)
