"""Rates on a common grid: flux, place, weights, levels and outliers."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from deflicker.scene.coadd import GridRate, box_of, coadd, resample

SHAPE = (90, 110)
SCALE = 0.75


def maps(dy=0.0, dx=0.0, roll=0.0):
    """Coordinates of the pixels of an exposure on a grid of smaller pixels."""
    y, x = (side - (n - 1) / 2 for side, n in zip(np.mgrid[: SHAPE[0], : SHAPE[1]], SHAPE,
                                                  strict=True))  # fmt: skip
    angle = np.deg2rad(roll)
    return (
        (np.cos(angle) * y - np.sin(angle) * x + dy) / SCALE + 300,
        (np.sin(angle) * y + np.cos(angle) * x + dx) / SCALE + 300,
    )


def full(number=4):
    return np.full(SHAPE, number, np.uint16)


def grid_rate(rate, *, number=None, **pointing):
    y, x = maps(**pointing)
    return resample(rate.astype(np.float32), full() if number is None else number, y=y, x=x)


def same_grid(*images, weight=1.0):
    box = (slice(0, SHAPE[0]), slice(0, SHAPE[1]))
    return [
        GridRate(image=one.astype(np.float32), weight=np.full(SHAPE, weight, np.float32), box=box)
        for one in images
    ], box


@pytest.mark.parametrize("roll", [0.0, 23.0, 90.0])
def test_a_star_keeps_its_place_and_flux(rng, roll):
    y, x = maps(dy=3.3, dx=-2.7, roll=roll)
    star = 1000 * np.exp(-((y - 310.2) ** 2 + (x - 295.4) ** 2) / (2 * 2.5**2))
    found = grid_rate(star + rng.normal(0, 0.01, SHAPE), dy=3.3, dx=-2.7, roll=roll)
    rows, columns = (np.arange(side.start, side.stop) for side in found.box)
    total = found.image.sum()
    assert (found.image.sum(axis=1) @ rows) / total == pytest.approx(310.2, abs=0.02)
    assert (found.image.sum(axis=0) @ columns) / total == pytest.approx(295.4, abs=0.02)
    # Surface brightness stays, and the grid has more pixels.
    assert total == pytest.approx(star.sum() / SCALE**2, rel=0.01)


def test_weights_are_inverse_variances(rng):
    sigma = 0.3
    found = grid_rate(rng.normal(0, sigma, SHAPE), roll=10)
    inside = found.weight > 0.8 * np.median(found.weight[found.weight > 0])
    assert np.median(found.weight[inside]) == pytest.approx(1 / sigma**2, rel=0.1)


def test_bad_and_shorter_pixels_weigh_less(rng):
    rate, number = rng.normal(0, 1, SHAPE), full()
    rate[30:40, 50:60] = np.nan
    number[60:70, 20:30] = 1
    found = grid_rate(rate, number=number)
    y, x = maps()
    weight = found.weight
    rows, columns = (side.start for side in found.box)
    at = np.rint(y - rows).astype(int), np.rint(x - columns).astype(int)
    assert (weight[at][31:39, 51:59] == 0).all()
    assert np.isfinite(found.image).all()
    ratio = np.median(weight[at][62:68, 22:28]) / np.median(weight[at][10:20, 22:28])
    assert ratio == pytest.approx(1 / 4, rel=0.2)


def test_levels_of_the_sky_do_not_matter(rng):
    light = 5 * gaussian_filter(rng.normal(size=SHAPE), 3)
    rates, box = same_grid(*(light + level for level in (0.0, 7.0, -3.0)), weight=100.0)
    image, _ = coadd(rates, box)
    wrong = image - light
    assert wrong.std() < 1e-3


def test_error_is_that_of_the_mean(rng):
    sigma = 0.7
    noisy = [rng.normal(0, sigma, SHAPE) for _ in range(4)]
    rates, box = same_grid(*noisy, weight=1 / sigma**2)
    image, error = coadd(rates, box)
    assert image.std() == pytest.approx(sigma / 2, rel=0.05)
    assert np.median(error) == pytest.approx(sigma / 2, rel=0.02)


def test_outliers_of_one_are_left_out(rng):
    light = gaussian_filter(rng.normal(size=SHAPE), 3)
    images = [light + rng.normal(0, 0.1, SHAPE) for _ in range(3)]
    images[1][20:22, 30:32] += 50
    rates, box = same_grid(*images, weight=100.0)
    image, _ = coadd(rates, box)
    level = np.median(image - light)
    assert np.abs(image - light - level)[15:27, 25:37].max() < 0.5


def test_a_star_that_moves_has_a_large_error(rng):
    images = [rng.normal(0, 0.1, SHAPE) for _ in range(2)]
    images[0][40, 40] += 20
    rates, box = same_grid(*images, weight=100.0)
    _, error = coadd(rates, box)
    assert error[40, 40] > 5
    assert error[10, 10] < 0.1


def test_only_what_is_covered_is_known(rng):
    one, other = (grid_rate(rng.normal(size=SHAPE), dx=dx) for dx in (0.0, 60.0))
    box = one.box
    image, error = coadd([other], box)
    assert image.shape == one.image.shape
    known = np.isfinite(image)
    assert 0.2 < known.mean() < 0.6
    np.testing.assert_array_equal(known, np.isfinite(error))
    far = (slice(5000, 5100), slice(0, 10))
    assert not one.touches(far)
    assert one.touches(other.box)
    assert not np.isfinite(coadd([one], far)[0]).any()


def test_box_contains_all_pixels():
    y, x = maps(roll=30)
    rows, columns = box_of(y, x)
    assert rows.start < y.min() < y.max() < rows.stop - 1
    assert columns.start < x.min() < x.max() < columns.stop - 1
