"""Splines of the sky against dense matrices and polynomials."""

import numpy as np
import pytest

from deflicker.noise.sky import SkySplines, SmoothSky, sky_penalty

SHAPE = (40, 64)


def dense(splines):
    """Image of each spline as a column."""
    unit = np.eye(int(np.prod(splines.grid)))
    images = [splines.image(c.reshape(splines.grid)) for c in unit]
    return np.stack([i.ravel() for i in images], axis=1).astype(float)


@pytest.mark.parametrize("shape", [SHAPE, (7, 30), (3, 6)])
def test_splines_hold_planes(shape):
    splines = SkySplines(shape, spacing=10)
    rows, columns = splines.centres()
    plane = 2 + 0.5 * rows[:, np.newaxis] - 0.25 * columns
    y, x = np.indices(shape)
    # Pixels that share a value have that of their middle.
    middle = x // splines.fast_bin * splines.fast_bin + splines.fast_bin / 2
    expected = 2 + 0.5 * (y + 0.5) - 0.25 * middle
    np.testing.assert_allclose(splines.image(plane), expected, atol=1e-4)


def test_sums_are_the_transpose_of_the_image(rng):
    splines = SkySplines(SHAPE, spacing=10)
    image = rng.normal(size=SHAPE).astype(np.float32)
    np.testing.assert_allclose(
        splines.sums(image).ravel(), dense(splines).T @ image.ravel(), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("shape", [SHAPE, (7, 30), (3, 6)])
def test_normal_matrix(rng, shape):
    splines = SkySplines(shape, spacing=10)
    weights = rng.uniform(0, 2, shape).astype(np.float32)
    matrix = dense(splines)
    expected = matrix.T @ (weights.ravel()[:, np.newaxis] * matrix)
    got = splines.normal_matrix(weights).toarray()
    np.testing.assert_allclose(got, expected, atol=1e-5 * expected.max())


def test_penalty_leaves_the_level_free_and_counts_derivatives():
    splines = SkySplines((320, 320), spacing=32)
    brightness = np.full(splines.grid, 2.0)
    penalty = sky_penalty(splines, brightness).toarray()
    np.testing.assert_allclose(penalty, penalty.T, rtol=1e-12)
    assert np.linalg.eigvalsh(penalty)[0] > -1e-9 * penalty.max()
    level = np.ones(penalty.shape[0])
    assert abs(level @ penalty @ level) < 1e-9 * penalty.max()
    rows, columns = splines.centres()
    slope = np.broadcast_to(0.01 * rows[:, np.newaxis], splines.grid).ravel()
    # One term for each pair of neighbours along the slow axis, of the size that the prior
    # gives to first derivatives: three times the brightness for each 256 pixels.
    n_slow, n_fast = splines.grid
    expected = (n_slow - 1) * n_fast * (0.01 / (3 * 2.0 / 256)) ** 2
    assert slope @ penalty @ slope == pytest.approx(expected, rel=1e-6)
    cubic = np.broadcast_to(1e-6 * columns**3, splines.grid).ravel()
    third = sky_penalty(splines, brightness * 1e3).toarray()
    assert cubic @ third @ cubic == pytest.approx(cubic @ penalty @ cubic / 1e6, rel=1e-6)


def test_a_smooth_sky_is_taken_out_of_the_data(rng):
    splines = SkySplines(SHAPE, spacing=10)
    weights = rng.uniform(0.5, 2, SHAPE).astype(np.float32)
    sky = SmoothSky(splines, weights, sky_penalty(splines, np.full(splines.grid, 1e3)))
    y, x = np.indices(SHAPE)
    surface = (5 + 3 * np.sin(y / 15) + 0.05 * (x // 4 * 4)).astype(np.float32)
    np.testing.assert_allclose(sky.image(weights * surface), surface, atol=0.15)
    assert np.abs(sky.without_sky(weights * surface)).max() < 0.2
    stiff = SmoothSky(splines, weights, sky_penalty(splines, np.full(splines.grid, 1e-3)))
    level = stiff.image(weights * surface)
    assert np.ptp(level) < 1e-2
    assert level.mean() == pytest.approx(np.average(surface, weights=weights), abs=0.05)


def test_sky_behind_a_flat_field(rng):
    splines = SkySplines(SHAPE, spacing=10)
    weights = np.ones(SHAPE, np.float32)
    flat = np.repeat(rng.uniform(0.7, 1.3, (40, 16)).astype(np.float32), 4, axis=1)
    penalty = sky_penalty(splines, np.full(splines.grid, 1e3))
    sky = SmoothSky(splines, weights, penalty, flat)
    surface = np.full(SHAPE, 4, np.float32)
    np.testing.assert_allclose(sky.image(weights * surface * flat), surface, atol=1e-3)
    assert np.abs(sky.without_sky(weights * surface * flat)).max() < 1e-3
