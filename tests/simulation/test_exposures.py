from dataclasses import replace

import numpy as np
import pytest

from deflicker.detector.dq import DO_NOT_USE, JUMP_DET, REFERENCE_PIXEL, SATURATED
from deflicker.simulation.exposures import DETECTORS, EXPOSURES, Scenario, SimulatedNoise, simulate

QUIET = SimulatedNoise(white=0.0)
SMALL = Scenario(shape=(64, 128), n_stars=0, sky=0.0, cosmic_rays=0, bad_pixels=0, n_outputs=4)


def test_same_seed_same_exposure():
    one, two, other = simulate(SMALL, seed=1), simulate(SMALL, seed=1), simulate(SMALL, seed=2)
    assert np.array_equal(one.data, two.data)
    assert not np.array_equal(one.data, other.data)


@pytest.mark.parametrize("name", ["NIRCAM", "NIRISS", "NIRSPEC", "MIRI"])
def test_amplitudes_are_those_of_the_detector(name):
    """Mean power over many reads: the sum of the components' squares."""
    noise = DETECTORS[name]
    scenario = replace(SMALL, instrument=name, n_integrations=8, n_groups=20)
    exposure = simulate(scenario)
    expected = np.sqrt(
        noise.common**2 + noise.per_output**2 + noise.alternating**2 + noise.columns**2
    )
    assert np.sqrt(np.mean(exposure.correlated**2)) == pytest.approx(expected, rel=0.08)
    inner = (..., slice(4, -4), slice(4, -4))
    white = (exposure.data - exposure.correlated)[inner]
    assert np.std(white) == pytest.approx(noise.white, rel=0.01)


def test_pink_noise_falls_as_one_over_f():
    """In clock order, of one output: power at f and 8 f differ by 8."""
    noise = SimulatedNoise(white=0.0, common=5.0)
    scenario = replace(SMALL, n_outputs=1, n_groups=400, fast_axis=1, noise=noise)
    reads = simulate(scenario).correlated[0]
    # Rows with their overhead make the clock; one mean per row samples it evenly.
    power = np.mean(np.abs(np.fft.rfft(reads.mean(axis=2), axis=1)) ** 2, axis=0)
    assert power[1] / power[8] == pytest.approx(8, rel=0.35)
    assert power[2] / power[8] == pytest.approx(4, rel=0.35)


def test_neighbouring_outputs_are_mirrored():
    noise = SimulatedNoise(white=0.0, common=5.0)
    image = simulate(replace(SMALL, fast_axis=1, noise=noise)).correlated[0, 0]
    outputs = np.split(image, 4, axis=1)
    assert np.array_equal(outputs[0], outputs[1][:, ::-1])
    assert np.array_equal(outputs[0], outputs[2])


def test_miri_bands_are_columns():
    image = simulate(replace(EXPOSURES["miri"], shape=(32, 40))).correlated[0, 0]
    assert np.all(image == image[0])
    assert np.std(image[0]) > 0


@pytest.mark.parametrize(("fast", "slow"), [(1, 2), (-1, 2), (-2, -1), (2, 1)])
def test_stripes_run_along_the_fast_axis(fast, slow):
    noise = SimulatedNoise(white=0.0, common=5.0)
    scenario = replace(
        SMALL, shape=(96, 96), n_outputs=1, fast_axis=fast, slow_axis=slow, noise=noise
    )
    images = simulate(replace(scenario, n_groups=20)).correlated[0]
    along = 2 if abs(fast) == 1 else 1
    across = 3 - along
    assert np.mean(np.var(images.mean(axis=along), axis=1)) > 2 * np.mean(
        np.var(images.mean(axis=across), axis=1)
    )


def test_light_arrives_at_its_rate():
    scenario = replace(SMALL, sky=20.0, n_groups=6, noise=QUIET, border=0, group_time=10.0)
    exposure = simulate(scenario)
    assert np.all(exposure.scene == 200)
    assert np.mean(np.diff(exposure.data[0], axis=0)) == pytest.approx(200, rel=0.002)
    assert np.var(np.diff(exposure.data[0], axis=0)) == pytest.approx(200, rel=0.05)


def test_galaxy_and_stars_are_in_the_scene():
    bare = simulate(replace(SMALL, noise=QUIET)).scene
    galaxy = simulate(replace(SMALL, noise=QUIET, galaxy=6.0)).scene
    assert not bare.any()
    assert galaxy.max() == pytest.approx(6 * SMALL.group_time, rel=0.1)
    assert simulate(replace(SMALL, noise=QUIET, n_stars=5)).scene.max() > 1


def test_saturated_groups_are_flagged_from_the_first_on():
    scenario = replace(SMALL, sky=1000.0, saturation=25000.0, n_groups=6, noise=QUIET)
    exposure = simulate(scenario)
    flagged = (exposure.group_dq & SATURATED) != 0
    inner = (0, slice(None), slice(4, -4), slice(4, -4))
    assert np.array_equal(flagged[inner], exposure.data[inner] >= 25000)
    assert flagged[0, -1, 10, 10]
    assert not flagged[0, 0].any()
    assert np.all(np.diff(flagged.astype(int), axis=1) >= 0)
    assert exposure.data.max() <= 25000


def test_cosmic_rays_step_where_they_are_flagged():
    scenario = replace(SMALL, cosmic_rays=0.01, noise=QUIET, n_groups=8, border=0)
    exposure = simulate(scenario)
    steps = np.diff(exposure.data[0], axis=0) > 10
    flagged = (exposure.group_dq[0, 1:] & JUMP_DET) != 0
    assert np.all(steps[flagged])
    assert 0.01 < 1 - flagged.sum() / steps.sum() < 0.12  # one in twenty is not flagged
    assert steps.mean() == pytest.approx(0.01, rel=0.1)


def test_reference_and_bad_pixels():
    exposure = simulate(replace(SMALL, bad_pixels=0.1, sky=5.0, noise=QUIET))
    reference = (exposure.pixel_dq & REFERENCE_PIXEL) != 0
    assert reference.sum() == 64 * 128 - 56 * 120
    assert np.all(exposure.pixel_dq[reference] & DO_NOT_USE)
    assert not np.any(exposure.data[0, -1][reference])
    bad = ((exposure.pixel_dq & DO_NOT_USE) != 0) & ~reference
    assert bad.sum() == pytest.approx(672, rel=0.2)
    lost = np.isnan(exposure.data[0, 0])
    assert lost.any()
    assert np.all(bad[lost])


def test_integrations_are_independent():
    exposure = simulate(replace(SMALL, n_integrations=2))
    assert exposure.data.shape == (2, 5, 64, 128)
    assert not np.array_equal(exposure.correlated[0], exposure.correlated[1])
