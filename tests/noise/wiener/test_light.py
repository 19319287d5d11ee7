"""Power of the light, measured from images in which it is known."""

import numpy as np
import pytest

from deflicker.detector.clock import Clock
from deflicker.noise.wiener.light import LightPower, ModePowers, Waves
from deflicker.noise.wiener.noise_fit import fit_noise
from deflicker.noise.wiener.prior import NoisePrior, variance_of
from deflicker.noise.wiener.records import Records
from deflicker.noise.wiener.solver import NoiseEquations, solve_noise
from deflicker.noise.wiener.spectrum import typical_spectrum
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.noise.wiener.weighted_image import WeightedImage
from deflicker.noise.wiener.weights import ObservedPixels, RecordWeights

SHAPE = (256, 256)
TUNING = WienerTuning()


@pytest.fixture
def clock():
    return Clock(n_slow=SHAPE[0], n_fast=SHAPE[1], n_outputs=2)


def light_of(rng, clock, power):
    """Light with a given power in each output, independent of each other."""
    records = Records(clock)
    waves = Waves.of(records)
    spectra = records.spectra(
        rng.standard_normal((clock.n_outputs, records.size)).astype(np.float32)
    )
    spectra *= np.sqrt(power(np.maximum(waves.frequency, 1 / 256))).astype(np.float32)
    return clock.image(records.pixels(spectra))


def noise_of(rng, clock, spectrum):
    records = Records(clock)
    prior = NoisePrior.of(spectrum, records)
    shared, own = (
        records.spectra(rng.standard_normal((clock.n_outputs, records.size)).astype(np.float32))
        for _ in range(2)
    )
    common = (prior.mean - prior.deviation) / clock.n_outputs
    spectra = shared[:1] * np.sqrt(common) + own * np.sqrt(prior.deviation)
    return clock.image(records.pixels(spectra.astype(np.complex64)))


def measured(image, clock, spectrum, *, usable=None, times=4):
    records = Records(clock)
    waves = Waves.of(records)
    noise = NoisePrior.of(spectrum, records)
    usable = np.ones(SHAPE, bool) if usable is None else usable
    weights = np.where(usable, np.float32(1 / spectrum.white), np.float32(0))
    pixels = ObservedPixels(np.where(usable, image, 0).astype(np.float32), weights)
    light = LightPower.none(clock, TUNING)
    ticks = clock.n_outputs * records.size
    for _ in range(times):
        prior = noise.with_light(light.at(waves))
        equations = NoiseEquations(
            records=records,
            prior=prior,
            weights=RecordWeights(pixels, records),
            mean_weight=float(weights.mean()),
        )
        rhs = equations.weights.right_hand_side(pixels.values)
        total, _ = solve_noise(equations, rhs, tolerance=1e-4)
        powers = ModePowers.of(
            total,
            prior,
            records,
            waves,
            mean_weight=float(weights.sum()) / ticks,
            used=np.count_nonzero(weights) / ticks,
        )
        light = light.measured(powers)
    return light, powers, waves


def test_no_light_has_no_power(clock):
    waves = Waves.of(Records(clock))
    assert not LightPower.none(clock, TUNING).at(waves).any()


@pytest.mark.parametrize("masked", [0.0, 0.3])
@pytest.mark.parametrize("slope", [2.5, 3.5])
def test_power_law_beside_stripes_is_found(rng, clock, slope, masked):
    spectrum = typical_spectrum(white=1.0, n_outputs=2)

    def power(frequency):
        return 5.0 * (frequency / 0.05) ** -slope

    image = noise_of(rng, clock, spectrum) + light_of(rng, clock, power)
    image += rng.normal(size=SHAPE)
    light, _, waves = measured(image, clock, spectrum, usable=rng.random(SHAPE) >= masked)
    found = light.at(waves)
    some = (waves.frequency > 0.01) & (waves.frequency < 0.06) & ~waves.along_rows
    ratio = np.median(found[some] / power(waves.frequency[some]))
    assert 0.5 < ratio < 2.0
    assert (np.diff(light.log_power) <= 0).all()


def test_noise_alone_is_explained_without_light(rng, clock):
    spectrum = typical_spectrum(white=1.0, n_outputs=2)
    image = noise_of(rng, clock, spectrum) + rng.normal(size=SHAPE)
    light, powers, waves = measured(image, clock, spectrum, times=2)
    assert 0.8 < powers.excess(below=0.1) < 1.2
    assert np.median(light.at(waves)) < 0.1


def test_light_along_rows_is_believed_if_it_is_strong(rng, clock):
    """Stripes of light, which no other direction shows."""
    spectrum = typical_spectrum(white=1.0, n_outputs=2)
    image = noise_of(rng, clock, spectrum) + rng.normal(size=SHAPE)
    stripes = np.repeat(rng.normal(0, 30, (SHAPE[0] // 8, 1)), 8, axis=0)
    light, _, waves = measured(image + stripes, clock, spectrum)
    power = light.at(waves)
    slow = (waves.frequency > 0.01) & (waves.frequency < 0.05)
    assert power[slow & waves.along_rows].mean() > 100 * power[slow & ~waves.along_rows].mean()


def test_removed_variance_is_that_of_the_fit(rng, clock):
    spectrum = typical_spectrum(white=1.0, n_outputs=2)
    records = Records(clock)
    prior = NoisePrior.of(spectrum, records)
    ones = np.ones(SHAPE, np.float32)
    before, after, found = [], [], []
    for _ in range(6):
        noise = noise_of(rng, clock, spectrum)
        noise -= noise.mean()
        image = WeightedImage(
            values=(noise + rng.normal(size=SHAPE)).astype(np.float32),
            variance=ones,
            usable=ones > 0,
        )
        fitted, _ = fit_noise(image, spectrum, records, tolerance=1e-4)
        before.append(noise.var())
        after.append((noise - fitted).var())
        found.append(fitted.var())
    mean_weight = SHAPE[0] * clock.width / records.size
    expected = variance_of(prior.removed_power(None, mean_weight=mean_weight), records)
    assert np.mean(before) - np.mean(after) == pytest.approx(np.mean(found), rel=0.05)
    assert expected == pytest.approx(np.mean(found), rel=0.3)
