import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deflicker.simulation.exposures import EXPOSURES, SERIES, Scenario, SimulatedNoise, simulate
from deflicker.simulation.quality import measure_quality, rate_variance
from deflicker.simulation.scenarios import TARGETS
from deflicker.simulation.series import drifts, light_curve, target_light, transit_shape
from support.light_curves import column_excess, fit_transit, target_box, white_light

QUIET = {"noise": SimulatedNoise(white=0.0), "photon_noise": False, "cosmic_rays": 0.0}
SIZES = {"bots": (32, 128), "soss": (128, 160), "grism": (64, 128), "imaging": (96, 80)}
# Of small exposures before there were series, as `figures` tells them: published numbers
# rest on these arrays.
AS_THEY_WERE = json.loads((Path(__file__).parents[1] / "exposures.json").read_text())


def small(name, **changes):
    scenario = replace(SERIES[name], shape=SIZES[name])
    if name == "soss":
        scenario = replace(scenario, trace_height=6.0)
    return replace(scenario, **changes)


def steps(truth):
    """Light of each integration, from noiseless ramps."""
    return np.diff(truth.data.astype(float), axis=1)


def figures(array):
    """Mean, scatter, missing pixels and ten pixels; of flags how many there are, and where."""
    if array.dtype.kind == "u":
        flags, number = np.unique(array, return_counts=True)
        places = [np.flatnonzero(array == flag).mean() for flag in flags]
        return [*flags, *number, *places]
    pixels = array.ravel()[np.linspace(0, array.size - 1, 12).astype(int)[1:-1]]
    return [np.nanmean(array), np.nanstd(array), np.isnan(array).sum(), *pixels]


@pytest.mark.parametrize("name", EXPOSURES)
def test_exposures_are_what_they_were(name):
    scenario = EXPOSURES[name]
    scenario = replace(
        scenario,
        shape=(48, 64) if scenario.n_outputs == 1 else (48, 128),
        n_stars=20,
        n_integrations=min(2, scenario.n_integrations),
    )
    made = simulate(scenario, seed=3)
    for kind, expected in AS_THEY_WERE[name].items():
        array = getattr(made, kind)
        # Another processor rounds otherwise: 1e-6 of the scatter, and no flag elsewhere.
        rounding = 1e-5 * expected[1] if array.dtype == np.float32 else 0
        found = figures(array.astype(float) if rounding else array)
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=rounding, err_msg=kind)
    assert made.target is None
    assert np.all(made.light_curve == 1)


def test_transit_is_a_trapezoid_in_the_middle_third():
    shape = transit_shape(300)
    assert not shape[:100].any()
    assert not shape[200:].any()
    assert np.all(shape[120:180] == 1)
    assert np.allclose(np.diff(shape[100:120]), 1 / 20)
    assert np.allclose(shape, shape[::-1])


@pytest.mark.parametrize("name", SERIES)
def test_light_of_the_target_alone_follows_the_curve(name):
    scenario = small(name, drift=0.0, bad_pixels=0.0, n_integrations=9, **QUIET)
    truth = simulate(scenario)
    curve = 1 - 0.01 * np.array([0, 0, 0, 5 / 6, 1, 5 / 6, 0, 0, 0])
    assert truth.light_curve == pytest.approx(curve)
    inner = np.ones(scenario.shape, dtype=bool)
    if scenario.border:
        inner[:] = False
        inner[4:-4, 4:-4] = True
    others = (truth.scene - truth.target)[inner].astype(float)
    for light, factor in zip(steps(truth), curve, strict=True):
        expected = others + factor * truth.target[inner]
        assert np.allclose(light[:, inner], expected, rtol=0, atol=0.01)


def test_field_stars_and_sky_do_not_transit():
    scenario = small("grism", drift=0.0, bad_pixels=0.0, n_integrations=9, n_stars=300, **QUIET)
    truth = simulate(scenario)
    change = truth.data[4] - truth.data[0]
    dark = (truth.target == 0) & (truth.scene > 0)
    assert np.max(truth.scene[dark]) > 20
    assert not change[:, dark].any()
    bright = truth.target > 0.5 * truth.target.max()
    assert np.all(change[:, bright] < 0)


@pytest.mark.parametrize("name", ["soss", "imaging", "grism"])
def test_drift_moves_the_target_and_nothing_else(name):
    scenario = small(
        name, drift=0.4, transit_depth=0.0, bad_pixels=0.0, sky=0.0, n_stars=0, border=0, **QUIET
    )
    rows = np.arange(scenario.shape[0])[:, np.newaxis]
    # In columns in which all orders are in the image and end in it.
    columns = slice(0, 40)

    def place(light):
        return float((rows * light)[:, columns].sum() / light[:, columns].sum())

    places = np.array([place(light.mean(axis=0)) for light in steps(simulate(scenario))])
    assert places - places.mean() == pytest.approx(np.linspace(-0.2, 0.2, 24), abs=1e-3)
    assert drifts(scenario) == pytest.approx(np.linspace(-0.2, 0.2, 24))


def test_a_single_integration_does_not_drift():
    assert drifts(small("bots", n_integrations=1)) == 0
    assert light_curve(small("bots", n_integrations=1)) == pytest.approx(0.99)


