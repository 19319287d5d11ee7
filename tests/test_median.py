import numpy as np
import pytest

from deflicker.noise import NOISE_MODELS, median_noise
from deflicker.noise.median import row_medians, row_medians_and_deviations, row_stripes


def slow_row_medians(values, usable):
    return [
        np.median(row[use]) if use.any() else 0 for row, use in zip(values, usable, strict=True)
    ]


@pytest.mark.parametrize("chance", [0.0, 0.01, 0.5, 1.0])
def test_row_medians_are_medians(rng, chance):
    values = rng.normal(size=(60, 41)).astype(np.float32)
    usable = rng.random(values.shape) < chance
    values[~usable & (rng.random(values.shape) < 0.3)] = np.nan
    found = row_medians(values, usable)
    np.testing.assert_allclose(found, slow_row_medians(values, usable), rtol=1e-6)
    assert found.dtype == np.float32


def test_outputs_are_fitted_on_their_own(rng):
    values = rng.normal(size=(50, 40)).astype(np.float32)
    usable = rng.random(values.shape) < 0.8
    parts = [slice(0, 10), slice(10, 20), slice(20, 30), slice(30, 40)]
    noise = median_noise(values, usable, parts).image()
    for part in parts:
        expected = slow_row_medians(values[:, part], usable[:, part])
        np.testing.assert_allclose(noise[:, part], np.tile(expected, (10, 1)).T, rtol=1e-6)


@pytest.mark.parametrize("model", list(NOISE_MODELS.values()))
def test_models_keep_their_inputs_and_are_finite(rng, model):
    values = rng.normal(size=(30, 20)).astype(np.float32)
    usable = rng.random(values.shape) < 0.5
    usable[7] = False
    values[7] = np.nan
    before = values.copy(), usable.copy()
    noise = model(values, usable, [slice(0, 20)])
    assert noise.image().shape == values.shape
    assert np.isfinite(noise.image()).all()
    assert np.array_equal(values, before[0], equal_nan=True)
    assert np.array_equal(usable, before[1])


def test_row_stripes_are_what_neighbours_do_not_share(rng):
    """Known stripes on a smooth swell: the stripes come out, the swell does not."""
    stripes = rng.normal(0, 1, (300, 1))
    swell = 5 * np.sin(np.arange(300) / 60)[:, np.newaxis]
    values = (stripes + swell + rng.normal(0, 2, (300, 1000))).astype(np.float32)
    found = row_stripes(values, np.ones(values.shape, bool), sigma=2.0)
    assert np.std(found - stripes) < 0.3
    assert abs(np.polyfit(swell[:, 0], found[:, 0], 1)[0]) < 0.05


@pytest.mark.parametrize("n_columns", [4, 0])
def test_rows_too_short_to_tell_have_no_stripes(rng, n_columns):
    values = (rng.normal(0, 1, (300, 1)) + rng.normal(0, 9, (300, 20))).astype(np.float32)
    usable = np.zeros(values.shape, bool)
    usable[:, :n_columns] = True
    assert not row_stripes(values, usable, sigma=9.0).any()


@pytest.mark.parametrize("seed", range(20))
def test_deviations_are_medians_of_distances(seed):
    """With ties, odd and even numbers, rows of one and of no value."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(50, rng.integers(1, 60))).astype(np.float32)
    values = np.round(values * 2) if seed % 3 == 0 else values
    usable = rng.random(values.shape) < rng.random()
    usable[5] = False
    values[~usable & (rng.random(values.shape) < 0.3)] = np.nan
    medians, deviations = row_medians_and_deviations(values, usable)
    np.testing.assert_array_equal(medians, row_medians(values, usable))
    distances = np.abs(np.where(usable, values, 0) - medians[:, np.newaxis])
    np.testing.assert_allclose(deviations, slow_row_medians(distances, usable), rtol=1e-6)
