"""Light that is not linear in time, of scenes and noise that are known."""

import numpy as np
import pytest

from deflicker.detector.clock import Clock
from deflicker.noise.wiener.light_trend import LightTrend
from deflicker.noise.wiener.mean_image import MeanImage
from deflicker.noise.wiener.records import Records
from deflicker.noise.wiener.spectrum import typical_spectrum
from deflicker.simulation.exposures import DETECTORS, Scenario, simulate

SHAPE = (128, 128)
WHITE = 4.4
EVERYWHERE = np.ones(SHAPE, bool)


def light():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (3000 * np.exp(-np.hypot(y - 60, x - 50) / 12)).astype(np.float32)


def problem(scene):
    pairs = frozenset((0, j) for j in range(4))
    mean = MeanImage(scene, np.full(SHAPE, 4, np.uint8), pairs)
    clock = Clock(n_slow=SHAPE[0], n_fast=SHAPE[1])
    spectrum = typical_spectrum(white=WHITE**2, n_outputs=1)
    return LightTrend.of(
        mean, spectrum, Records(clock), photon_variance_per_dn=1.0, allowed=EVERYWHERE
    )


def noise(seed, scene):
    """Noise of a read of a detector much like the spectrum's, and photons."""
    scenario = Scenario(
        shape=SHAPE, n_outputs=1, n_groups=2, n_stars=0, sky=0.0, border=0, bad_pixels=0.0,
        cosmic_rays=0.0, noise=DETECTORS["NIRCAM"],
    )  # fmt: skip
    read = simulate(scenario, seed=seed).data[0, 0]
    rng = np.random.default_rng(seed)
    return read + (np.sqrt(scene) * rng.standard_normal(SHAPE)).astype(np.float32)


@pytest.mark.parametrize(("scale", "bend"), [(0.25, 0.0), (0.0, -1e-5), (-0.05, 2e-5)])
def test_a_trend_is_removed(scale, bend):
    scene = light()
    trend = problem(scene + 20)
    dark = noise(1, scene)
    left = dark + scale * scene + bend * scene**2
    left -= np.median(left)
    found = trend.remove(left, EVERYWHERE.copy(), scene + 20, factor=1.0)
    assert found == pytest.approx(scale, abs=0.02)
    # Of several hundred DN no more is left than a fraction of the photon noise of a pixel.
    error = left - dark
    error -= np.median(error)
    assert (np.abs(error) / np.sqrt(scene + WHITE**2)).max() < 0.5


@pytest.mark.parametrize("seed", range(10))
def test_noise_is_no_trend(seed):
    scene = light()
    values = noise(seed, scene)
    before = values.copy()
    assert problem(scene).remove(values, EVERYWHERE.copy(), scene, factor=1.0) == 0
    np.testing.assert_array_equal(values, before)


def test_hits_and_bad_pixels_are_no_trend(rng):
    scene = light()
    values = noise(1, scene)
    values[rng.random(SHAPE) < 0.01] += 1e4
    good = rng.random(SHAPE) < 0.9
    values[~good] = np.nan
    before = values.copy()
    assert problem(scene).remove(values, good, scene, factor=1.0) == 0
    np.testing.assert_array_equal(values, before)


def test_unflagged_hits_that_are_bright_in_the_mean_are_no_trend():
    """A tenth of the bright pixels, brighter than all light: all of it in one difference."""
    scene = np.minimum(light(), np.float32(400))
    hit = np.zeros(SHAPE, bool)
    hit[100:106, 90:98] = True
    mean = scene + np.where(hit, np.float32(3000), np.float32(0))
    values = noise(2, scene) + np.where(hit, np.float32(9000), np.float32(0))
    before = values.copy()
    assert problem(mean).remove(values, EVERYWHERE.copy(), mean, factor=1.0) == 0
    np.testing.assert_array_equal(values, before)


def test_without_light_there_is_no_trend(rng):
    assert problem(rng.normal(5, 1, SHAPE).astype(np.float32)) is None
    assert problem(np.full(SHAPE, 7, np.float32)) is None


def test_the_noise_of_the_mean_in_the_light_is_no_trend(rng):
    """Deviations from a mean hold its noise with the other sign, and so do hundreds of pixels."""
    scene = np.zeros(SHAPE, np.float32)
    scene[:, 80:] = 60
    sigma = (WHITE**2 + typical_spectrum(white=WHITE**2, n_outputs=1).correlated_variance) ** 0.5
    draws = rng.normal(0, sigma, (4, *SHAPE)).astype(np.float32)
    mean = draws.mean(axis=0)
    trend = problem(scene + mean)
    for j in range(4):
        values = draws[j] - mean
        assert trend.remove(values, EVERYWHERE.copy(), scene + mean, factor=0.75) == 0
    values = draws[0] - 2 * mean
    shared = 1 / 4 - 2 / 4  # of the noise of such a combination and the mean
    before = values.copy()
    assert trend.remove(values, EVERYWHERE.copy(), scene + mean, factor=1.0, shared=shared) == 0
    np.testing.assert_array_equal(values, before)
