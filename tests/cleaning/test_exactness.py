"""The fast paths equal the plain definitions: masks the same, numbers to float32 rounding."""

from dataclasses import replace

import numpy as np
import plain
import pytest

from deflicker import CleanOptions, Readout
from deflicker.noise.median import MEDIAN, median_noise
from deflicker.noise.rowwise.difference import fit_difference_in_place
from deflicker.scene.mask import scene_mask
from deflicker.stats.clipping import SortedValues, background_limits, outlier_limits
from deflicker.stats.row_medians import row_medians, row_stripes

READOUT = Readout(fast_axis=1, slow_axis=2)
SHAPE = (80, 150)


def noise(rng):
    return 40 + rng.normal(0, 2, (SHAPE[0], 1)) + rng.normal(0, 3, SHAPE)


def with_ties(rng):
    return np.round(noise(rng))


def with_sources(rng):
    values = noise(rng)
    hit = rng.random(SHAPE) < 0.1
    values[hit] += rng.exponential(50, hit.sum())
    return values


def with_huge_values(rng):
    values = noise(rng)
    values[rng.random(SHAPE) < 0.01] = 1e9
    values[rng.random(SHAPE) < 0.01] = -1e9
    return values


def with_two_values(rng):
    return rng.integers(0, 2, SHAPE).astype(float)


def of_one_value(rng):
    return np.full(SHAPE, 7.0)


def tiny(rng):
    return noise(rng) * 1e-20


KINDS = [noise, with_ties, with_sources, with_huge_values, with_two_values, of_one_value, tiny]


def spoil(values, rng):
    """Missing values of all kinds, in some images whole rows of them."""
    values = values.astype(np.float32)
    for bad in (np.nan, np.inf, -np.inf, 0.0):
        values[rng.random(SHAPE) < 0.02] = bad
    allowed = rng.random(SHAPE) < rng.choice([0.05, 0.6, 1.0])
    allowed[5:8] = False  # empty rows, also beside each other
    values[11] = np.nan
    allowed[20:23] = False
    allowed[20, 3] = allowed[22, -1] = True  # rows of one pixel
    values[20, 3] = 41
    values[22, -1] = np.nan
    return values, allowed


@pytest.fixture(params=range(5))
def rng(request):
    return np.random.default_rng(request.param)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def image(request, rng):
    return spoil(request.param(rng), rng)


@pytest.mark.parametrize("n_sigma", [1.0, 2.0, 3.0])
def test_limits(image, n_sigma):
    values, allowed = image
    good = values[allowed & np.isfinite(values)]
    ordered = SortedValues(np.sort(good))
    mean, median, sigma = plain.clipped_stats(good)
    np.testing.assert_allclose(ordered.sigma_clip(), (median, mean, sigma), rtol=1e-6)
    _, median, sigma = plain.clipped_stats(plain.without_lights(good)[0])
    limits = outlier_limits(ordered, n_sigma=n_sigma)
    expected = median - 3 * sigma, median + n_sigma * sigma
    rounding = 1e-6 * (abs(median) + sigma)
    np.testing.assert_allclose((limits.low, limits.high), expected, rtol=1e-6, atol=rounding)
    center, sigma = plain.background_center_and_sigma(good)
    limits = background_limits(ordered, n_sigma=n_sigma)
    np.testing.assert_allclose((limits.center, limits.sigma), (center, sigma), rtol=1e-6)


def test_rows(image):
    values, allowed = image
    usable = allowed & np.isfinite(values)
    np.testing.assert_allclose(
        row_medians(values, usable), plain.row_medians(values, usable), rtol=1e-6
    )
    largest = np.abs(plain.row_medians(values, usable)).max()
    np.testing.assert_allclose(
        row_stripes(values, usable, sigma=3.0),
        plain.row_stripes(np.where(usable, values, 0), usable, 3.0),
        rtol=1e-5,
        atol=1e-6 * largest,
    )


@pytest.mark.parametrize("n_sigma", [1.0, 2.0, 3.0])
def test_scene_masks(image, n_sigma):
    rate, _ = image
    found = scene_mask(rate, n_sigma=n_sigma, readout=READOUT)
    rate = np.where(np.isfinite(rate), rate, np.nan)
    with np.errstate(invalid="ignore"):
        expected = plain.scene_mask(rate, n_sigma)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("n_sigma", [0.0, 1.0, 2.0, 3.0])
def test_differences(image, n_sigma):
    values, allowed = image
    masks = []

    def spy(image, usable, outputs):
        masks.append(usable.copy())
        return median_noise(image, usable, outputs)

    buffer = np.empty(SHAPE, np.float32)

    def difference():
        buffer[:] = values
        return buffer

    found = fit_difference_in_place(
        difference,
        allowed.copy(),
        CleanOptions(n_sigma=n_sigma),
        method=replace(MEDIAN, fit=spy),
        readout=READOUT,
        outputs=[slice(0, SHAPE[1])],
    )
    buffer[:] = np.nan  # what was found must not be in the memory of the difference
    usable, level, rows = plain.fit_difference(values, allowed, n_sigma)
    assert np.array_equal(masks[-1], usable)
    assert found.n_used == usable.sum()
    assert found.background == pytest.approx(level, rel=1e-6)
    scale = abs(level) + np.abs(rows).max()
    np.testing.assert_allclose(found.noise.image()[:, 0], rows, rtol=1e-6, atol=2e-7 * scale)
