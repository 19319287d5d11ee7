"""Light without the scales on which it is noise: compared with the light before the noise."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from deflicker.scene.denoise import CERTAIN, shrink_noise

SHAPE = (160, 200)
SIGMA = 0.5


@pytest.fixture
def noise(rng):
    return rng.normal(0, SIGMA, SHAPE).astype(np.float32)


@pytest.fixture
def nebula(rng):
    """Light of scales of 6 pixels and more, which is much stronger than the noise there."""
    return 40 * gaussian_filter(rng.normal(size=SHAPE), 6).astype(np.float32)


VARIANCE = np.full(SHAPE, SIGMA**2, np.float32)


@pytest.mark.parametrize("variance", [VARIANCE, None])
def test_noise_alone_goes(noise, variance):
    result, error = shrink_noise(noise, variance)
    assert result.std() < 0.25 * SIGMA
    assert np.sqrt(error.mean()) < 0.3 * SIGMA


@pytest.mark.parametrize("variance", [VARIANCE, None])
def test_light_stays_and_its_error_is_known(noise, nebula, variance):
    result, error = shrink_noise(nebula + noise, variance)
    wrong = result - nebula
    assert wrong.std() < 0.4 * SIGMA
    assert np.vdot(result, nebula) / np.vdot(nebula, nebula) == pytest.approx(1, abs=0.03)
    assert 0.4 < wrong.std() / np.sqrt(error.mean()) < 1.6


def test_a_star_stays(noise):
    star = np.zeros(SHAPE, np.float32)
    star[80, 100] = 2000
    star = gaussian_filter(star, 1.2)
    result, _ = shrink_noise(star + noise, VARIANCE)
    near = np.s_[70:91, 90:111]
    assert result[near].sum() == pytest.approx(star[near].sum(), rel=0.02)
    np.testing.assert_allclose(result[80, 100], star[80, 100], rtol=0.02)


def test_without_noise_nothing_changes(nebula):
    result, error = shrink_noise(nebula, np.zeros(SHAPE, np.float32))
    np.testing.assert_allclose(result, nebula, atol=1e-4)
    assert not error.any()


def test_input_stays(noise, nebula):
    image, variance = nebula + noise, VARIANCE.copy()
    before = image.copy()
    shrink_noise(image, variance)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(variance, VARIANCE)
    assert CERTAIN > 1


def test_a_small_image_has_few_scales(rng):
    small = rng.normal(size=(7, 5)).astype(np.float32)
    result, error = shrink_noise(small, np.ones_like(small))
    assert result.shape == error.shape == small.shape
    assert np.isfinite(result).all()
