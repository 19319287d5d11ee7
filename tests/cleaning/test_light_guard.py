"""What the fits of all differences have in common beyond their noise is light."""

import numpy as np
import pytest
from scipy.fft import idctn

from deflicker.cleaning.light_guard import guard_light, spare_light, variance_factors
from deflicker.noise.fit import DifferenceFit
from deflicker.noise.noise_image import NoiseImage

N_ROWS = 256


def fits_of(coefficients, shapes=None):
    return [
        DifferenceFit(noise=NoiseImage(c.astype(np.float32), shapes), n_used=100)
        for c in coefficients
    ]


def rows_of_reads(rng, n_groups, n_columns=1):
    """Differences of reads whose rows have independent levels."""
    reads = rng.normal(size=(n_groups, N_ROWS, n_columns))
    return np.diff(reads, axis=0)


@pytest.mark.parametrize("share_reads", [True, False])
def test_factors_are_variances_of_noise(rng, share_reads):
    steps = np.array([0.5, 1.0, 1.0, 1.5])
    used = np.array([True, True, False, True])
    if share_reads:
        differences = np.diff(rng.normal(size=(5, 400_000)), axis=0) / np.sqrt(2)
    else:
        differences = rng.normal(size=(4, 400_000))
    mean = differences[used].sum(axis=0) / steps[used].sum()
    of_mean, of_deviations = variance_factors(steps, used, share_reads=share_reads)
    assert of_mean == pytest.approx(mean.var(), rel=0.02)
    deviations = (differences - steps[:, np.newaxis] * mean).var(axis=1)
    np.testing.assert_allclose(of_deviations[used], deviations[used], rtol=0.02)
    assert of_deviations[2] == 0


@pytest.mark.parametrize("image", [False, True])
@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0, 3.0, 30.0, 1000.0])
def test_never_worse_than_nothing(rng, strength, image):
    """Whatever the light: what is left of noise and light is not more than the noise."""
    n_columns = 32 if image else 2
    shapes = None if image else np.repeat(np.eye(2, dtype=np.float32), 16, axis=1)
    light = np.cumsum(rng.normal(size=(N_ROWS, 1)), axis=0) * np.ones(n_columns)
    light *= strength / light.std()
    light -= light.mean()  # the level is that of the background
    left, noise = [], []
    for _ in range(4):
        differences = rows_of_reads(rng, 6, n_columns)
        fits, power = spare_light(
            fits_of(differences + light, shapes), np.ones(5), share_reads=True
        )
        removed = np.mean([one.noise.coefficients for one in fits], axis=0)
        mean = differences.mean(axis=0)
        left.append(np.var(mean - removed))
        noise.append(np.var(mean))
    assert np.mean(left) < 1.02 * np.mean(noise)
    if strength == 0:
        assert np.mean(left) < 0.1 * np.mean(noise)
        assert power.kept > 0.9
    if strength == 1000:
        assert power.kept < 0.01
        assert power.found > 100 * power.expected


@pytest.mark.parametrize("n_groups", [3, 5, 10])
def test_light_in_few_slow_waves_is_spared_and_noise_is_not(rng, n_groups):
    """Pink noise, most of which is in few waves, alone and with twelve times as much slow light."""
    shapes = np.ones((1, 16), np.float32)
    waves = np.arange(N_ROWS)[:, np.newaxis]
    left = {0.0: [], 12.0: []}
    for _ in range(60):
        pink = rng.normal(size=(n_groups, N_ROWS, 1)) / np.sqrt(np.maximum(waves, 1))
        pink[:, 0] = 0
        slow = rng.normal(size=(N_ROWS, 1)) / np.sqrt(np.maximum(waves, 1)) * (waves < 8)
        slow[0] = 0
        noise = np.diff(idctn(pink, axes=(1,), norm="ortho"), axis=0)
        light = idctn(slow, axes=(0,), norm="ortho")
        mean = noise.mean(axis=0)
        for strength, results in left.items():
            # In units of the variance of the noise of the mean, 2 / (n_groups - 1)**2.
            shared = (strength * 2) ** 0.5 / (n_groups - 1) * light
            fits, _ = spare_light(
                fits_of(noise + shared, shapes), np.ones(n_groups - 1), share_reads=True
            )
            removed = np.mean([one.noise.coefficients for one in fits], axis=0)
            results.append(np.var(mean - removed) / np.var(mean))
    assert np.mean(left[0.0]) < 0.06
    assert np.mean(left[12.0]) < 1