def test_three_curved_orders_of_different_brightness():
    scenario = replace(SERIES["soss"], shape=(256, 512), trace_height=3.0)
    light = target_light(scenario)
    column = light[:, 51]
    peaks = np.flatnonzero((column[1:-1] > column[:-2]) & (column[1:-1] >= column[2:])) + 1
    assert len(peaks) == 3
    assert np.all(np.diff(column[peaks]) < 0)
    along = np.argmax(light, axis=0)  # of the first order
    assert along[0] > along[300] < along[-1]


@pytest.mark.parametrize("name", SERIES)
def test_nothing_saturates(name):
    truth = simulate(small(name, n_integrations=1))
    assert not (truth.group_dq & 2).any()
    assert np.nanmax(truth.data) < 0.7 * truth.scenario.saturation


@pytest.mark.parametrize("name", SERIES)
def test_the_box_gives_the_depth_of_a_series_without_noise(name):
    truth = simulate(small(name, drift=0.0, **QUIET))
    curve = white_light(truth, truth.data)
    assert curve == pytest.approx(truth.light_curve, abs=1e-6)
    fit = fit_transit(curve)
    assert fit.depth == pytest.approx(0.01, abs=1e-6)
    assert fit.scatter < 1e-6


def test_flagged_differences_do_not_enter_the_light_curve():
    truth = simulate(small("imaging", drift=0.0, **QUIET | {"cosmic_rays": 0.01}), seed=2)
    hit = (truth.group_dq & 4) != 0
    # The hits that nobody flagged are taken out: of those a light curve knows nothing.
    ramps = np.zeros_like(truth.data)
    ramps[:] = simulate(replace(truth.scenario, cosmic_rays=0.0), seed=2).data
    ramps += 1000 * np.cumsum(hit, axis=1, dtype=np.float32)
    assert hit[:, :, target_box(truth)].any()
    assert fit_transit(white_light(truth, ramps)).depth == pytest.approx(0.01, abs=1e-6)


def test_error_and_scatter_of_the_fit_are_those_of_the_noise():
    rng = np.random.default_rng(5)
    shape = transit_shape(30)
    fits = [
        fit_transit(2 + 0.1 * np.linspace(-1, 1, 30) - 0.02 * shape + rng.normal(0, 1e-3, 30))
        for _ in range(2000)
    ]
    depths = np.array([fit.depth for fit in fits])
    assert depths.mean() == pytest.approx(0.02, abs=4 * depths.std() / 2000**0.5)
    assert np.mean([fit.error**2 for fit in fits]) == pytest.approx(depths.var(), rel=0.15)
    assert np.mean([fit.scatter**2 for fit in fits]) == pytest.approx(1e-6, rel=0.02)


def test_limit_is_the_scatter_without_correlated_noise():
    """Variance of the mean difference: white noise of two reads and the photons of all."""
    scenario = Scenario(
        shape=(100, 100),
        n_outputs=1,
        n_stars=0,
        sky=20.0,
        border=0,
        cosmic_rays=0.0,
        bad_pixels=0.0,
        n_integrations=4,
        noise=SimulatedNoise(white=7.0),
    )
    truth = simulate(scenario)
    rates = (truth.data[:, -1].astype(float) - truth.data[:, 0]) / (scenario.n_groups - 1)
    assert rates.var() == pytest.approx(rate_variance(scenario, truth.scene)[0, 0], rel=0.03)


def test_columns_scatter_at_their_limit_without_correlated_noise():
    truth = simulate(small("bots", cosmic_rays=0.0, shape=(32, 512)))
    rest = truth.data - truth.correlated
    assert column_excess(truth, rest) == pytest.approx(1, abs=0.05)
    # Noise of a column that adds three times the variance of the other noise.
    box = target_box(truth)
    variance = np.sum(rate_variance(truth.scenario, truth.scene) * box, axis=0)
    size = np.sqrt(3 * variance) / box.sum(axis=0)
    noise = np.random.default_rng(4).standard_normal((24, 512)) * size
    ramps = rest + noise[:, None, None, :] * np.arange(5).reshape(5, 1, 1)
    assert column_excess(truth, ramps) == pytest.approx(2, abs=0.1)


def test_all_targets_have_a_series():
    assert {scenario.target for scenario in SERIES.values()} == set(TARGETS)
    with pytest.raises(ValueError, match="no target; it may be one of trace, soss, star"):
        target_light(Scenario())


def test_noise_left_in_single_integrations():
    """Noise that is opposite in two integrations is not in their mean, but in both."""
    truth = simulate(small("imaging", n_integrations=2))
    half = truth.data - 0.5 * truth.correlated
    assert measure_quality(truth, half).removed_integration == pytest.approx(75, abs=0.1)
    first = truth.correlated[0]
    left = truth.data - truth.correlated + np.stack([first, -first])
    figures = measure_quality(truth, left)
    assert figures.removed_rate == pytest.approx(100, abs=0.01)
    assert figures.removed_integration < 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transit_depth": 0.01}, "need a target"),
        ({"drift": 0.01}, "need a target"),
        ({"target": "comet"}, "target must be one of trace, soss, star or None, not 'comet'"),
        ({"target": "trace"}, "needs traces=1"),
    ],
)
def test_recipes_that_contradict_themselves(changes, message):
    with pytest.raises(ValueError, match=message):
        Scenario(**changes)
