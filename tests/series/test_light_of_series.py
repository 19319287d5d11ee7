"""Known light goes into ``median_image``, and the same light comes out."""

import numpy as np
import pytest

from conftest import plain_exposure
from deflicker import CleanOptions, Readout, clean_exposure
from deflicker.detector.dq import SATURATED
from deflicker.series.stable_scene import share_rows
from deflicker.series.template_noise import light_free_levels

MEDIAN_IMAGE = CleanOptions(background_method="median_image")
BY_CHANNEL = CleanOptions(background_method="median_image", fit_by_channel=True)
COLUMNS = np.linspace(-1, 1, 512)
ROWS = np.arange(48)[:, np.newaxis]
N = 10
WHEN = np.linspace(-0.5, 0.5, N)
TRANSIT = (np.abs(WHEN) < 0.2).astype(float)


def ramps(light, *, rng, stripes=2.0, times=None, white=4.0, outputs=4):
    """Ramps of light (n_integrations, ny, nx) in DN per unit of time, and their stripes."""
    times = np.arange(1, 5) if times is None else np.asarray(times)
    n, ny, nx = light.shape
    shared = rng.normal(0, stripes, (n, len(times), ny, 1, 1))
    own = rng.normal(0, stripes / 3, (n, len(times), ny, outputs, 1))
    noise = np.broadcast_to(shared + own, (n, len(times), ny, outputs, nx // outputs))
    noise = noise.reshape(n, len(times), ny, nx)
    data = noise + white * rng.standard_normal(noise.shape)
    data += light[:, np.newaxis] * times[:, np.newaxis, np.newaxis]
    return data.astype(np.float32), noise.astype(np.float32)


def grism(change=0.0, *, row=22.0):
    """A trace that fills its rows; ``change`` of its light may be one for each column."""
    light = 800 * (0.4 + 0.6 * np.cos(0.5 * np.pi * COLUMNS) ** 2) * (1 + change)
    return 8 + light * np.exp(-(((ROWS - row) / 2.5) ** 4))


def slopes(data):
    return (data[:, -1] - data[:, 0]).astype(float) / (data.shape[1] - 1)


def spectrum(data, n_bins=8):
    """Light of the trace in each integration and bin of columns."""
    image = slopes(data)
    dark = np.median(image[:, np.r_[:14, 32:48]], axis=1)
    light = (image[:, 16:30] - dark[:, np.newaxis]).sum(axis=1)
    return light.reshape(len(data), n_bins, -1).sum(axis=2)


def cleaned(data, options, **changes):
    readout = Readout(fast_axis=1, slow_axis=2, n_outputs=4)
    return clean_exposure(plain_exposure(data, readout=readout, **changes), options).data


SIGNALS = {
    "slope of 500 ppm": 250e-6 * np.outer(TRANSIT, COLUMNS),
    "band of 0.1 %": -1e-3 * np.outer(TRANSIT, np.abs(COLUMNS - 0.3) < 0.1),
    "tilt of 1000 ppm": 1e-3 * np.outer(WHEN, COLUMNS),
}


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("options", [MEDIAN_IMAGE, BY_CHANNEL], ids=["whole", "by channel"])
def test_chromatic_signals_of_rows_that_are_all_light_are_kept(signal, options):
    """To 8 ppm: what the cleaning gives with the signal, minus what it gives without."""
    white = -0.01 * TRANSIT
    results = []
    for change in (np.zeros((N, 512)), SIGNALS[signal]):
        light = np.stack([grism(w + c) for w, c in zip(white, change, strict=True)])
        data, _ = ramps(light, rng=np.random.default_rng(4))
        truth = np.stack([grism(w + c) - 8 for w, c in zip(white, change, strict=True)])
        true = truth[:, 16:30].sum(axis=1).reshape(N, 8, -1).sum(axis=2)
        result = cleaned(data, options)
        assert np.std(data - result) > 0.5
        results.append((spectrum(result), true))
    (before, true_before), (after, true_after) = results
    mean = true_before.mean(axis=0)
    assert 1e6 * np.abs((true_after - true_before) / mean).max() > 200
    error = 1e6 * (after - before - (true_after - true_before)) / mean
    assert np.abs(error).max() < 8


def test_drift_of_a_trace_is_no_noise():
    """Less than 100 ppm of its light are taken, where its own edges change by two percent."""
    curves = []
    for drift in (0.0, 0.04):
        light = np.stack([grism(row=22 + drift * when) for when in WHEN])
        data, _ = ramps(light, rng=np.random.default_rng(4))
        true = (light - 8)[:, 16:30].sum(axis=1).reshape(N, 8, -1).sum(axis=2)
        result = cleaned(data, BY_CHANNEL)
        assert np.std(data - result) > 0.5
        curves.append((spectrum(result) - true) / true.mean(axis=0))
    assert 1e6 * np.abs(curves[1] - curves[0]).max() < 100


def test_steps_of_the_sky_are_light(rng):
    """Without stripes nothing is taken but what the levels of rows are uncertain by."""
    sky = np.where(ROWS < 20, 9.7, 7.2) * np.ones((N, 1, 512))
    data, _ = ramps(sky, rng=rng, stripes=0.0)
    taken = slopes(data - cleaned(data, MEDIAN_IMAGE)).mean(axis=0)
    levels = taken.mean(axis=1) - taken.mean()
    error = 1.25 * 4 * 2**0.5 / 3 / (512 * N) ** 0.5  # of the mean of the integrations' levels
    assert np.abs(levels).max() < 4 * error
    assert abs(levels[:20].mean() - levels[20:].mean()) < 0.02


def test_a_halo_of_starlight_is_light(rng):
    y, x = np.mgrid[:48, :512]
    halo = 600 / (1 + (np.hypot(y - 24, (x - 256) / 4) / 4) ** 2)
    data, _ = ramps(5 + np.tile(halo, (N, 1, 1)), rng=rng, stripes=0.0)
    taken = slopes(data - cleaned(data, MEDIAN_IMAGE)).mean(axis=0)
    levels = taken.mean(axis=1) - np.median(taken)
    assert np.abs(levels).max() < 0.15
    assert levels.std() < 0.05


def test_the_sky_does_not_follow_the_target(rng):
    """A target that loses a tenth of its light, on a sky with a step: rows lose nothing."""
    curve = 1 - 0.1 * TRANSIT
    sky = np.where(ROWS < 20, 40.0, 10.0)
    light = np.stack([sky + factor * (grism(row=30) - 8) for factor in curve])
    data, _ = ramps(light, rng=rng, stripes=0.0)
    taken = slopes(data - cleaned(data, MEDIAN_IMAGE))
    step = taken[:, :18].mean(axis=(1, 2)) - taken[:, 38:].mean(axis=(1, 2))
    inside, outside = step[TRANSIT > 0].mean(), step[TRANSIT == 0].mean()
    assert abs(inside - outside) < 0.1  # 10 % of a step of 30 were 3


@pytest.mark.parametrize("times", [(1, 2, 3, 4), (1, 2.25, 3.25, 4.5), (1, 3, 4, 6)])
@pytest.mark.parametrize("known", [False, True])
def test_groups_that_are_not_evenly_spaced(rng, times, known):
    """Steps of the sky stay in every difference, whether the times are known or not."""
    sky = np.where(ROWS < 20, 40.0, 10.0) * np.ones((N, 1, 512))
    data, _ = ramps(sky, rng=rng, stripes=0.0, times=times)
    changes = {"group_times": np.array(times, float)} if known else {}
    taken = np.diff(data - cleaned(data, MEDIAN_IMAGE, **changes), axis=1).mean(axis=(0, 3))
    assert np.abs(taken[:, :20].mean(axis=1) - taken[:, 20:].mean(axis=1)).max() < 0.1


def test_stripes_on_steps_and_halos_go(rng):
    """The template's own noise too, which is smaller than the steps."""
    sky = np.where(ROWS < 20, 9.7, 7.2) * np.ones((N, 1, 512))
    data, stripes = ramps(sky, rng=rng, outputs=1)
    left = slopes(stripes - (data - cleaned(data, MEDIAN_IMAGE)))
    left -= left.mean(axis=(1, 2), keepdims=True)
    expected = slopes(stripes)
    expected -= expected.mean(axis=(1, 2), keepdims=True)
    assert np.var(left) < 0.05 * np.var(expected)
    assert np.var(left.mean(axis=0)) < 0.3 * np.var(expected.mean(axis=0))


def test_columns_that_saturate_are_cleaned_before(rng):
    """Rows whose pixels are all flagged from the third group on."""
    data, stripes = ramps(np.full((N, 48, 512), 8.0), rng=rng, outputs=1)
    dq = np.zeros(data.shape, np.uint8)
    full = slice(10, 20)
    dq[:, 2:, full] = SATURATED
    data[:, 2:, full] = 60000
    taken = data - cleaned(data, MEDIAN_IMAGE, group_dq=dq)
    for rows, groups in ((full, (0, 1)), (slice(20, 48), (0, 1)), (slice(20, 48), (2, 3))):
        expected = stripes[:, groups[1], rows] - stripes[:, groups[0], rows]
        left = expected - (taken[:, groups[1], rows] - taken[:, groups[0], rows])
        left -= left.mean(axis=(1, 2), keepdims=True)
        assert np.var(left) < 0.05 * np.var(expected)


def test_rows_with_few_pixels_of_background_use_the_dimmest_of_the_scene(rng):
    """A narrow window: a wide profile across each row, background in a few pixels."""
    x = np.arange(20)
    profile = np.exp(-0.5 * ((x - 9.5) / 2.2) ** 2) * np.ones((200, 1))
    spectrum_of_rows = 3000 * (0.5 + 0.4 * np.sin(np.arange(200) / 30))[:, np.newaxis]
    light = np.stack([3 + (1 - 0.01 * t) * spectrum_of_rows * profile for t in TRANSIT])
    data, stripes = ramps(light, rng=rng, outputs=1, stripes=6.0)
    exposure = plain_exposure(data)
    left = slopes(stripes - (data - clean_exposure(exposure, MEDIAN_IMAGE).data))
    left -= left.mean(axis=(1, 2), keepdims=True)
    assert np.var(left) < 0.5 * np.var(slopes(stripes))


def test_rows_of_an_output_that_are_all_light_take_what_the_others_tell(rng):
    """As far as they share their noise: the rest stays, and it is less."""
    light = np.full((N, 48, 512), 8.0)
    light[:, 20:25, :128] += 500
    data, stripes = ramps(light, rng=rng)
    taken = data - cleaned(data, BY_CHANNEL)
    lit = np.s_[:, 20:25, :128]
    expected = slopes(stripes)[lit]
    left = expected - slopes(taken)[lit]
    assert np.var(left) < 0.3 * np.var(expected)
    # The same for all pixels: no light is in it.
    assert np.ptp(slopes(taken)[lit], axis=2).max() < 1e-3


def test_shared_rows_by_hand():
    """The second output has twice the noise of the first; half of its rows are not seen."""
    rng = np.random.default_rng(3)
    stripes = rng.normal(0, 1, 100)
    values = np.zeros((100, 20), np.float32)
    values[:, :10] = stripes[:, np.newaxis]
    values[:, 10:] = 0.5 * stripes[:, np.newaxis]
    usable = np.ones((100, 20), bool)
    usable[50:, 10:] = False
    values[50:, 10:] = 1000
    share_rows(values, usable, [slice(0, 10), slice(10, 20)])
    assert usable.all()
    np.testing.assert_allclose(values[50:, 10:], 0.5 * values[50:, :1] * np.ones(10), atol=1e-6)


def test_levels_without_noise_in_the_samples_have_none(rng):
    """Light alone, and samples that scatter by their own errors: nothing is taken."""
    light = 100 * rng.random(300)
    zeros = np.zeros((8, 300))
    assert not light_free_levels(light, zeros, zeros, share=0.2).any()
    errors = rng.normal(0, 1, (8, 300))
    found = light_free_levels(light, errors, errors, share=0.2)
    assert not found.any()
