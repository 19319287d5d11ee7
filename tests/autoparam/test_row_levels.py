import numpy as np
import pytest

from deflicker.autoparam.row_levels import output_offsets, row_statistics


def test_offsets_are_the_jumps_and_not_the_light(rng):
    outputs = [slice(k, k + 100) for k in range(0, 400, 100)]
    true = np.array([4.0, -3.0, 1.0, -2.0])
    light = 5 * rng.standard_normal((200, 1)) + 0.1 * np.arange(400)
    light += np.where(np.arange(400) % 2, 3.0, -3.0)
    image = light + np.repeat(true, 100) + rng.standard_normal(light.shape)
    image[rng.random(image.shape) < 0.1] = np.nan
    np.testing.assert_allclose(output_offsets(image, outputs), true, atol=0.25)
    np.testing.assert_array_equal(output_offsets(np.full((9, 400), np.nan), outputs), 0)
    np.testing.assert_array_equal(output_offsets(image, outputs[:1]), 0)


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


@pytest.mark.parametrize("n_rows", [1, 2])
def test_one_or_two_rows_of_one_difference_do_not_tell_pink_noise(n_rows):
    """All beside the error is light: levels of +-2 have a variance of 4, a single one has none."""
    levels = np.array([2.0, -2.0])[:n_rows].reshape(1, n_rows, 1)
    number = np.full((n_rows, 1), 100)
    found = row_statistics(levels, number, n_integrations=1, pixel_error=1.0)
    error, total = np.pi / 200, 4.0 * (n_rows - 1)
    assert found.noise == pytest.approx(min(error, total))
    assert found.light == pytest.approx(total - min(error, total))


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


def test_noise_falls_with_the_length_of_an_exposure_and_light_does_not(rng):
    offsets = np.array([3.0, -1.0, -1.0, -1.0])
    light = np.array([0.0, 0.5, -0.5, 0.0])
    options = {"number": np.ones((500, 4), int), "n_integrations": 1, "pixel_error": 0.1}
    noise = rng.standard_normal((4, 500, 4))

    def both(levels, number=options["number"]):
        return (
            row_statistics(levels, **{**options, "number": number}, offsets=offsets, noise_scale=s)
            for s in (1.0, 0.25)
        )

    whole, longer = both(noise[:, :, :1], options["number"][:, :1])
    assert longer.outputs == pytest.approx(whole.outputs / 4) == pytest.approx(3 / 4)
    assert longer.noise == pytest.approx(whole.noise / 4)
    assert longer.error == pytest.approx(whole.error / 4)
    assert longer.light == whole.light
    noise -= noise.mean(axis=1, keepdims=True)
    apart, longer = both(noise + offsets + light)
    assert longer.outputs == pytest.approx(apart.outputs) == pytest.approx(0.125)
    half, longer = both(noise + 0.5 * offsets + light)
    assert half.outputs == pytest.approx(0.25 * 3 + 0.125)
    assert longer.outputs == pytest.approx(0.25 * 3 / 4 + 0.125)
