"""Splines of the sky against dense matrices and polynomials."""

import numpy as np
import pytest

from deflicker.detector.clock import Clock
from deflicker.noise.wiener.mean import _Alternation
from deflicker.noise.wiener.records import Records
from deflicker.noise.wiener.sky import SkySplines, SmoothSky, sky_penalty
from deflicker.noise.wiener.sky_and_noise import SkyAndNoise, _brightness
from deflicker.noise.wiener.spectrum import typical_spectrum
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.noise.wiener.weighted_image import WeightedImage
from deflicker.noise.wiener.weights import ObservedPixels, RecordWeights, in_bins
from deflicker.scene.sources import source_halos

SHAPE = (40, 64)
TUNING = WienerTuning()


def dense(splines):
    """Image of each spline as a column."""
    unit = np.eye(int(np.prod(splines.grid)))
    images = [splines.image(c.reshape(splines.grid)) for c in unit]  # of bins
    return np.stack([i.ravel() for i in images], axis=1).astype(float)


def test_equations_without_solution_raise_what_the_recipe_tells():
    """As of pixels of no weight and a sky without prior."""
    splines = SkySplines(SHAPE, spacing=10)
    nothing = sky_penalty(splines, np.full(splines.grid, 1e3)) * 0
    sky = SmoothSky(splines, np.zeros((SHAPE[0], splines.n_bins), np.float32), nothing)
    with pytest.raises(np.linalg.LinAlgError):
        sky.solve_all(np.zeros((int(np.prod(splines.grid)), 2)))


@pytest.mark.parametrize("shape", [SHAPE, (7, 30), (3, 6)])
def test_splines_hold_planes(shape):
    splines = SkySplines(shape, spacing=10)
    rows, columns = splines.centres()
    plane = 2 + 0.5 * rows[:, np.newaxis] - 0.25 * columns
    y, x = np.indices((shape[0], splines.n_bins))
    # Pixels that share a value have that of their middle.
    expected = 2 + 0.5 * (y + 0.5) - 0.25 * (x + 0.5) * splines.fast_bin
    np.testing.assert_allclose(splines.image(plane), expected, atol=1e-4)


