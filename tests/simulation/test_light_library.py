"""The library of light."""

from dataclasses import replace

import numpy as np
import pytest

from deflicker.simulation.exposures import Scenario, simulate
from deflicker.simulation.light import Nebula, Sersic, Slices
from deflicker.simulation.quality import measure_light
from deflicker.simulation.scenes import HELD_OUT, SCENES

LIGHTS = {
    f"{name} {k}": light
    for name, scenario in {**SCENES, **HELD_OUT}.items()
    for k, light in enumerate(scenario.light)
}


@pytest.mark.parametrize("light", LIGHTS.values(), ids=LIGHTS)
def test_light_is_finite_and_shines(light):
    first, again = (light.image((96, 160), np.random.default_rng(3)) for _ in range(2))
    assert first.dtype == np.float32
    assert first.shape == (96, 160)
    assert np.isfinite(first).all()
    assert (first >= -1e-6).all()
    np.testing.assert_array_equal(first, again)


def test_profile_of_a_galaxy():
    light = Sersic(peak=5.0, scale=10.0, index=2.0, axis_ratio=0.5, centre=(0.5, 0.5))
    image = light.image((101, 201), np.random.default_rng(1))
    y, x = 50.5, 100.5
    expected = 5 * np.exp(-((np.hypot(130 - x, (50 - y) / 0.5) / 10) ** 0.5))
    assert image[50, 130] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("slope", [2.4, 4.0])
def test_slope_of_a_nebula(slope):
    powers = []
    for seed in range(5):
        image = Nebula(scatter=1.0, slope=slope).image((256, 256), np.random.default_rng(seed))
        window = np.hanning(256)[:, np.newaxis] * np.hanning(256)
        powers.append(np.abs(np.fft.rfft2((image - image.mean()) * window)) ** 2)
    radius = np.hypot(np.fft.fftfreq(256)[:, np.newaxis], np.fft.rfftfreq(256))
    low, high = (
        np.mean(powers, axis=0)[(radius > k) & (radius < 1.2 * k)].mean() for k in (0.03, 0.12)
    )
    assert np.log(low / high) / np.log(4) == pytest.approx(slope, abs=0.4)


def test_light_is_added_to_the_sky():
    scenario = Scenario(shape=(64, 64), n_outputs=1, n_stars=0, border=0)
    light = Slices(light=5.0, number=2)
    without, added = (
        simulate(one, seed=4) for one in (scenario, replace(scenario, light=(light,)))
    )
    difference = added.scene - without.scene
    assert difference.min() == pytest.approx(0, abs=1e-4)
    assert difference.max() > 10


def test_what_is_eaten_is_the_part_of_the_scene_that_is_missing():
    truth = simulate(Scenario(shape=(128, 128), n_outputs=1, light=(Sersic(peak=9.0, scale=20.0),)))
    steps = np.arange(truth.data.shape[1], dtype=np.float32)[:, np.newaxis, np.newaxis]
    perfect = truth.data - truth.correlated
    # The brightest pixel is limited, which changes little of a smooth disc.
    eaten = measure_light(truth, perfect - np.float32(0.1) * steps * truth.scene)
    assert eaten.eaten == pytest.approx(10, rel=0.1)
    assert measure_light(truth, perfect).eaten == pytest.approx(0, abs=0.01)
