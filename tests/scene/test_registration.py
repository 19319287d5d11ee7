"""Known light beside stripes: its place, its brightness and its error."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from deflicker.scene.registration import register, shared_stripes
from deflicker.scene.scene_image import MISPLACED, SceneImage

SHAPE = (200, 240)
MARGIN = 12


def field(rng, smooth=2.0):
    """Light with structure of a few pixels."""
    size = (SHAPE[0] + 2 * MARGIN, SHAPE[1] + 2 * MARGIN)
    return gaussian_filter(rng.normal(size=size), smooth).astype(np.float32) * np.float32(20)


def scene_of(image, error=None):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
    return SceneImage(image, error, y=y + MARGIN, x=x + MARGIN)


@pytest.mark.parametrize("stripes", [0, 1])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, -0.45), (-3.2, 2.6)])
def test_shift_and_factor_are_found_beside_stripes(rng, shift, stripes):
    image = field(rng)
    scene = scene_of(image)
    noise = rng.normal(0, 3, (SHAPE[0], 1) if stripes == 1 else (1, SHAPE[1]))
    exposure = 2.5 * scene.light(shift) + noise + rng.normal(0, 0.3, SHAPE)
    exposure[50:55, 60:64] += 1000  # a star that varies
    usable = rng.random(SHAPE) > 0.1
    found = register(exposure.astype(np.float32), usable, scene, stripes=stripes)
    np.testing.assert_allclose(found.shift, shift, atol=0.02)
    assert found.factor == pytest.approx(2.5, rel=0.01)
    assert 0 < found.shift_error < 0.02
    assert abs(found.factor - 2.5) < 6 * found.factor_error


def test_errors_are_those_of_repeated_exposures(rng):
    scene = scene_of(field(rng))
    light, usable = scene.light(), np.ones(SHAPE, bool)
    found = [
        register((light + rng.normal(0, 5, SHAPE)).astype(np.float32), usable, scene, stripes=1)
        for _ in range(12)
    ]
    scatter = np.std([one.factor for one in found])
    assert 0.5 < scatter / found[0].factor_error < 2


@pytest.mark.parametrize("kind", ["flat", "other", "masked"])
def test_light_that_is_not_there_has_no_place(rng, kind):
    image = np.zeros_like(field(rng)) if kind == "flat" else field(rng)
    exposure = rng.normal(0, 1, SHAPE).astype(np.float32)
    usable = np.full(SHAPE, kind != "masked")
    found = register(exposure, usable, scene_of(image), stripes=1)
    assert not found.factor > 5 * found.factor_error


def test_known_light_has_the_error_of_image_and_place(rng):
    truth, scale, sigma = field(rng), 4.0, 0.5
    image = truth + rng.normal(0, sigma, truth.shape).astype(np.float32)
    image[: MARGIN + 20] = np.nan
    scene = scene_of(image, np.full_like(image, sigma))
    known = scene.known(scale, (0.0, 0.0))
    unknown = ~scene.covered()
    assert unknown[:20].all()
    assert not unknown[30:].any()
    assert np.all(known.light[unknown] == 0)
    assert np.all(known.error[unknown] == 0)
    inside = slice(40, -5)
    steep = MISPLACED * np.hypot(*np.gradient(known.light))[inside]
    of_noise = np.sqrt(known.error[inside] ** 2 - steep**2)
    # Without its own level, which belongs to the sky, and with less noise than the image.
    there = truth[MARGIN:-MARGIN, MARGIN:-MARGIN] - np.nanmedian(image)
    wrong = known.light[inside] - scale * there[inside]
    assert wrong.std() < 0.8 * scale * sigma
    assert 0.5 < wrong.std() / np.sqrt(np.mean(of_noise**2)) < 1.5


def test_noise_of_the_light_moves_nothing(rng):
    """Light that is as weak as its noise has the factor and the place of light without noise."""
    truth, sigma = field(rng) / 10, 0.3
    found = []
    for _ in range(8):
        noisy = truth + rng.normal(0, sigma, truth.shape).astype(np.float32)
        exposure = scene_of(truth).light((0.4, -0.3)) + rng.normal(0, sigma, SHAPE)
        found.append(
            register(
                exposure.astype(np.float32),
                np.ones(SHAPE, bool),
                scene_of(noisy, np.full_like(noisy, sigma)),
                stripes=1,
            )
        )
    shifts = np.mean([one.shift for one in found], axis=0)
    np.testing.assert_allclose(shifts, (0.4, -0.3), atol=0.06)
    assert np.mean([one.factor for one in found]) == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("stripes", [0, 1])
@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_stripes_of_the_exposure_itself_are_found(rng, part, stripes):
    pattern = rng.normal(0, 1, (SHAPE[0], 1) if stripes == 1 else (1, SHAPE[1]))
    nebula = scene_of(field(rng)).light() / 10
    image = (nebula + pattern + rng.normal(0, 1, SHAPE)).astype(np.float32)
    light = (nebula + part * pattern + rng.normal(0, 0.5, SHAPE)).astype(np.float32)
    found, error = shared_stripes(image, light, np.ones(SHAPE, bool), stripes=stripes)
    assert abs(found - part) < 5 * error + 0.05
    assert error < 0.1


def test_known_light_in_another_unit(rng):
    known = scene_of(field(rng)).known(1.0, (0.0, 0.0))
    per_group = known.scaled(10.7)
    np.testing.assert_allclose(per_group.light, 10.7 * known.light, rtol=1e-5)
    np.testing.assert_allclose(per_group.error, 10.7 * known.error, rtol=1e-5)


def test_a_shift_moves_what_is_known(rng):
    image = field(rng)
    image[: MARGIN + 20] = np.nan
    scene = scene_of(image)
    assert scene.covered((4.0, 0.0))[22:].all()
    assert not scene.covered()[22].any()
    assert scene.known(1.0, (4.0, 0.0)).light[22].any()
    # Light of an edge is not that of the sky beside it, which is filled with zeros.
    assert not scene.known(1.0, (-4.0, 0.0)).light[:27].any()