@pytest.mark.parametrize("n_rows", [1, 2, 8])
@pytest.mark.parametrize("image", [False, True])
def test_few_rows(rng, n_rows, image):
    """The level of a single row stays; nothing else is in it."""
    coefficients = rng.normal(size=(4, n_rows, 1)) * np.ones(6 if image else 1)
    fits, power = spare_light(
        fits_of(coefficients, None if image else np.ones((1, 6), np.float32)),
        np.ones(4),
        share_reads=True,
    )
    assert 0 <= power.kept <= 1.0001
    if n_rows == 1:
        for one, before in zip(fits, coefficients, strict=True):
            np.testing.assert_array_equal(one.noise.coefficients, before.astype(np.float32))


def test_only_what_the_fits_share_changes(rng):
    light = 20 * np.sin(np.arange(N_ROWS) / 9)[:, np.newaxis]
    before = fits_of(rows_of_reads(rng, 5) + light, np.ones((1, 8), np.float32))
    after, _ = spare_light(before, np.ones(4), share_reads=True)
    changes = [
        a.noise.coefficients - b.noise.coefficients for a, b in zip(after, before, strict=True)
    ]
    assert np.std(changes[0]) > 1
    for change in changes[1:]:
        np.testing.assert_allclose(change, changes[0], atol=1e-5)


def test_light_is_as_long_as_the_difference(rng):
    """Differences of unequal duration have light in proportion."""
    steps = np.array([0.4, 1.0, 1.6])
    light = 50 * np.sin(np.arange(N_ROWS) / 9)[:, np.newaxis]
    noise = 0.1 * rows_of_reads(rng, 4)
    fits = fits_of(noise + steps[:, np.newaxis, np.newaxis] * light, np.ones((1, 8), np.float32))
    after, _ = spare_light(fits, steps, share_reads=True)
    for one, own in zip(after, noise, strict=True):
        assert np.std(one.noise.coefficients - own) < 0.5


@pytest.mark.parametrize("how", ["lost", "dropped"])
def test_fits_without_noise_are_left_out(rng, how):
    light = 30 * np.sin(np.arange(N_ROWS) / 9)[:, np.newaxis]
    good = fits_of(rows_of_reads(rng, 5) + light, np.ones((1, 8), np.float32))
    nothing = DifferenceFit(
        noise=NoiseImage(np.zeros((N_ROWS, 1), np.float32), np.ones((1, 8), np.float32)),
        n_used=0 if how == "lost" else 10,
        dropped=how == "dropped",
    )
    after, power = spare_light([*good[:2], nothing, *good[2:]], np.ones(5), share_reads=True)
    assert after[2] is nothing
    assert power.kept < 0.1
    alone, power = spare_light([nothing, good[0]], np.ones(2), share_reads=True)
    assert power is None
    assert alone[1] is good[0]


@pytest.mark.parametrize("n_differences", [1, 3])
def test_integrations_are_compared_by_themselves_or_with_each_other(rng, n_differences):
    light = 40 * np.sin(np.arange(N_ROWS) / 9)[:, np.newaxis]
    shapes = np.ones((1, 8), np.float32)
    found = [
        (i, j, fitted)
        for i in range(4)
        for j, fitted in enumerate(fits_of(rows_of_reads(rng, n_differences + 1) + light, shapes))
    ]
    powers = []
    after = list(
        guard_light(
            found, np.ones(n_differences), n_integrations=4, share_reads=True, record=powers.append
        )
    )
    assert [one[:2] for one in after] == [one[:2] for one in found]
    assert len(powers) == (1 if n_differences == 1 else 4)
    for _, _, fitted in after:
        assert np.abs(np.corrcoef(fitted.noise.coefficients[:, 0], light[:, 0])[0, 1]) < 0.5


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_light_of_outputs_differs_and_their_noise_does_not(rng, slope):
    """Two outputs with the same noise, and light in one of them: a level, or a slope too."""
    noise = rows_of_reads(rng, 5) * np.ones(2)
    light = np.zeros((N_ROWS, 2))
    light[:, 1] = 5 + slope * (np.arange(N_ROWS) - N_ROWS / 2)
    shapes = np.kron(np.eye(2), np.ones(8)).astype(np.float32)
    fits, power = spare_light(fits_of(noise + light, shapes), np.ones(4), share_reads=True)
    for one, own in zip(fits, noise, strict=True):
        found = one.noise.coefficients
        np.testing.assert_allclose(found[:, 0] - found[:, 1], 0, atol=0.1)
        # The mean of the outputs, whose level stays, keeps its noise where light is not stronger.
        assert np.corrcoef(found.mean(axis=1), own.mean(axis=1))[0, 1] > 0.8
    assert power.kept < 1
