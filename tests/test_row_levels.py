import math

import numpy as np
import pytest

from deflicker.row_levels import (
    match_flat,
    output_offsets,
    pixel_variance,
    read_variance,
    row_statistics,
)


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


def test_offsets_are_the_jumps_and_not_the_light(rng, stripes):
    outputs = [slice(k, k + 100) for k in range(0, 400, 100)]
    true = np.array([4.0, -3.0, 1.0, -2.0])
    light = stripes + 0.1 * np.arange(400)
    image = light + np.repeat(true, 100) + rng.standard_normal(light.shape)
    image[rng.random(image.shape) < 0.1] = np.nan
    np.testing.assert_allclose(output_offsets(image, outputs), true, atol=0.25)
    np.testing.assert_array_equal(output_offsets(np.full((9, 400), np.nan), outputs), 0)
    np.testing.assert_array_equal(output_offsets(image, outputs[:1] * 1), 0)


@pytest.mark.parametrize("n_integrations", [1, 2])
def test_light_stays_and_noise_does_not(rng, n_integrations):
    n_rows, n_outputs, n_groups = 4000, 2, 5
    light = 2 * rng.standard_normal((n_rows, n_outputs))
    reads = 6 * rng.standard_normal((n_integrations, n_groups, n_rows, n_outputs))
    levels = np.diff(reads, axis=1).reshape(-1, n_rows, n_outputs) + light
    levels += np.array([30.0, -30.0])  # offsets are another matter
    number = np.full((n_rows, n_outputs), 100)
    found = row_statistics(
        levels,
        number,
        n_integrations=n_integrations,
        pixel_error=0.5,
        offsets=np.array([30.0, -30.0]),
    )
    noise = 2 * 36 * n_integrations / len(levels) ** 2
    assert found.noise == pytest.approx(noise, rel=0.05)
    assert found.light == pytest.approx(4, rel=0.1)
    assert found.error == pytest.approx(np.pi / 2 * 0.5 / 100)
    assert found.outputs == pytest.approx(0, abs=0.1)


def test_offsets_stay_where_outputs_are_fitted_together(rng):
    levels = rng.standard_normal((4, 50, 1))
    found = row_statistics(
        levels,
        np.ones((50, 1), int),
        n_integrations=1,
        pixel_error=0.1,
        offsets=np.array([2.0, -2.0]),
    )
    assert found.outputs == pytest.approx(4)


def test_rows_without_pixels_have_no_error():
    number = np.array([[4], [0]])
    found = row_statistics(np.zeros((2, 2, 1)), number, n_integrations=1, pixel_error=1.0)
    assert found.error == pytest.approx(np.pi / 2 / 8)
    assert found.light == found.noise == 0


def pink(n, rng):
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    return np.fft.irfft(spectrum, n)


def test_of_one_difference_pink_noise_is_known_by_its_steps(rng):
    shares = []
    for _ in range(40):
        noise = pink(2048, rng)
        levels = (noise / noise.std())[np.newaxis, :, np.newaxis]
        number = np.full((2048, 1), 1000)
        found = row_statistics(levels, number, n_integrations=1, pixel_error=0.0)
        assert found.noise + found.light == pytest.approx(1)
        shares.append(found.noise)
    assert np.mean(shares) > 0.9
    levels += 10 * np.linspace(-1, 1, 2048)[:, np.newaxis]
    found = row_statistics(levels, number, n_integrations=1, pixel_error=0.0)
    assert found.light > 0.9 * (found.light + found.noise)
