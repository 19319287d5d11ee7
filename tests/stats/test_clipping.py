import logging

import numpy as np
import pytest
import scipy.optimize
from astropy.stats import sigma_clipped_stats

from deflicker.stats.clipping import SortedValues, background_limits, outlier_limits


def sky_with_stars(rng, n=40001):
    values = rng.normal(3, 0.5, n)
    values[: n // 10] += rng.exponential(5, n // 10)
    values[:20] = 1e6
    return np.sort(values.astype(np.float32))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 999, 40001])
def test_median(rng, n):
    values = np.sort(rng.normal(size=n))
    expected = np.median(values) if n else np.nan
    np.testing.assert_equal(SortedValues(values).median, expected)


@pytest.mark.parametrize("n", [1, 2, 5, 500, 40001])
def test_sigma_clip_is_astropys(rng, n):
    values = sky_with_stars(rng, n) if n > 100 else np.sort(rng.normal(size=n).astype("f4"))
    mean, median, sigma = sigma_clipped_stats(values.astype(float), sigma=3.0)
    found = SortedValues(values).sigma_clip()
    np.testing.assert_allclose(found, (median, mean, sigma), rtol=2e-6, atol=1e-9)


def test_sigma_clip_survives_huge_outliers(rng):
    """Sums of squares must not drown the rest in the rounding of 1e30."""
    values = np.sort(rng.normal(10, 1, 10000)).astype(np.float32)
    values[-3:] = 1e15, 1e17, 1e18
    _, _, sigma = SortedValues(values).sigma_clip()
    assert sigma == pytest.approx(1, rel=0.03)


def test_mirrored_sigma_is_the_definition(rng):
    values = sky_with_stars(rng)
    center = SortedValues(values).sigma_clip()[0]
    lower = values[values <= np.float32(center)].astype(float)
    mirrored = np.concatenate([lower, 2 * center - lower])
    expected = sigma_clipped_stats(mirrored, sigma=3.0)[2]
    found = SortedValues(values).mirrored_sigma(center)
    assert found == pytest.approx(expected, rel=1e-3)


def test_mirrored_sigma_is_blind_to_light_above(rng):
    sky = rng.normal(0, 1, 50000)
    sky[sky > 0] *= 4
    assert SortedValues(np.sort(sky)).mirrored_sigma(0.0) == pytest.approx(1, rel=0.02)


def test_limits_of_a_gaussian(rng):
    values = SortedValues(np.sort(rng.normal(100, 2, 200000)))
    limits = outlier_limits(values, n_sigma=2.5)
    assert limits.center == pytest.approx(100, abs=0.02)
    assert limits.low == pytest.approx(94, abs=0.15)
    assert limits.high == pytest.approx(105, abs=0.15)
    both = background_limits(values, n_sigma=2)
    assert both.center - both.low == pytest.approx(both.high - both.center)
    assert both.high == pytest.approx(104, abs=0.1)


@pytest.mark.parametrize("unit", [1.0, 0.02, 30.0])
def test_histogram_finds_the_sky_below_sources(rng, unit):
    """A fifth of the pixels see light; the Gaussian is fitted to the rest, in any unit."""
    values = rng.normal(10, 1, 300000)
    values[:60000] += rng.uniform(2.5, 4, 60000)
    ordered = SortedValues(np.sort((unit * values).astype(np.float32)))
    clipped = outlier_limits(ordered, n_sigma=2)
    fitted = outlier_limits(ordered, n_sigma=2, fit_histogram=True)
    assert clipped.center / unit - 10 > 0.15
    assert abs(fitted.center / unit - 10) < 0.4 * (clipped.center / unit - 10)
    assert clipped.sigma / unit > 1.15
    assert abs(fitted.sigma / unit - 1) < 0.4 * (clipped.sigma / unit - 1)


def test_failed_histogram_fit_keeps_the_clipped_values(rng, monkeypatch, caplog):
    def fail(*_args, **_options):
        raise RuntimeError

    monkeypatch.setattr(scipy.optimize, "curve_fit", fail)
    ordered = SortedValues(np.sort(rng.normal(5, 1, 1000)))
    with caplog.at_level(logging.WARNING):
        fitted = outlier_limits(ordered, n_sigma=2, fit_histogram=True)
    assert "fit_histogram" in caplog.text
    _, mean, sigma = ordered.sigma_clip()
    assert (fitted.center, fitted.sigma) == (mean, sigma)


def test_histogram_of_equal_values():
    limits = outlier_limits(SortedValues(np.full(50, 3.0)), n_sigma=2, fit_histogram=True)
    assert (limits.center, limits.sigma) == (3.0, 0.0)


def test_accept_excludes_nan():
    limits = background_limits(SortedValues(np.array([1.0, 2.0, 3.0])), n_sigma=3)
    assert limits.accept(np.array([2.0, np.nan, 99.0])).tolist() == [True, False, False]


@pytest.mark.parametrize("lit", [0.1, 0.3])
@pytest.mark.parametrize("brightness", [30.0, 1e5])
def test_negative_light_does_not_widen_the_limits(rng, lit, brightness):
    """As much light below the sky as above it, of one brightness: no clip of all values starts."""
    values = rng.normal(3, 1, 40_000)
    number = int(lit * len(values))
    values[:number] += brightness * rng.uniform(0.3, 1, number)
    values[number : 2 * number] -= brightness * rng.uniform(0.3, 1, number)
    ordered = SortedValues(np.sort(values.astype(np.float32)))
    for limits in (outlier_limits(ordered, n_sigma=2), background_limits(ordered, n_sigma=2)):
        assert limits.center == pytest.approx(3, abs=0.1)
        assert limits.sigma == pytest.approx(1, rel=0.2)


@pytest.mark.parametrize("below", [0.0, 0.01, 0.04])
def test_without_negative_light_clips_are_what_they_were(rng, below):
    """Bad pixels, and light of one sign, change nothing."""
    values = sky_with_stars(rng)
    values[: int(below * len(values))] = -1e4
    assert SortedValues(values).without_lights() is None
    assert SortedValues(np.full(500, 2.0)).without_lights() is None
    assert SortedValues(values[:10]).without_lights() is None
