"""The Wiener filter against dense matrices."""

import numpy as np
import pytest

from deflicker.clock import Clock
from deflicker.noise.coupling import SlowModes
from deflicker.noise.sky import SkySplines, SmoothSky, sky_penalty
from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.noise.wiener import NoiseEquations, NoisePrior, Records, solve_noise

FREQUENCY = np.concatenate([np.geomspace(1e-4, 0.25, 30), 0.5 - np.geomspace(0.24, 1e-3, 30)])
SPECTRUM = NoiseSpectrum(
    frequency=FREQUENCY,
    common=0.05 / FREQUENCY,
    per_output=0.01 / FREQUENCY,
    white=2.0,
    coherence=0.8,
)


def problem(*, n_outputs=2, n_slow=12, width=8, seed=1):
    rng = np.random.default_rng(seed)
    clock = Clock(n_slow=n_slow, n_fast=width * n_outputs, n_outputs=n_outputs)
    shape = (n_slow, clock.n_fast)
    weights = np.where(rng.random(shape) < 0.3, 0, rng.uniform(0.2, 1, shape)).astype(np.float32)
    weights[4] = 0  # a row that no pixel tells
    weights[:, :3] = 0
    values = rng.normal(0, 3, shape).astype(np.float32)
    return clock, weights, values


def covariance(clock):
    """Covariance of all pixels, in image order, from the definition."""
    records = Records(clock)
    size = records.size
    common, own = SPECTRUM.at(size)
    lags = np.arange(size)
    ticks = clock.image(
        np.tile(np.arange(clock.n_slow)[:, None] * clock.row_ticks + np.arange(clock.width),
                (clock.n_outputs, 1, 1))
    ).ravel()  # fmt: skip
    output = np.tile(np.arange(clock.n_fast) // clock.width, clock.n_slow)

    def of_lags(power):
        both = np.concatenate([power, power[1 : size - len(power) + 1][::-1]])
        return np.array([np.mean(both * np.cos(2 * np.pi * lags * k / size)) for k in lags])

    lag = np.abs(ticks[:, None] - ticks[None, :])
    return of_lags(common)[lag] + of_lags(own)[lag] * (output[:, None] == output[None, :])


def solve(clock, weights, values, *, sky=None, improve=True, tolerance=1e-6):
    records = Records(clock)
    prior = NoisePrior.of(SPECTRUM, records)

    def weigh(image):
        weighted = weights * image
        return weighted if sky is None else sky.without_sky(weighted)

    equations = NoiseEquations(
        records=records,
        prior=prior,
        weigh=lambda pixels: clock.ordered(weigh(clock.image(pixels))),
        mean_weight=float(weights.mean()),
        improve=SlowModes(sky, prior, records) if sky is not None and improve else None,
    )
    solution = solve_noise(equations, clock.ordered(values), tolerance=tolerance)
    return clock.image(records.pixels(solution))


@pytest.mark.parametrize("n_outputs", [1, 2, 4])
def test_solution_is_that_of_dense_matrices(n_outputs):
    clock, weights, values = problem(n_outputs=n_outputs)
    noise = covariance(clock)
    w = weights.ravel().astype(float)
    seen = w > 0
    data = noise[np.ix_(seen, seen)] + np.diag(1 / w[seen])
    expected = noise[:, seen] @ np.linalg.solve(data, values.ravel()[seen].astype(float))
    np.testing.assert_allclose(
        solve(clock, weights, values).ravel(), expected, atol=2e-4 * np.abs(expected).max()
    )


@pytest.mark.parametrize("with_flat", [False, True])
def test_solution_with_a_sky_is_that_of_dense_matrices(with_flat):
    clock, weights, values = problem(n_slow=24, width=16)
    splines = SkySplines(values.shape, spacing=12)
    penalty = sky_penalty(splines, np.full(splines.grid, 5.0))
    flat = np.random.default_rng(3).uniform(0.8, 1.2, values.shape).astype(np.float32)
    flat = np.repeat(flat[:, ::4], 4, axis=1) if with_flat else None
    sky = SmoothSky(splines, weights, penalty, flat)
    matrix = np.stack([splines.image(c.reshape(splines.grid)).ravel()
                       for c in np.eye(np.prod(splines.grid))], axis=1).astype(float)  # fmt: skip
    if flat is not None:
        matrix *= flat.ravel()[:, np.newaxis]
    noise, w = covariance(clock), weights.ravel().astype(float)
    normal = matrix.T @ (w[:, np.newaxis] * matrix) + penalty.toarray()
    projected = np.diag(w) - w[:, None] * (matrix @ np.linalg.solve(normal, matrix.T * w))
    system = np.linalg.inv(noise) + projected
    expected = np.linalg.solve(system, projected @ values.ravel().astype(float))
    got = solve(clock, weights, values, sky=sky, tolerance=1e-6)
    np.testing.assert_allclose(got.ravel(), expected, atol=2e-3 * np.abs(expected).max())
    # The sky that goes with it.
    coefficients = np.linalg.solve(normal, matrix.T @ (w * (values.ravel() - expected)))
    image = sky.image(weights * (values - got))
    wanted = matrix @ coefficients
    if flat is not None:
        wanted /= flat.ravel()
    np.testing.assert_allclose(image.ravel(), wanted, atol=5e-3 * np.abs(wanted).max())


def test_slow_modes_change_the_way_and_not_the_solution():
    clock, weights, values = problem(n_slow=24, width=16)
    splines = SkySplines(values.shape, spacing=12)
    sky = SmoothSky(splines, weights, sky_penalty(splines, np.full(splines.grid, 5.0)))
    with_modes = solve(clock, weights, values, sky=sky, tolerance=1e-6)
    without = solve(clock, weights, values, sky=sky, improve=False, tolerance=1e-6)
    np.testing.assert_allclose(with_modes, without, atol=2e-3 * np.abs(without).max())


def test_no_pixel_no_noise():
    clock, weights, values = problem()
    np.testing.assert_array_equal(solve(clock, 0 * weights, values), 0)


def test_threads_change_nothing():
    clock, weights, values = problem(n_outputs=4)
    results = []
    for n_threads in (1, 3):
        records = Records(clock, n_threads)
        ordered = clock.ordered(weights)
        equations = NoiseEquations(
            records=records,
            prior=NoisePrior.of(SPECTRUM, records),
            weigh=lambda pixels, ordered=ordered: ordered * pixels,
            mean_weight=float(weights.mean()),
        )
        results.append(solve_noise(equations, clock.ordered(values)))
    np.testing.assert_array_equal(*results)


def test_a_start_is_only_a_start():
    clock, weights, values = problem()
    records = Records(clock)
    ordered = clock.ordered(weights)
    equations = NoiseEquations(
        records=records,
        prior=NoisePrior.of(SPECTRUM, records),
        weigh=lambda pixels: ordered * pixels,
        mean_weight=float(weights.mean()),
    )
    data = clock.ordered(values)
    cold = solve_noise(equations, data, tolerance=1e-6)
    rng = np.random.default_rng(2)
    start = records.spectra(rng.normal(size=records.shape).astype(np.float32))
    warm = solve_noise(equations, data, tolerance=1e-6, start=start)
    scale = np.abs(records.pixels(cold)).max()
    np.testing.assert_allclose(records.pixels(warm), records.pixels(cold), atol=1e-3 * scale)
