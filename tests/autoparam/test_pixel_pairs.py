import math

import numpy as np
import pytest

from deflicker.autoparam.pixel_pairs import match_flat, pixel_variance, read_variance


@pytest.fixture
def stripes(rng):
    """What must not count: stripes, alternating columns and a gradient."""
    rows = 5 * rng.standard_normal((200, 1))
    columns = np.where(np.arange(400) % 2, 3.0, -3.0) + 0.01 * np.arange(400)
    return rows + columns


def test_pixel_variance_is_that_of_lone_pixels(rng, stripes):
    image = stripes + 2 * rng.standard_normal(stripes.shape)
    image[rng.random(image.shape) < 0.1] = np.nan
    image[50, 50] = 1e6
    assert pixel_variance(image) == pytest.approx(4, rel=0.03)
    assert math.isnan(pixel_variance(np.full((5, 5), np.nan)))


@pytest.mark.parametrize("n_integrations", [1, 2])
def test_read_variance_tells_reads_from_photons(rng, stripes, n_integrations):
    n_groups, shape = 5, stripes.shape
    reads = 3 * rng.standard_normal((n_integrations, n_groups, *shape))
    photons = 4 * rng.standard_normal((n_integrations, n_groups - 1, *shape))
    differences = (np.diff(reads, axis=1) + photons).reshape(-1, *shape).astype(np.float32)
    true = 2 * 9 * n_integrations / len(differences) ** 2
    found = read_variance(differences + stripes, n_integrations=n_integrations)
    assert found == pytest.approx(true, rel=0.1)


def test_one_difference_has_no_photons_to_tell_apart(rng):
    image = 2 * rng.standard_normal((1, 200, 400)).astype(np.float32)
    assert read_variance(image, n_integrations=1) == pytest.approx(4, rel=0.03)
    assert read_variance(np.full((1, 5, 5), np.nan, np.float32), n_integrations=1) == 0


@pytest.fixture
def flat(rng):
    return 1 + 0.02 * rng.standard_normal((200, 400)) + 0.1 * np.sin(np.arange(400) / 60)


@pytest.mark.parametrize("share", [1.0, 0.0])
def test_flat_that_the_light_went_through(rng, stripes, flat, share):
    image = 20 * (1 + share * (flat - 1)) + rng.standard_normal(flat.shape)
    image += stripes - np.median(stripes)
    image[rng.random(image.shape) < 0.1] = np.nan
    match = match_flat(image, flat)
    assert abs(match.share - share) < 0.04
    assert match.error < 0.02
    assert match.fits == bool(share)


def test_smooth_light_that_looks_like_a_flat_is_no_match(rng, flat):
    smooth = 1 + 0.1 * np.sin(np.arange(400) / 60)
    image = 20 * smooth + rng.standard_normal(flat.shape)
    assert abs(match_flat(image, flat).share) < 0.1


@pytest.mark.parametrize("case", ["no light", "no structure", "faint", "no pixels"])
def test_flat_of_which_nothing_can_be_told_does_not_fit(rng, flat, case):
    image = rng.standard_normal(flat.shape)
    if case == "no structure":
        image, flat = image + 20, np.ones_like(flat)
    elif case == "faint":
        image += 0.01 * flat
    elif case == "no light":
        image -= 1
    else:
        image[:] = np.nan
    assert not match_flat(image, flat).fits
