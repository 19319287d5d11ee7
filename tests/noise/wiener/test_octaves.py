"""Light in single octaves of the noise."""

import numpy as np
import pytest

from deflicker.detector.clock import Clock
from deflicker.noise.wiener.light import Waves
from deflicker.noise.wiener.octaves import spare_light
from deflicker.noise.wiener.prior import NoisePrior
from deflicker.noise.wiener.records import Records
from deflicker.noise.wiener.spectrum import typical_spectrum

N_OUTPUTS = 4
RECORDS = Records(Clock(n_slow=256, n_fast=256, n_outputs=N_OUTPUTS))
WAVES = Waves.of(RECORDS)
PRIOR = NoisePrior.of(typical_spectrum(white=1.0, n_outputs=N_OUTPUTS), RECORDS)
EXPECTED = PRIOR.removed_power(None, mean_weight=0.5)
LEVEL = 100.0
FREQUENCY = np.arange(len(WAVES.frequency))
OCTAVE = (FREQUENCY >= 32) & (FREQUENCY < 64)


def noise_of(rng):
    """Spectra with the expected power, and a level."""
    values = rng.standard_normal((2, N_OUTPUTS, RECORDS.size)).astype(np.float32)
    shared, own = (RECORDS.spectra(one) for one in values)
    mean, deviation = EXPECTED
    spectra = shared[:1] * np.sqrt((mean - deviation) / N_OUTPUTS) + own * np.sqrt(deviation)
    spectra[:, 0] = LEVEL
    return spectra.astype(np.complex64)


def powers(spectra):
    """Power of the mean of the outputs, and of their deviations from it."""
    mean = spectra.mean(axis=0)
    return N_OUTPUTS * np.abs(mean) ** 2, np.sum(np.abs(spectra - mean) ** 2, axis=0)


def test_noise_is_left_as_it_is(rng):
    for _ in range(50):
        noise = noise_of(rng)
        assert spare_light(noise, EXPECTED, WAVES)[0] is noise


@pytest.mark.parametrize("strength", [3, 100])
def test_light_in_an_octave(rng, strength):
    noise = noise_of(rng)
    light = noise_of(rng) * np.float32(strength**0.5) * OCTAVE
    spared, expected = spare_light(noise + light, EXPECTED, WAVES)
    np.testing.assert_array_equal(spared[:, ~OCTAVE], noise[:, ~OCTAVE])
    for before, after, noise_power in zip(
        powers(noise + light), powers(spared), EXPECTED, strict=True
    ):
        number = 1 if noise_power is EXPECTED[0] else N_OUTPUTS - 1
        share = number * noise_power[OCTAVE].sum() / before[OCTAVE].sum()
        assert after[OCTAVE].sum() == pytest.approx(share**2 * before[OCTAVE].sum(), rel=1e-3)
    # What is expected of the noise is that of the result.
    for power, noise_power, after in zip(expected, EXPECTED, powers(spared), strict=True):
        number = 1 if noise_power is EXPECTED[0] else N_OUTPUTS - 1
        np.testing.assert_array_equal(power[~OCTAVE], noise_power[~OCTAVE])
        assert number * power[OCTAVE].sum() == pytest.approx(after[OCTAVE].sum(), rel=1e-3)
    # Less is wrong than with the light, and not more than without the noise.
    wrong = np.sum(np.abs(spared - noise) ** 2)
    assert wrong < np.sum(np.abs(light) ** 2)
    assert wrong < 1.1 * np.sum(np.abs(noise[:, OCTAVE]) ** 2)


def test_light_that_the_outputs_do_not_share(rng):
    noise = noise_of(rng)
    light = np.zeros_like(noise)
    light[1] = 30 * np.sqrt(EXPECTED[1]) * OCTAVE
    light -= light.mean(axis=0)
    spared, _ = spare_light(noise + light, EXPECTED, WAVES)
    (mean, deviation), (mean_after, deviation_after) = powers(noise), powers(spared)
    np.testing.assert_allclose(mean_after[OCTAVE], mean[OCTAVE], rtol=1e-3)
    assert deviation_after[OCTAVE].sum() < 1.2 * deviation[OCTAVE].sum()


def test_the_level_is_no_light(rng):
    noise = 30 * noise_of(rng)
    np.testing.assert_array_equal(spare_light(noise, EXPECTED, WAVES)[0][:, 0], noise[:, 0])


def test_stripes_are_judged_for_themselves(rng):
    """Waves with the frequencies of an octave, but across the rows of an output."""
    octave = (FREQUENCY >= 256) & (FREQUENCY < 512)
    stripes = octave & WAVES.along_rows
    assert 0 < np.count_nonzero(stripes) < np.count_nonzero(octave)
    noise = noise_of(rng)
    spared, _ = spare_light(
        noise * np.where(stripes, np.float32(5), np.float32(1)), EXPECTED, WAVES
    )
    np.testing.assert_array_equal(spared[:, octave & ~stripes], noise[:, octave & ~stripes])
    assert np.abs(spared[:, stripes]).sum() < np.abs(noise[:, stripes]).sum()


def test_light_in_one_octave_makes_it_likely_in_others(rng):
    """Nearly twice the power: too little for 16 waves alone, of which chance has as much."""
    noise = noise_of(rng)
    other = (FREQUENCY >= 16) & (FREQUENCY < 32)
    found, expected = powers(noise)[0][other].sum(), EXPECTED[0][other].sum()
    noise += noise.mean(axis=0) * np.float32((1.9 * expected / found) ** 0.5 - 1) * other
    assert spare_light(noise, EXPECTED, WAVES)[0] is noise
    light = 10 * noise_of(rng) * OCTAVE
    spared, _ = spare_light(noise + light, EXPECTED, WAVES)
    assert np.abs(spared[:, other].sum(axis=0)).sum() < np.abs(noise[:, other].sum(axis=0)).sum()
