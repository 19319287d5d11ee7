"""Wiener cleaning where light, flags, times or shapes leave little that tells the noise."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from conftest import exposure_of, plain_exposure
from deflicker import CleanOptions, NothingToClean, Readout, clean_exposure
from deflicker.detector.dq import DO_NOT_USE, SATURATED
from deflicker.noise.wiener import solver as wiener
from deflicker.noise.wiener.mean_image import MeanImage
from deflicker.simulation.exposures import EXPOSURES, simulate
from deflicker.simulation.light import GrismField
from deflicker.simulation.quality import measure_quality
from deflicker.simulation.scenes import SCENES

WIENER = CleanOptions(fit_method="wiener")
STRIPE = replace(
    EXPOSURES["nircam"], shape=(128, 512), subarray="SUBGRISM128", n_stars=80, group_time=1.3,
    n_groups=6,
)  # fmt: skip
WINDOW = replace(EXPOSURES["nirspec-bots"], traces=0, n_integrations=1)


def figures(truth, options=WIENER, **changes):
    exposure = exposure_of(truth, **changes)
    return measure_quality(truth, clean_exposure(exposure, options).data)


def with_light(truth, scene, times, rng):
    """The exposure with more light, photon by photon; ``times`` are those of the groups."""
    steps = np.diff(times, prepend=0.0).reshape(-1, 1, 1)
    light = np.cumsum(rng.poisson(scene * steps), axis=0)
    return replace(truth, data=(truth.data + light).astype(np.float32), scene=truth.scene + scene)


def galaxy(shape, peak):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return peak * np.exp(-np.hypot((y - shape[0] / 2) / 0.6, x - shape[1] / 2) / 16)


def trace(shape, *, row, peak, sigma):
    y = np.arange(shape[0])[:, np.newaxis]
    profile = np.exp(-0.5 * ((y - row) / sigma) ** 2)
    return np.broadcast_to(peak * profile, shape)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("ratio", [1.25, 2.0])
def test_groups_that_are_not_evenly_spaced(rng, caplog, known, ratio):
    """Noise is removed as well as of evenly spaced groups, where the times are not known too."""
    dark = simulate(replace(STRIPE, n_stars=0, sky=0.0), seed=3)
    scene = galaxy(STRIPE.shape, 4000.0)
    even = with_light(dark, scene, 1.0 + np.arange(6), rng)
    times = np.cumsum([1, 1, ratio, 1, ratio, 1])
    uneven = with_light(dark, scene, times, rng)
    best = figures(even).removed_differences
    caplog.clear()
    found = figures(uneven, group_times=times.astype(float) if known else None)
    assert found.removed_differences > best - 4
    assert abs(found.flux_eaten) < 0.5
    assert ("not linear" in caplog.text) == (not known)


def test_a_response_that_is_not_linear(rng, caplog):
    """One percent is left at the brightest pixel of the last group."""
    scenario = replace(
        EXPOSURES["nirspec-ifu"], shape=(256, 256), n_outputs=4, n_groups=6, traces=8,
        trace_light=500.0, trace_height=6.0, cosmic_rays=0.0,
    )  # fmt: skip
    truth = simulate(scenario, seed=3)
    charge = truth.scene * np.arange(1, 7, dtype=np.float32).reshape(-1, 1, 1)
    bent = replace(truth, data=truth.data - 0.01 * charge**2 / charge.max())
    best = figures(truth).removed_differences
    assert "not linear" not in caplog.text
    assert figures(bent).removed_differences > best - 3
    assert "not linear" in caplog.text


@pytest.mark.parametrize("scene", ["stars", "galaxy"])
def test_steady_light_is_linear(caplog, scene):
    scenario = replace(STRIPE, galaxy=300.0 if scene == "galaxy" else 0.0, group_time=10.0)
    for seed in (1, 2):
        figures(simulate(scenario, seed=seed))
    assert "not linear" not in caplog.text


@pytest.mark.parametrize("used", [(0, 1), (0, 1, 2, 3, 4), (0, 3), (1, 2, 4)])
def test_variances_of_unevenly_spaced_differences(used):
    """As the covariance of the reads gives them, by matrices."""
    steps = np.array([1.0, 0.5, 2.0, 1.0, 0.5])
    matrix = np.diff(np.eye(6), axis=0)  # differences, as sums of reads
    mean = matrix[list(used)].sum(axis=0) / steps[list(used)].sum()
    image = MeanImage(
        np.zeros((1, 1), np.float32),
        np.full((1, 1), len(used), np.uint8),
        frozenset((0, j) for j in used),
        steps=steps,
        times=np.full((1, 1), steps[list(used)].sum(), np.float32),
    )
    assert image.factor == pytest.approx(mean @ mean)
    for j in used:
        left = matrix[j] - steps[j] * mean
        assert image.deviation_factor(0, j) == pytest.approx(left @ left)
        assert image.shared_factor(0, j) == pytest.approx(left @ mean, abs=1e-12)


def test_the_only_difference_of_a_pixel_tells_nothing_of_itself():
    """Columns are saturated from the third group on: their first difference is cleaned."""
    truth = simulate(STRIPE, seed=4)
    columns = np.zeros(STRIPE.shape, bool)
    columns[:, 150:190] = True
    dq = truth.group_dq.copy()
    dq[:, 2:, columns] |= np.uint8(SATURATED)
    result = clean_exposure(exposure_of(truth, group_dq=dq), WIENER)
    removed = (truth.data - result.data)[0]
    noise = truth.correlated[0, 1] - truth.correlated[0, 0]
    left = noise - (removed[1] - removed[0])
    good = (truth.pixel_dq & DO_NOT_USE) == 0

    def part(where):
        return 1 - np.var(left[where & good]) / np.var(noise[where & good])

    assert part(columns) > part(~columns) - 0.13


@pytest.mark.parametrize("n_sigma", [0.01, 0.1, 1e6])
def test_clipping_levels_that_nobody_means(caplog, n_sigma):
    truth = simulate(STRIPE, seed=3)
    found = figures(truth, replace(WIENER, n_sigma=n_sigma))
    assert found.removed_rate > 20
    assert found.removed_differences > 70
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "n_sigma" in warnings[0]
    assert "% of the pixels" in warnings[0]


@pytest.mark.parametrize(("sigma", "peak"), [(1.06, 6000.0), (1.4, 1000.0), (1.06, 20000.0)])
def test_a_wide_trace_in_a_narrow_window(rng, sigma, peak):
    scenario = replace(WINDOW, shape=(16, 512), subarray="SUB512S", n_groups=5)
    truth = simulate(scenario, seed=1)
    scene = trace(scenario.shape, row=8.3, peak=peak, sigma=sigma)
    scene = scene * (1 + 0.3 * np.sin(np.arange(512) / 40))
    found = figures(with_light(truth, scene, 1.0 + np.arange(5), rng))
    assert found.removed_differences > 50
    assert found.removed_rate > 30
    assert abs(found.flux_eaten) < 0.1


def test_a_window_that_light_fills(rng, caplog):
    """No pixel sees sky: only what differences have of their own is removed."""
    scenario = replace(WINDOW, shape=(16, 512), subarray="SUB512S", n_groups=5)
    truth = simulate(scenario, seed=1)
    scene = trace(scenario.shape, row=8.3, peak=6000.0, sigma=2.5)
    found = figures(with_light(truth, scene, 1.0 + np.arange(5), rng))
    assert found.removed_differences > 40
    assert found.removed_rate > -5
    assert "user_mask" in caplog.text


def rate_of(truth, light, rng):
    """Rate of a ramp, and its correlated noise, in DN per group."""
    steps = truth.scenario.n_groups - 1
    rate = (truth.data[:, -1:] - truth.data[:, :1]) / steps
    photons = np.sqrt(np.abs(light) / steps) * rng.standard_normal(light.shape)
    noise = (truth.correlated[0, -1] - truth.correlated[0, 0]) / steps
    return (rate + light + photons).astype(np.float32), noise


@pytest.mark.parametrize("shape", [(32, 1024), (256, 512)])
@pytest.mark.parametrize("peak", [20.0, 200.0, 2000.0])
def test_negative_light_is_as_good_as_positive(rng, shape, peak):
    """Nods that were subtracted: a positive and a negative trace."""
    truth = simulate(replace(WINDOW, shape=shape, bad_pixels=0.0), seed=2)
    lines = [trace(shape, row=f * shape[0], peak=peak, sigma=1.0) for f in (0.3, 0.7)]
    found = []
    for light in (lines[0], lines[0] - lines[1]):
        rate, noise = rate_of(truth, light, np.random.default_rng(1))
        result = clean_exposure(exposure_of(truth, data=rate, group_dq=None), WIENER)
        left = noise - (rate - result.data)[0, 0]
        found.append(100 * (1 - np.var(left) / np.var(noise)))
        assert abs(np.mean(left) - np.mean(noise)) < 0.05
    assert found[0] > 50
    assert found[1] > found[0] - 15


@pytest.mark.parametrize("axes", [(1, 2), (-2, -1)])
@pytest.mark.parametrize("ramp", [True, False])
@pytest.mark.parametrize(
    "shape", [(1, 8), (8, 1), (1, 64), (2, 8), (3, 3), (5, 64), (64, 4), (1, 1)], ids=str
)
def test_windows_of_a_few_rows_or_columns(rng, shape, ramp, axes):
    """They are cleaned, or there is a reason."""
    data = np.cumsum(rng.normal(3, 5, (1, 5, *shape)), axis=1).astype(np.float32)
    if not ramp:
        data = data[:, -1:]
    readout = Readout(fast_axis=axes[0], slow_axis=axes[1])
    try:
        result = clean_exposure(plain_exposure(data, ramp=ramp, readout=readout), WIENER)
    except NothingToClean:
        return
    before, after = (np.diff(d, axis=1) if ramp else d for d in (data, result.data))
    assert np.isfinite(result.data).all()
    assert np.var(after) <= 1.05 * np.var(before)


def test_what_has_not_converged_is_said(monkeypatch, caplog):
    truth = simulate(STRIPE, seed=3)
    result = clean_exposure(exposure_of(truth), WIENER)
    assert result.n_not_converged == 0
    assert "converged" not in caplog.text
    monkeypatch.setattr(wiener, "MOST_ITERATIONS", 1)
    result = clean_exposure(exposure_of(truth), WIENER)
    assert result.n_not_converged == 5
    assert "5 of 5 differences has not converged" in caplog.text


def test_spectra_along_rows_are_light_in_some_octaves(caplog):
    """They are stripes that no power of all directions describes."""
    scenario = replace(SCENES["stars-640"], n_stars=60, light=(GrismField(number=200),))
    truth = simulate(scenario, seed=1)
    guarded = figures(truth).removed_rate
    assert "at some frequencies" in caplog.text
    assert guarded > figures(truth, replace(WIENER, guard_light=False)).removed_rate + 5


@pytest.mark.slow
def test_light_in_the_slowest_waves_makes_the_sky_rougher():
    """A galaxy that all pixels see; a stiff sky left 49 % and took 5 % of its light."""
    found = figures(simulate(SCENES["disc-1024"], seed=2))
    assert found.removed_rate > 57
