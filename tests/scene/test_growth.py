"""Masks of extended sources grow along rows until their light sinks below the noise."""

import numpy as np
import pytest

from deflicker.scene.growth import grow_along_rows

SHAPE = (40, 600)
SETTINGS = {
    "noise": 1.0,
    "white": 1.0,
    "shortest": 24,
    "bright": 3.0,
    "faintest": 0.1,
    "farthest": 2.0,
}


def disc(peak, length):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (peak * np.exp(-np.abs(x - 300) / length) * np.exp(-(((y - 20) / 6) ** 2))).astype(
        np.float32
    )


@pytest.mark.parametrize("length", [15, 25])
def test_profile_sinks_below_a_tenth_of_the_noise(length):
    light = disc(100.0, length)
    usable = np.ones(SHAPE, bool)
    grown = grow_along_rows(light < 2, light, usable, **SETTINGS)
    assert light[20][grown[20]].max() < 0.5
    assert grown[20].sum() > 0.5 * np.count_nonzero(light[20] < 0.1)
    assert grown[[0, -1]].all()


def test_growth_has_a_limit():
    light = disc(100.0, 25)
    usable = np.ones(SHAPE, bool)
    grown = grow_along_rows(light < 2, light, usable, **{**SETTINGS, "farthest": 0.1})
    length = np.count_nonzero(light[20] >= 2)
    assert np.count_nonzero(~grown[20]) <= 1.25 * length


@pytest.mark.parametrize("case", ["short", "faint", "everywhere"])
def test_these_stay_as_they_are(case):
    usable = np.ones(SHAPE, bool)
    light = np.zeros(SHAPE, np.float32)
    sky = usable.copy()
    if case == "short":
        light[20, 300:310], sky[20, 300:310] = 100, False
    elif case == "faint":
        light[20, 200:300], sky[20, 200:300] = 1.0, False
    else:
        light[:] = np.float32(50 * np.exp(-np.abs(np.arange(SHAPE[1]) - 300) / 100))
        sky = light < 20
    before = sky.copy(), light.copy()
    grown = grow_along_rows(sky, light, usable, **SETTINGS)
    np.testing.assert_array_equal(grown, sky)
    np.testing.assert_array_equal(before[0], sky)
    np.testing.assert_array_equal(before[1], light)
