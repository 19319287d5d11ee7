import numpy as np
import plain
import pytest

from deflicker.noise import median_noise
from deflicker.noise.nsclean import fourier_noise
from deflicker.stats.row_medians import row_medians, row_medians_and_deviations, row_stripes
from deflicker.stats.shrinkage import median_variances


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


@pytest.mark.parametrize("parts", [1, 2, 4])
@pytest.mark.parametrize("chance", [0.02, 0.1, 0.8])
@pytest.mark.parametrize("shared", [0.0, 0.3, 2.0])
def test_levels_are_medians_as_far_as_their_errors_let_them_be(rng, parts, chance, shared):
    """Against the definition, one level after the other."""
    values = rng.normal(0, 1, (50, 40)) + rng.normal(0, shared, (50, 1))
    values = (values + np.repeat(rng.normal(0, 0.5, (50, parts)), 40 // parts, axis=1)).astype("f4")
    usable = rng.random(values.shape) < chance
    values[~usable & (rng.random(values.shape) < 0.3)] = np.nan
    outputs = [slice(k * 40 // parts, (k + 1) * 40 // parts) for k in range(parts)]
    noise = median_noise(values, usable, outputs).image()
    expected = np.repeat(plain.row_levels(values, usable, outputs), 40 // parts, axis=1)
    np.testing.assert_allclose(noise, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 21, 200])
def test_variance_of_a_median(rng, n):
    medians = np.median(rng.normal(size=(40_000, n)), axis=1)
    found = median_variances(np.array([n, 0]))
    assert found[0] == pytest.approx(medians.var(), rel=0.045)
    assert np.isinf(found[1])


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("n", [1, 2, 4, 8, 16])
def test_few_pixels_of_a_row_do_no_harm(rng, n, parts):
    """Stripes fainter than a pixel's noise: what is left varies no more than what was."""
    stripes = rng.normal(0, 3, (400, 1)) + np.repeat(rng.normal(0, 1, (400, parts)), 256, axis=1)
    values = (stripes + rng.normal(0, 9, stripes.shape)).astype(np.float32)
    usable = np.zeros(values.shape, bool)
    outputs = [slice(k * 256, (k + 1) * 256) for k in range(parts)]
    for row in usable:
        for output in outputs:
            row[output][rng.choice(256, n, replace=False)] = True
    left = stripes - median_noise(values, usable, outputs).image()
    removed = 1 - np.var(left) / np.var(stripes)
    signal = n * parts * np.var(stripes) / 81
    assert removed > (0.3 if signal > 1 else -0.005)


def test_medians_of_many_pixels_stay_medians(rng):
    """The error of a median of 1000 pixels is a hundredth of the stripes' variance."""
    values = rng.normal(0, 1, (300, 1)) + rng.normal(0, 2, (300, 1000))
    values = values.astype(np.float32)
    usable = np.ones(values.shape, bool)
    noise = median_noise(values, usable, [slice(0, 1000)]).image()[:, 0]
    medians = row_medians(values, usable)
    assert np.abs(noise - medians).max() < 0.002
    assert np.abs(noise - medians).max() > 0


def test_an_outlier_alone_in_its_row_is_no_stripe(rng):
    values = (rng.normal(0, 1, (200, 1)) + rng.normal(0, 1, (200, 50))).astype(np.float32)
    usable = np.ones(values.shape, bool)
    usable[100] = False
    usable[100, 20] = True
    values[100, 20] = 1e4
    noise = median_noise(values, usable, [slice(0, 50)]).image()
    assert abs(noise[100, 0]) < 8
    assert np.std(noise[np.arange(200) != 100, 0]) > 0.7


@pytest.mark.parametrize("model", [median_noise, fourier_noise])
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
