"""Sources, rough sky and fine structure, against images whose light is known."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from deflicker.scene import sources
from deflicker.scene.sources import find_sources, fine_structure, sky_map, source_halos

SHAPE = (256, 320)
EVERYWHERE = np.ones(SHAPE, bool)


def noise(rng):
    return rng.normal(0, 1, SHAPE).astype(np.float32)


def star(flux, sigma, at=(100, 150)):
    image = np.zeros(SHAPE, np.float32)
    image[at] = flux
    return gaussian_filter(image, sigma)


def test_blank_sky_is_left(rng):
    assert find_sources(noise(rng), EVERYWHERE, n_sigma=3).mean() < 0.1


@pytest.mark.parametrize(("flux", "sigma"), [(100, 1.1), (120, 4.0), (800, 12.0)])
@pytest.mark.parametrize("sign", [1, -1])
def test_sources_of_all_sizes_are_found(rng, flux, sigma, sign):
    """The wide ones rise by one sigma: no single pixel shows them."""
    found = find_sources(noise(rng) + sign * star(flux, sigma), EVERYWHERE, n_sigma=3)
    near = np.hypot(*(np.indices(SHAPE) - np.reshape((100, 150), (2, 1, 1)))) < 0.8 * sigma
    assert found[near].mean() > 0.9
    far = np.hypot(*(np.indices(SHAPE) - np.reshape((100, 150), (2, 1, 1)))) > 8 * sigma + 30
    assert found[far].mean() < 0.12


@pytest.mark.parametrize("n_sigma", [2.8, 4.2, 7.0])
def test_lone_bright_pixels_are_found(rng, n_sigma):
    image = noise(rng)
    image[10::40, 15::40] = 1e6
    found = find_sources(image, EVERYWHERE, n_sigma=n_sigma)
    assert found[10::40, 15::40].all()
    assert found[11::40, 15::40].all()  # what is next to one sees its light
    assert found[10::40, 14::40].all()


def test_bright_wings_are_found(rng):
    wings = star(1500, 10.0)  # 2.4 high, falling below one sigma of a pixel at 13 pixels
    image = noise(rng) + star(500, 1.1) + wings
    found = find_sources(image, EVERYWHERE, n_sigma=3)
    assert found[wings > 0.8].mean() > 0.95


@pytest.mark.parametrize("binning", [1, 4])
def test_halos_are_those_of_compact_sources(binning):
    light = star(1000, 1.1, at=(102, 150))  # near the middle of a block of four pixels
    halos = source_halos(light, binning=binning)
    assert halos.shape == (4, 256, 320 // binning)
    y, x = np.indices(halos.shape[1:])
    # Four columns share a value.
    radius = np.hypot(y - 102, x * binning // 4 * 4 + 2 - 150.5)
    for halo, size in zip(halos, (8, 16, 32, 64), strict=True):
        # Half a pixel is worth 0.3 of the inverse size at most.
        np.testing.assert_allclose(
            halo / halo.max(), np.exp(-(radius**2) / (2 * size**2)), atol=0.03 + 0.3 / size
        )
    # What lies in neighbouring blocks is partly taken for something wide.
    assert 600 < halos[0].sum() * binning < 1000
    galaxy = star(1e5, 30.0)
    assert len(source_halos(np.zeros_like(light), binning=binning)) == 0
    both = source_halos(light + galaxy, binning=binning)
    assert np.unravel_index(both[0].argmax(), both[0].shape)[0] in range(97, 104)


def test_halos_lie_where_their_light_lies():
    light = star(500, 1.1, at=(101, 150)) + star(500, 1.1, at=(102, 150))
    rows = source_halos(light, binning=4)[0].sum(axis=1)
    assert (np.arange(256) * rows).sum() / rows.sum() == pytest.approx(101.5, abs=0.02)


@pytest.mark.parametrize("row", [1, 6, 249, 254])
def test_halos_at_the_ends_are_mirrored(row):
    light = star(1000, 1.1, at=(row, 150))
    np.testing.assert_allclose(
        source_halos(light, binning=4)[:, ::-1],
        source_halos(np.ascontiguousarray(light[::-1]), binning=4),
        atol=1e-4,
    )


@pytest.mark.parametrize("shape", [(251, 317), (70, 333)])
def test_sources_of_images_that_no_block_divides(rng, shape):
    image = rng.normal(0, 1, shape).astype(np.float32)
    image[30:40, 200:210] += 50
    found = find_sources(image, np.ones(shape, bool), n_sigma=3)
    assert found[30:40, 200:210].all()
    assert found.mean() < 0.2


@pytest.mark.parametrize("n_threads", [1, 3])
def test_strips_are_smoothed_as_the_whole(rng, n_threads, monkeypatch):
    monkeypatch.setattr(sources, "STRIP_ROWS", 20)
    image = noise(rng)
    before = image.copy()
    expected = gaussian_filter(image.astype(float), 1.0, mode="constant", truncate=3.0)
    np.testing.assert_allclose(sources._smooth(image, n_threads), expected, atol=1e-5)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("size", [1, 4])
def test_blocks_with_few_pixels_are_no_brighter_for_that(rng, size):
    """Their sums scatter less and know less: in standard deviations they are as the others."""
    usable = EVERYWHERE.copy()
    usable[:, :160] = rng.random((256, 160)) < 0.5
    values = np.where(usable, noise(rng), np.float32(9))
    scores = sources._high_blocks(values, usable, size, np.inf, 1)
    middle = 160 // size
    sparse, dense = (
        np.mean(part**2) for part in (scores[:, : middle - 4], scores[:, middle + 4 :])
    )
    assert sparse == pytest.approx(dense, rel=0.2)
    assert dense == pytest.approx(1, rel=0.2)


def test_fine_structure_beside_a_hole(rng):
    usable = EVERYWHERE.copy()
    usable[100:160, 100:200] = False
    blob = star(1000, 9.0, at=(60, 150))
    found = fine_structure(np.where(usable, noise(rng) + blob, np.float32(1e5)), usable)
    assert np.isfinite(found).all()
    bright = blob > 0.5 * blob.max()
    assert 0.8 < found[bright].mean() / blob[bright].mean() < 1.1
    assert np.abs(found[120:140, 120:180]).max() < 1


def test_a_bright_spectrum_masks_little_more_than_itself(rng):
    image = noise(rng)
    image[100:108] += 1000
    found = find_sources(image, EVERYWHERE, n_sigma=3)
    assert found[100:108].all()
    assert found[130:].mean() < 0.1
    assert found[:80].mean() < 0.1


def test_pixels_that_may_not_be_used_say_nothing(rng):
    image = noise(rng)
    image[40:60] = np.float32(1e6)
    usable = EVERYWHERE.copy()
    usable[40:60] = False
    np.testing.assert_array_equal(
        find_sources(image, usable, n_sigma=3) & usable,
        find_sources(np.where(usable, image, 0), usable, n_sigma=3) & usable,
    )
    assert not find_sources(image, ~EVERYWHERE, n_sigma=3).any()


def test_sky_map_follows_slopes_and_not_spectra(rng):
    y, x = np.indices(SHAPE, dtype=np.float32)
    slope = 0.1 * x + 0.05 * y
    image = slope + noise(rng)
    image[64:72] += 500
    image[150:160, 100:110] += 300
    boxes, sky = sky_map(image, EVERYWHERE)
    assert boxes.shape == (16, 20)
    inside = (slice(40, -40), slice(40, -40))
    left = (sky - slope)[inside]
    assert np.abs(left).max() < 1.5
    assert abs(np.median(left)) < 0.6


def test_sky_map_of_holes_and_odd_sizes(rng):
    image = rng.normal(7, 0.1, (70, 45)).astype(np.float32)
    usable = np.ones(image.shape, bool)
    usable[:40, :20] = False
    image[~usable] = np.nan
    _, sky = sky_map(image, usable)
    assert sky.shape == image.shape
    np.testing.assert_allclose(sky, 7, atol=0.1)


@pytest.mark.parametrize("shape", [(3, 5), (20, 8)])
def test_images_smaller_than_a_box(rng, shape):
    image = rng.normal(0, 1, shape).astype(np.float32)
    usable = np.ones(shape, bool)
    found = find_sources(image, usable, n_sigma=3)
    assert found.shape == shape
    assert found.mean() < 0.1
    assert np.abs(sky_map(image + np.float32(7), usable)[1] - 7).max() < 1
    fine = fine_structure(image, usable)
    assert fine.shape == shape
    assert np.abs(fine).max() < 1


def test_fine_structure_is_nothing_in_noise_and_most_of_a_blob(rng):
    blank = fine_structure(noise(rng), EVERYWHERE)
    # A Gaussian of one pixel leaves 1 / sqrt(4 pi) = 0.28 of white noise.
    assert np.std(blank) < 0.75 * 0.28
    wide = gaussian_filter(blank, 8.0)
    assert np.std(wide) < 0.6 * 1 / np.sqrt(4 * np.pi) / 8
    blob = star(1000, 9.0)
    found = fine_structure(noise(rng) + blob, EVERYWHERE)
    bright = blob > 0.5 * blob.max()
    assert 0.8 < found[bright].mean() / blob[bright].mean() < 1.1


def test_inputs_stay_as_they_are(rng):
    image, usable = noise(rng), EVERYWHERE.copy()
    before = image.copy()
    for function in (fine_structure, sky_map):
        function(image, usable)
    find_sources(image, usable, n_sigma=3)
    np.testing.assert_array_equal(image, before)
    assert usable.all()
