"""Spectrum of the noise, against records whose spectrum is known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from deflicker.detector.clock import Clock
from deflicker.detector.facts import PIXEL_SECONDS
from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.noise.wiener.directions import find_directions
from deflicker.noise.wiener.spectrum import (
    _covariances,
    _smooth_spectrum,
    _windowed,
    measure_spectrum,
    typical_spectrum,
)
from deflicker.simulation.exposures import Scenario, simulate
from deflicker.simulation.scenarios import SimulatedNoise

NOISE = SimulatedNoise(white=4.0, common=4.0, per_output=2.0, alternating=1.5)
CLOCK = Clock(n_slow=256, n_fast=1024, n_outputs=4)


def images(noise, clock=CLOCK, *, number=6, masked=0.3, seed=1):
    """Pure noise of independent reads, with holes that hold rubbish."""
    scenario = Scenario(
        shape=(clock.n_slow, clock.n_fast), fast_axis=1, n_outputs=clock.n_outputs,
        n_groups=number, sky=0.0, n_stars=0, cosmic_rays=0.0, bad_pixels=0.0, border=0,
        noise=noise,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    for read in simulate(scenario, seed=seed).data[0]:
        usable = rng.random(read.shape) > masked
        yield np.where(usable, read, np.float32(1e4)), usable


def pink(rms, frequency, clock=CLOCK):
    """Power of a pink record; its sum over positive and negative frequencies is n rms^2."""
    n = clock.n_ticks
    return rms**2 * n / (2 * np.sum(1 / np.arange(1, n // 2 + 1))) / (frequency * n)


def in_bins(power, frequency, truth, low, high):
    some = (frequency > low) & (frequency < high)
    return power[some].sum() / truth[some].sum()


def test_parts_of_the_noise_are_told_apart():
    spectrum = measure_spectrum(images(NOISE), CLOCK)
    f = spectrum.frequency
    assert spectrum.white == pytest.approx(16, rel=0.05)
    for low, high, tolerance in ((1e-4, 1e-3, 0.35), (1e-3, 1e-2, 0.12), (1e-2, 0.1, 0.1)):
        common = pink(4, f) + pink(1.5, f) / 2
        assert in_bins(spectrum.common, f, common, low, high) == pytest.approx(1, abs=tolerance)
        own = pink(2, f)
        assert in_bins(spectrum.per_output, f, own, low, high) == pytest.approx(1, abs=tolerance)


def test_alternating_columns_are_power_near_half_the_sampling_frequency():
    spectrum = measure_spectrum(images(NOISE), CLOCK)
    distance = np.maximum(0.5 - spectrum.frequency, 1e-9)
    some = (distance < 1e-2) & (distance > 1e-3)
    expected = pink(1.5, distance[some]) / 2 + pink(4, 0.5)
    assert spectrum.common[some].sum() / expected.sum() == pytest.approx(1, abs=0.15)


def test_coherence_tells_how_much_the_outputs_share():
    shared = measure_spectrum(images(replace(NOISE, per_output=0.2)), CLOCK)
    alone = measure_spectrum(images(replace(NOISE, common=0.0, alternating=0.0)), CLOCK)
    assert shared.shared_fraction > 0.9
    assert abs(alone.shared_fraction) < 0.1


def test_one_output_has_noise_of_its_own_only():
    clock = Clock(n_slow=512, n_fast=128)
    spectrum = measure_spectrum(images(NOISE, clock, number=10), clock)
    f = spectrum.frequency
    assert not spectrum.common.any()
    assert spectrum.shared_fraction == 0
    own = pink(20**0.5, f, clock) + pink(1.5, f, clock) / 2
    assert in_bins(spectrum.per_output, f, own, 1e-3, 1e-1) == pytest.approx(1, abs=0.12)
    assert spectrum.white == pytest.approx(16, rel=0.1)


def test_knee_is_where_the_correlated_noise_falls_below_the_white_noise():
    spectrum = measure_spectrum(images(NOISE), CLOCK)
    f = np.geomspace(1e-4, 0.25, 10000)
    knee = f[pink(4, f) + pink(1.5, f) / 2 + pink(2, f) > 16][-1] / PIXEL_SECONDS
    assert spectrum.knee == pytest.approx(knee, rel=0.35)


def test_scale_of_the_power():
    one = measure_spectrum(images(NOISE), CLOCK)
    three = one.scaled(3)
    assert three.white == 3 * one.white
    assert three.correlated_variance == pytest.approx(3 * one.correlated_variance)
    common, own = one.at(1000)
    np.testing.assert_allclose(three.at(1000)[0], 3 * common)
    assert own.min() >= 1e-4 * one.white * (1 - 1e-12)


def test_interpolation_is_exact_on_power_laws_from_both_ends():
    frequency = np.concatenate([np.geomspace(1e-6, 0.25, 20), 0.5 - np.geomspace(0.24, 1e-6, 20)])
    power = np.where(frequency <= 0.25, 1 / frequency, 2 / (0.5 - frequency))
    spectrum = NoiseSpectrum(frequency=frequency, common=power, per_output=power, white=1e-9)
    common, _ = spectrum.at(10_000)
    f = np.arange(1, 5001) / 10_000
    low = f <= 0.25
    np.testing.assert_allclose(common[1:][low], 1 / f[low], rtol=1e-6)
    high = (f > 0.2601) & (f < 0.5)
    np.testing.assert_allclose(common[1:][high], 2 / (0.5 - f[high]), rtol=1e-6)


@pytest.mark.parametrize("usable", [0, 3])
def test_too_few_pixels_have_no_spectrum(usable):
    mask = np.zeros((256, 1024), bool)
    mask.flat[:usable] = True
    assert measure_spectrum([(np.ones(mask.shape, np.float32), mask)], CLOCK) is None


def test_no_image_has_no_spectrum():
    assert measure_spectrum([], CLOCK) is None


def test_typical_noise_is_that_of_the_table():
    spectrum = typical_spectrum(white=19.4, n_outputs=4)
    common, own = spectrum.at(524 * 2048)
    assert 2 * common[1:].mean() / 2 == pytest.approx(0.85**2 * 19.4, rel=0.15)
    assert 2 * own[1:].mean() / 2 == pytest.approx(0.3**2 * 19.4, rel=0.15)
    single = typical_spectrum(white=19.4, n_outputs=1)
    assert not single.common.any()


@pytest.mark.parametrize("read", [(False, True, False, True), (False, False, True, True)])
def test_directions_are_found_and_not_supposed(read):
    values, usable = next(iter(images(NOISE)))
    turned, seen = values.copy(), usable.copy()
    for k, mirrored in enumerate(read):
        if mirrored != (k % 2 == 1):
            part = slice(256 * k, 256 * (k + 1))
            turned[:, part], seen[:, part] = values[:, part][:, ::-1], usable[:, part][:, ::-1]
    assert find_directions(turned, seen, CLOCK) == read


@pytest.mark.parametrize("mirrored", [(False, True, False, True), (False, False, False, False)])
def test_directions_are_as_supposed_where_nothing_is_shared(mirrored):
    clock = replace(CLOCK, mirrored=mirrored)
    noise = replace(NOISE, common=0.0, alternating=0.0)
    values, usable = next(iter(images(noise)))
    assert find_directions(values, usable, clock) == mirrored


def test_spectrum_of_means_of_pixels():
    spectrum = typical_spectrum(white=4.0, n_outputs=4)
    fine, coarse = spectrum.at(4000), spectrum.at(1000, binning=4)
    for one, other in zip(fine, coarse, strict=True):
        np.testing.assert_allclose(other[1:], one[1:501] / 4, rtol=1e-9)


def test_variance_that_means_of_pixels_do_not_resolve():
    frequency = np.linspace(0.001, 0.5, 500)
    flat = np.full(500, 3.0)
    spectrum = NoiseSpectrum(frequency=frequency, common=flat, per_output=flat, white=1.0)
    # The mean of four has a quarter of the variance, and keeps the slow part of it.
    slow = np.linspace(1e-6, 0.125, 5000)
    photon_variance_per_dn = (np.sin(4 * np.pi * slow) / (4 * np.sin(np.pi * slow))) ** 2
    resolved = 2 * 6 * np.trapezoid(photon_variance_per_dn, slow)
    assert spectrum.unresolved_variance(4) == pytest.approx(6 / 4 - resolved, abs=0.01)
    assert spectrum.unresolved_variance(1) == 0
    # Alternating columns are not in it.
    line = np.where(frequency > 0.495, 1e3, 1e-9)
    line = replace(spectrum, common=line, per_output=0 * line)
    assert line.unresolved_variance(4) < 1e-3 * line.correlated_variance


def slow_covariances(shots, clock, n_lags):
    """Means of the products of all pairs of usable pixels, lag by lag, in image order of time."""
    sums, numbers = np.zeros((2, n_lags)), np.zeros((2, n_lags))
    for values, usable in shots:
        records = np.full((clock.n_outputs, clock.n_ticks), np.nan)
        clock.fill(records, clock.ordered(np.where(usable, values, np.nan)))
        for a, one in enumerate(records):
            for b, other in enumerate(records):
                for lag in range(n_lags):
                    products = one[: clock.n_ticks - lag] * other[lag:]
                    some = np.isfinite(products)
                    sums[int(a != b), lag] += products[some].sum()
                    numbers[int(a != b), lag] += some.sum()
    return np.divide(sums, numbers, out=np.zeros_like(sums), where=numbers > 0), numbers


@pytest.mark.parametrize(("n_shots", "share"), [(3, 0.7), (1, 0.15)])
@pytest.mark.parametrize("n_outputs", [1, 2, 4])
def test_covariances_are_those_of_all_pairs_of_pixels(rng, n_outputs, n_shots, share):
    clock = Clock(n_slow=6, n_fast=10 * n_outputs, n_outputs=n_outputs)
    shots = [
        (
            rng.normal(1, 2, (6, clock.n_fast)).astype(np.float32),
            rng.random((6, clock.n_fast)) < share,
        )
        for _ in range(n_shots)
    ]
    auto, cross = _covariances(shots, clock, 1)
    assert len(auto) == clock.n_ticks // 2
    expected, numbers = slow_covariances(shots, clock, len(auto))
    np.testing.assert_allclose(auto, expected[0], atol=1e-5)
    if n_outputs == 1:
        assert cross is None
    else:
        # A pair of outputs is seen in both orders; in one alone it is half a pair.
        some = numbers[1] >= 2
        np.testing.assert_allclose(cross[some], expected[1][some], atol=1e-5)


def test_window_of_the_covariances_is_parzens(rng):
    """Sums of cosines, term by term."""
    covariance = rng.normal(size=20)
    x = np.arange(20) / 20
    weight = [1 - 6 * v**2 + 6 * v**3 if v <= 0.5 else 2 * (1 - v) ** 3 for v in x]
    expected = [
        covariance[0]
        + 2 * sum(weight[k] * covariance[k] * math.cos(math.pi * j * k / 20) for k in range(1, 20))
        for j in range(21)
    ]
    np.testing.assert_allclose(_windowed(covariance), expected, atol=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("correlation", "blur"), [(0.9, 0.12), (0.5, 0.012)])
def test_spectrum_of_noise_that_forgets_exponentially(correlation, blur, sign):
    """Its covariance r^k has the power (1 - r^2) / (1 - 2 r cos(2 pi f) + r^2).

    The windows of an octave are as wide as a fraction of the frequency, and blur a slope.
    """
    correlation *= sign
    frequency, power = _smooth_spectrum(correlation ** np.arange(20_000.0))
    assert np.all(np.diff(frequency) > 0)
    assert frequency[0] < 1e-4
    assert frequency[-1] > 0.5 - 1e-4
    expected = (1 - correlation**2) / (
        1 - 2 * correlation * np.cos(2 * np.pi * frequency) + correlation**2
    )
    np.testing.assert_allclose(power, expected, rtol=blur)
