"""The Wiener filter against dense matrices."""

import numpy as np
import pytest

from deflicker.detector.clock import Clock
from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.noise.wiener.coupling import SlowModes, _inverse_prior
from deflicker.noise.wiener.prior import NoisePrior
from deflicker.noise.wiener.records import Records
from deflicker.noise.wiener.sky import SkySplines, SmoothSky, sky_penalty
from deflicker.noise.wiener.solver import NoiseEquations, solve_noise
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.noise.wiener.weights import ObservedPixels, RecordWeights

FREQUENCY = np.concatenate([np.geomspace(1e-4, 0.25, 30), 0.5 - np.geomspace(0.24, 1e-3, 30)])
SPECTRUM = NoiseSpectrum(
    frequency=FREQUENCY,
    common=0.05 / FREQUENCY,
    per_output=0.01 / FREQUENCY,
    white=2.0,
    shared_fraction=0.8,
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


def solve(clock, pixels, *, sky=None, correction=True, tolerance=1e-6):
    records = Records(clock)
    prior = NoisePrior.of(SPECTRUM, records)
    weights = RecordWeights(pixels, records, sky)
    equations = NoiseEquations(
        records=records,
        prior=prior,
        weights=weights,
        mean_weight=float(pixels.weights.mean()),
        correction=SlowModes(sky, pixels, prior, records)
        if sky is not None and correction
        else None,
    )
    solution, _ = solve_noise(
        equations, weights.right_hand_side(pixels.values), tolerance=tolerance
    )
    return clock.image(records.pixels(solution))


def in_sky_bins(splines, image):
    return image.reshape(len(image), splines.n_bins, -1).sum(axis=2)


def make_sky(pixels, **options):
    splines = SkySplines(pixels.weights.shape, spacing=12)
    penalty = sky_penalty(splines, np.full(splines.grid, 5.0))
    flat = 1 if pixels.flat is None else pixels.flat
    return SmoothSky(splines, in_sky_bins(splines, pixels.weights * flat**2), penalty, **options)


@pytest.mark.parametrize("n_outputs", [1, 2, 4])
def test_solution_is_that_of_dense_matrices(n_outputs):
    clock, weights, values = problem(n_outputs=n_outputs)
    noise = covariance(clock)
    w = weights.ravel().astype(float)
    seen = w > 0
    data = noise[np.ix_(seen, seen)] + np.diag(1 / w[seen])
    expected = noise[:, seen] @ np.linalg.solve(data, values.ravel()[seen].astype(float))
    np.testing.assert_allclose(
        solve(clock, ObservedPixels(values, weights)).ravel(),
        expected,
        atol=2e-4 * np.abs(expected).max(),
    )


@pytest.mark.parametrize("with_halos", [False, True])
@pytest.mark.parametrize("with_flat", [False, True])
def test_solution_with_a_sky_is_that_of_dense_matrices(with_flat, with_halos):
    clock, weights, values = problem(n_slow=24, width=16)
    rng = np.random.default_rng(3)
    flat = rng.uniform(0.8, 1.2, values.shape).astype(np.float32) if with_flat else None
    halos = rng.uniform(0, 1, (2 if with_halos else 0, 24, 8)).astype(np.float32)
    pixels = ObservedPixels(values, weights, flat)
    sky = make_sky(pixels, halos=halos)
    splines, penalty = sky.splines, sky.penalty.toarray()
    matrix = np.stack([splines.image(c.reshape(splines.grid)).ravel()
                       for c in np.eye(np.prod(splines.grid))], axis=1).astype(float)  # fmt: skip
    if with_halos:
        matrix = np.concatenate([matrix, halos.reshape(2, -1).T], axis=1)
        penalty = np.pad(penalty, [(0, 2), (0, 2)])
        penalty[-2:, -2:] = np.eye(2) / WienerTuning().halo_fraction ** 2
    # Four pixels of the image share a value.
    matrix = np.repeat(matrix.reshape(24, 8, -1), 4, axis=1).reshape(values.size, -1)
    if with_flat:
        matrix *= flat.ravel()[:, np.newaxis]
    noise, w = covariance(clock), weights.ravel().astype(float)
    normal = matrix.T @ (w[:, np.newaxis] * matrix) + penalty
    projected = np.diag(w) - w[:, None] * (matrix @ np.linalg.solve(normal, matrix.T * w))
    system = np.linalg.inv(noise) + projected
    expected = np.linalg.solve(system, projected @ values.ravel().astype(float))
    got = solve(clock, pixels, sky=sky)
    np.testing.assert_allclose(got.ravel(), expected, atol=2e-3 * np.abs(expected).max())
    # The sky that goes with it.
    coefficients = np.linalg.solve(normal, matrix.T @ (w * (values.ravel() - expected)))
    image = sky.image(in_sky_bins(splines, pixels.of_sky(weights * (values - got))))
    wanted = (matrix @ coefficients).reshape(values.shape)
    if with_flat:
        wanted /= flat
    wanted = wanted[:, ::4]
    np.testing.assert_allclose(image, wanted, atol=5e-3 * np.abs(wanted).max())


def test_slow_modes_change_the_way_and_not_the_solution():
    clock, weights, values = problem(n_slow=24, width=16)
    pixels = ObservedPixels(values, weights)
    sky = make_sky(pixels)
    with_modes = solve(clock, pixels, sky=sky)
    without = solve(clock, pixels, sky=sky, correction=False)
    np.testing.assert_allclose(with_modes, without, atol=2e-3 * np.abs(without).max())


def test_slow_modes_save_iterations(monkeypatch):
    clock, weights, values = problem(n_slow=256, width=64)
    pixels = ObservedPixels(values, weights)
    sky = make_sky(pixels)
    applied = []
    apply = NoiseEquations.apply
    monkeypatch.setattr(NoiseEquations, "apply", lambda *args: applied.append(1) or apply(*args))
    solve(clock, pixels, sky=sky, tolerance=1e-3)
    number = len(applied)
    solve(clock, pixels, sky=sky, tolerance=1e-3, correction=False)
    assert 1.2 * number < len(applied) - number


def test_binned_pixels_are_weighted_means():
    _, weights, values = problem()
    flat = np.random.default_rng(3).uniform(0.8, 1.2, values.shape).astype(np.float32)
    binned = ObservedPixels(values, weights, flat).binned(4)
    w = weights.reshape(12, 4, 4)
    np.testing.assert_allclose(binned.weights, w.sum(axis=2), rtol=1e-6)
    some = w.sum(axis=2) > 0
    for got, whole in ((binned.values, values), (binned.flat, flat)):
        mean = np.average(whole.reshape(12, 4, 4)[some], axis=1, weights=w[some])
        np.testing.assert_allclose(got[some], mean, rtol=1e-5, atol=1e-5)
        assert np.all(np.isfinite(got))


@pytest.mark.parametrize("interleaved", [False, True])
def test_noise_of_means_of_pixels_is_that_of_the_pixels(interleaved):
    clock = Clock(n_slow=40, n_fast=128, n_outputs=2, interleaved=interleaved)
    fine, coarse = Records(clock), Records(clock.binned(4))
    assert fine.size == 4 * coarse.size
    rng = np.random.default_rng(1)
    spectra = np.zeros((2, coarse.size // 2 + 1), np.complex64)
    spectra[:, 1:60] = rng.normal(size=(2, 59)) + 1j * rng.normal(size=(2, 59))
    pixels = clock.image(fine.pixels(coarse.refined(spectra, fine)))
    means = pixels.reshape(40, 32, 4).mean(axis=2)
    got = coarse.clock.image(coarse.pixels(spectra))
    np.testing.assert_allclose(got, means, atol=0.005 * np.abs(means).max())
    assert fine.refined(spectra, fine) is spectra


def test_no_pixel_no_noise():
    clock, weights, values = problem()
    np.testing.assert_array_equal(solve(clock, ObservedPixels(values, 0 * weights)), 0)


def equations_of(records, pixels):
    weights = RecordWeights(pixels, records)
    return weights, NoiseEquations(
        records=records,
        prior=NoisePrior.of(SPECTRUM, records),
        weights=weights,
        mean_weight=float(pixels.weights.mean()),
    )


def test_threads_change_nothing():
    clock, weights, values = problem(n_outputs=4)
    results = []
    for n_threads in (1, 3):
        matrix, equations = equations_of(Records(clock, n_threads), ObservedPixels(values, weights))
        results.append(solve_noise(equations, matrix.right_hand_side(values))[0])
    np.testing.assert_array_equal(*results)


def test_a_start_is_only_a_start():
    clock, weights, values = problem()
    records = Records(clock)
    matrix, equations = equations_of(records, ObservedPixels(values, weights))
    cold, _ = solve_noise(equations, matrix.right_hand_side(values), tolerance=1e-6)
    start = records.spectra(
        records.filled(np.random.default_rng(2).normal(size=values.shape).astype(np.float32))
    )
    warm, _ = solve_noise(equations, matrix.right_hand_side(values), tolerance=1e-6, start=start)
    scale = np.abs(records.pixels(cold)).max()
    np.testing.assert_allclose(records.pixels(warm), records.pixels(cold), atol=1e-3 * scale)


@pytest.mark.parametrize("n_slow", [11, 12])
@pytest.mark.parametrize("n_outputs", [1, 2, 4])
def test_product_of_spectra_is_that_of_the_records(rng, n_outputs, n_slow):
    clock = Clock(n_slow=n_slow, n_fast=8 * n_outputs, n_outputs=n_outputs)
    records = Records(clock)
    one, other = (rng.normal(1, 1, (n_outputs, records.size)).astype(np.float32) for _ in range(2))
    # The ends of the spectrum, which count once, are most of these.
    one += 5 * (-1) ** np.arange(records.size, dtype=np.float32)
    other += 5 * (-1) ** np.arange(records.size, dtype=np.float32)
    found = records.product(records.spectra(one.copy()), records.spectra(other.copy()))
    assert found == pytest.approx(np.sum(one.astype(float) * other), rel=1e-5)


@pytest.mark.parametrize("n_outputs", [1, 2, 4])
def test_inverse_of_the_prior_of_slow_modes(n_outputs):
    """The covariance of outputs that share a mean: what they have in common, and the rest."""
    clock = Clock(n_slow=40, n_fast=8 * n_outputs, n_outputs=n_outputs)
    prior = NoisePrior.of(SPECTRUM, Records(clock))
    n = 5
    mean, deviation = (
        np.tile(p[1 : n + 1].astype(float), 2) for p in (prior.mean, prior.deviation)
    )
    together = np.full((n_outputs, n_outputs), 1 / n_outputs)
    covariance = np.kron(together, np.diag(mean))
    covariance += np.kron(np.eye(n_outputs) - together, np.diag(deviation))
    np.testing.assert_allclose(
        _inverse_prior(prior, n, n_outputs) @ covariance, np.eye(2 * n * n_outputs), atol=1e-6
    )


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_slow_noise_that_a_sky_hides(n_outputs):
    """None behind a sky that is only a level, and all of it behind one that may be anything."""
    clock = Clock(n_slow=128, n_fast=64 * n_outputs, n_outputs=n_outputs)
    records = Records(clock)
    prior = NoisePrior.of(SPECTRUM, records)
    ones = np.ones((clock.n_slow, clock.n_fast), np.float32)
    pixels = ObservedPixels(ones, ones)
    splines = SkySplines(ones.shape, spacing=8)
    stiff = sky_penalty(splines, np.full(splines.grid, 1.0))
    mean_weight = clock.n_slow * clock.width / records.size

    def hidden(penalty, cycles):
        sky = SmoothSky(splines, in_sky_bins(splines, ones), penalty)
        modes = SlowModes(sky, pixels, prior, records, cycles=cycles)
        return modes.hidden_variance(prior, mean_weight=mean_weight)

    # The first four frequencies, of both signs, of all outputs.
    rest = 1 / mean_weight
    modes = [prior.mean] + (n_outputs - 1) * [prior.deviation]
    whole = 2 * sum(np.sum(power[1:5] ** 2 / (power[1:5] + rest)) for power in modes)
    whole /= n_outputs * records.size
    assert hidden(1e8 * stiff, 4) < 0.01 * whole
    assert hidden(1e-12 * stiff, 4) == pytest.approx(whole, rel=0.05)
    assert hidden(1e8 * stiff, 4) <= hidden(stiff, 4) < hidden(1e-4 * stiff, 4)