def test_sums_are_the_transpose_of_the_image(rng):
    splines = SkySplines(SHAPE, spacing=10)
    image = rng.normal(size=(40, 16)).astype(np.float32)
    np.testing.assert_allclose(
        splines.sums(image).ravel(), dense(splines).T @ image.ravel(), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("shape", [SHAPE, (7, 30), (3, 6)])
def test_normal_matrix(rng, shape):
    splines = SkySplines(shape, spacing=10)
    weights = rng.uniform(0, 2, (shape[0], splines.n_bins)).astype(np.float32)
    matrix = dense(splines)
    expected = matrix.T @ (weights.ravel()[:, np.newaxis] * matrix)
    got = splines.normal_matrix(weights).toarray()
    np.testing.assert_allclose(got, expected, atol=1e-5 * expected.max())


def test_penalty_leaves_the_level_free_and_counts_derivatives():
    splines = SkySplines((320, 320), spacing=32)
    brightness = np.full(splines.grid, 2.0)
    penalty = sky_penalty(splines, brightness).toarray()
    np.testing.assert_allclose(penalty, penalty.T, rtol=1e-12)
    assert np.linalg.eigvalsh(penalty)[0] > -1e-9 * penalty.max()
    level = np.ones(penalty.shape[0])
    assert abs(level @ penalty @ level) < 1e-9 * penalty.max()
    rows, columns = splines.centres()
    slope = np.broadcast_to(0.01 * rows[:, np.newaxis], splines.grid).ravel()
    # One term for each pair of neighbours along the slow axis, of the size that the prior
    # gives to first derivatives: three times the brightness for each 200 pixels.
    n_slow, n_fast = splines.grid
    expected = (n_slow - 1) * n_fast * (0.01 / (3 * 2.0 / 200)) ** 2
    assert slope @ penalty @ slope == pytest.approx(expected, rel=1e-6)
    cubic = np.broadcast_to(1e-6 * columns**3, splines.grid).ravel()
    third = sky_penalty(splines, brightness * 1e3).toarray()
    assert cubic @ third @ cubic == pytest.approx(cubic @ penalty @ cubic / 1e6, rel=1e-6)


def test_a_smooth_sky_is_found(rng):
    splines = SkySplines(SHAPE, spacing=10)
    weights = rng.uniform(0.5, 2, (40, 16)).astype(np.float32)
    sky = SmoothSky(splines, weights, sky_penalty(splines, np.full(splines.grid, 1e3)))
    y, x = np.indices((40, 16))
    surface = (5 + 3 * np.sin(y / 15) + 0.2 * x).astype(np.float32)
    np.testing.assert_allclose(sky.image(weights * surface), surface, atol=0.15)
    stiff = SmoothSky(splines, weights, sky_penalty(splines, np.full(splines.grid, 1e-3)))
    level = stiff.image(weights * surface)
    assert np.ptp(level) < 1e-2
    assert level.mean() == pytest.approx(np.average(surface, weights=weights), abs=0.05)


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("with_flat", [False, True])
def test_weights_do_not_see_the_sky(rng, with_flat, interleaved):
    flat = rng.uniform(0.7, 1.3, SHAPE).astype(np.float32) if with_flat else None
    pixels = ObservedPixels(np.zeros(SHAPE, np.float32), np.full(SHAPE, 2, np.float32), flat)
    splines = SkySplines(SHAPE, spacing=10)
    y, x = np.indices((40, 16))
    halo = np.exp(-((y - 20) ** 2 + (4 * x - 32) ** 2) / 30).astype(np.float32)
    sky = SmoothSky(
        splines,
        in_bins(pixels.of_sky(pixels.of_sky(pixels.weights)), 4),
        sky_penalty(splines, np.full(splines.grid, 1e3)),
        halo[np.newaxis],
    )
    clock = Clock(n_slow=40, n_fast=64, n_outputs=2, interleaved=interleaved)
    surface = 5 + 3 * np.sin(y / 15) + 40 * halo
    seen = np.repeat(surface.astype(np.float32), 4, axis=1)
    records = Records(clock)
    weights = RecordWeights(pixels, records, sky)

    def weighted(image):
        return records.pixels(weights.right_hand_side(image))

    assert np.abs(weighted(pixels.of_sky(seen))).max() < 0.3
    noise = rng.normal(size=SHAPE).astype(np.float32)
    assert np.std(weighted(noise)) > 1.5
    np.testing.assert_allclose(
        weights.normal(records.spectra(records.filled(noise))),
        weights.right_hand_side(noise),
        atol=1e-3,
    )


def test_sky_behind_a_flat_field(rng):
    splines = SkySplines(SHAPE, spacing=10)
    flat = rng.uniform(0.7, 1.3, SHAPE).astype(np.float32)
    penalty = sky_penalty(splines, np.full(splines.grid, 1e3))
    sky = SmoothSky(splines, in_bins(flat**2, 4), penalty)
    image = sky.image(in_bins(flat * (4 * flat), 4))
    np.testing.assert_allclose(image, 4, atol=1e-3)


def test_brightness_near_each_spline_is_that_above_the_level(rng):
    """A sky of 3 that rises to 53 at column 160; pixels that may not be used hold rubbish."""
    shape = (96, 256)
    values = np.where(np.arange(256) < 160, 3, 53) + rng.normal(0, 1, shape)
    usable = rng.random(shape) < 0.8
    values[~usable] = 1e6
    splines = SkySplines(shape, spacing=32)
    found = _brightness(values.astype(np.float32), usable, splines, dark=TUNING.dark_percentile)
    assert found.shape == splines.grid
    columns = splines.centres()[1]
    np.testing.assert_allclose(found[:, columns <= 96], 0, atol=0.5)
    np.testing.assert_allclose(found[:, columns >= 192], 50, atol=0.5)


def sky_and_noise(values, *, level, flat=None):
    """Noise of 0.1, which is little beside the light."""
    ones = np.ones(values.shape, np.float32)
    seen = values if flat is None else values * flat
    image = WeightedImage(values=seen, variance=0.01 * ones, usable=ones > 0, flat=flat)
    clock = Clock(n_slow=values.shape[0], n_fast=values.shape[1])
    spectrum = typical_spectrum(white=0.01, n_outputs=1)
    both = SkyAndNoise(image, spectrum, clock, level=np.float32(level), n_threads=1, tuning=TUNING)
    return both, spectrum


@pytest.mark.parametrize("with_flat", [False, True])
def test_prior_of_the_sky_is_its_brightness(rng, with_flat):
    """Where it is dark, a share of the brightest, for its wings, and of the noise."""
    values = np.where(np.arange(256) < 160, 3, 53) + rng.normal(0, 0.1, (96, 256))
    flat = rng.uniform(0.8, 1.2, values.shape).astype(np.float32) if with_flat else None
    both, spectrum = sky_and_noise(values.astype(np.float32), level=3, flat=flat)
    found = both._brightness(both._observed(np.ones(values.shape, bool)))
    columns = both.splines.centres()[1]
    assert (columns <= 96).any()
    assert (columns >= 192).any()
    dark = TUNING.wing_fraction**2 * 50**2 + TUNING.noise_fraction**2 * spectrum.correlated_variance
    np.testing.assert_allclose(found[:, columns <= 96], np.sqrt(dark), rtol=0.05)
    np.testing.assert_allclose(found[:, columns >= 192], np.hypot(50, np.sqrt(dark)), rtol=0.05)


def test_halos_are_those_of_the_light_that_the_mask_leaves_out(rng):
    """Above the level and the smooth sky, and not of what is faint or may be used."""
    y, x = np.mgrid[:96, :256]
    star = (500 * np.exp(-((y - 40) ** 2 + (x - 100) ** 2) / 4)).astype(np.float32)
    values = star + np.float32(30) + rng.normal(0, 0.1, star.shape).astype(np.float32)
    values += (2e3 * (np.hypot(y - 80, x - 200) < 2)).astype(np.float32)  # stays in the mask
    mask = np.hypot(y - 40, x - 100) > 3  # too small to be taken for something wide
    both, _ = sky_and_noise(values, level=20)
    both._smooth = both._smooth + np.float32(10)
    light = np.where(~mask & (star > 0.5), star, np.float32(0))
    expected = source_halos(light, binning=both.size)
    found = both._halos(mask)
    assert len(expected) == len(found) > 0
    np.testing.assert_allclose(found, expected, atol=0.01 * expected.max())


def test_a_galaxy_does_not_mask_the_rest_of_its_rows(rng):
    """Medians of rows, which hide sources less bright than stripes, are those of the sky."""
    y, x = np.mgrid[:256, :320]
    galaxy = 50 * np.exp(-((y - 120) ** 2 + (x - 150) ** 2) / 800)
    values = galaxy + rng.normal(0, 0.85, (256, 1)) + rng.normal(0, 1, galaxy.shape)
    ones = np.ones(galaxy.shape, np.float32)
    fit = _Alternation(
        WeightedImage(values=values.astype(np.float32), variance=ones, usable=ones > 0),
        typical_spectrum(white=1.0, n_outputs=1),
        Clock(n_slow=256, n_fast=320),
        level=np.float32(0),
        limit=4.0,
        guard_light=True,
        n_threads=1,
        tuning=TUNING,
    )
    found = ~fit.first_mask(None)
    assert found[galaxy > 4].mean() > 0.95
    assert found[galaxy < 0.01].mean() < 0.02
