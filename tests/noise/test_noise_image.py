import numpy as np
import pytest

from deflicker.noise.noise_image import NoiseImage

SHAPE = (40, 60)


@pytest.fixture(params=[1, 4, None])
def noise(request, rng):
    if request.param is None:
        return NoiseImage(rng.normal(size=SHAPE).astype(np.float32))
    coefficients = rng.normal(size=(SHAPE[0], request.param)).astype(np.float32)
    return NoiseImage(coefficients, rng.normal(size=(request.param, SHAPE[1])).astype(np.float32))


def dense(noise):
    """Sums of shapes, one after the other."""
    if noise.shapes is None:
        return noise.coefficients.astype(float)
    pairs = zip(noise.coefficients.T.astype(float), noise.shapes.astype(float), strict=True)
    return sum(np.outer(coefficient, shape) for coefficient, shape in pairs)


def test_image_and_its_parts(noise):
    expected = dense(noise)
    np.testing.assert_allclose(noise.image(), expected, rtol=1e-5, atol=1e-5)
    rows, columns = slice(5, 17), slice(16, 32)
    np.testing.assert_allclose(noise.image(rows), expected[rows], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        noise.image(slice(None), columns), expected[:, columns], rtol=1e-5, atol=1e-5
    )
    assert noise.image().dtype == np.float32


def test_sum(noise):
    np.testing.assert_allclose(
        (noise + noise + noise).image(), 3 * dense(noise), rtol=1e-5, atol=1e-5
    )


def test_mean_square(noise):
    assert noise.mean_square() == pytest.approx(np.mean(dense(noise) ** 2), rel=1e-6)
