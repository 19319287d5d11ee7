import numpy as np
import pytest

from deflicker.simulation.exposures import Scenario, simulate
from deflicker.simulation.quality import mean_difference, measure_quality


@pytest.fixture(scope="module")
def truth():
    return simulate(Scenario(shape=(128, 128), n_outputs=1, n_stars=30, galaxy=5.0))


def test_perfect_cleaning(truth):
    quality = measure_quality(truth, truth.data - truth.correlated)
    assert quality.removed_differences == pytest.approx(100, abs=0.01)
    assert quality.removed_rate == pytest.approx(100, abs=0.01)
    assert quality.level == pytest.approx(0, abs=1e-4)
    assert quality.flux_eaten == pytest.approx(0, abs=1e-3)
    assert quality.new_nan == 0


def test_half_the_noise_is_three_quarters_of_the_variance(truth):
    quality = measure_quality(truth, truth.data - truth.correlated / 2)
    assert quality.removed_differences == pytest.approx(75, abs=0.1)
    assert quality.removed_rate == pytest.approx(75, abs=0.1)


def test_noise_added_is_negative(truth):
    quality = measure_quality(truth, truth.data + truth.correlated)
    assert quality.removed_rate == pytest.approx(-300, abs=0.5)


def test_light_and_sky_taken(truth):
    groups = np.arange(truth.scenario.n_groups).reshape(1, -1, 1, 1)
    eaten = groups * (0.05 * truth.scene + 0.5)
    cleaned = truth.data - truth.correlated - eaten
    quality = measure_quality(truth, cleaned.astype(np.float32))
    assert quality.flux_eaten == pytest.approx(5, abs=0.01)
    good = (truth.pixel_dq & 1) == 0
    assert quality.level == pytest.approx(-np.mean(0.05 * truth.scene[good] + 0.5), rel=1e-3)


def test_new_nan_are_counted(truth):
    cleaned = truth.data - truth.correlated
    cleaned[0, 2, 50, 60:63] = np.nan
    assert measure_quality(truth, cleaned).new_nan == 3


def test_bad_pixels_do_not_count(truth):
    cleaned = truth.data - truth.correlated
    bad = (truth.pixel_dq & 1) != 0
    # Another error in each group: one for all of them would not be in any difference.
    shape = (bad.sum(), truth.scenario.n_groups)
    cleaned[0, :, bad] += 100 * np.random.default_rng(1).normal(size=shape)
    quality = measure_quality(truth, cleaned)
    assert quality.removed_differences == pytest.approx(100, abs=0.01)
    assert quality.removed_rate == pytest.approx(100, abs=0.01)


def test_mean_difference():
    ramps = np.array([[1, 2, 4, 10], [0, 0, 0, 0]], np.float32).reshape(2, 4, 1, 1)
    assert mean_difference(ramps).item() == 3
