"""What the cleaning says of itself, compared with the truth."""

from dataclasses import replace

import pytest

from conftest import exposure_of
from deflicker import CleanOptions, clean_exposure
from deflicker.simulation.exposures import simulate
from deflicker.simulation.quality import measure_quality
from deflicker.simulation.scenes import SCENES

WIENER = CleanOptions(fit_method="wiener")
# Bright light fills the image: the noise of the mean, which is small, is known least there.
WINDOWS = ["stars-640", "cluster-640", "disc-512", "edge-on along", "shell", "comet", "nebula-640"]


def errors(truth):
    """Errors of the estimates for the differences and for the rate, in points."""
    result = clean_exposure(exposure_of(truth), WIENER)
    quality = measure_quality(truth, result.data)
    assert result.removed is not None
    return (
        100 * result.removed.differences - quality.removed_differences,
        100 * result.removed.rate - quality.removed_rate,
    )


@pytest.mark.parametrize("scene", WINDOWS)
def test_estimate_is_true(scene):
    differences, rate = errors(simulate(SCENES[scene], seed=1))
    assert abs(differences) < 10
    assert abs(rate) < 10


@pytest.mark.parametrize("n_groups", [2, 3])
def test_estimate_is_true_with_few_groups(n_groups):
    scenario = replace(SCENES["stars-640"], n_groups=n_groups)
    differences, rate = errors(simulate(scenario, seed=2))
    assert abs(differences) < 10
    assert abs(rate) < 10


def test_estimate_is_not_that_of_the_noise_alone():
    """The same noise with and without a nebula that hides it."""
    dark = simulate(replace(SCENES["nebula-640"], light=()), seed=3)
    bright = simulate(SCENES["nebula-640"], seed=3)
    rates = [clean_exposure(exposure_of(truth), WIENER).removed.rate for truth in (dark, bright)]
    assert rates[0] - rates[1] > 0.3
