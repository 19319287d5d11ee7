"""Fourier noise against dense least squares, written as plainly and slowly as can be."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import exposure_of, plain_exposure

from deflicker import CleanOptions, Readout, clean_exposure, difference
from deflicker.noise import fourier, windows
from deflicker.noise.fourier import full_frame_noise, low_pass
from deflicker.noise.windows import subarray_noise, window_rows
from deflicker.quality import measure_quality
from deflicker.simulate import EXPOSURES, simulate

ROWS, COLUMNS = 40, 512


def dense_full_frame(values, usable, reference_rows):
    """Section 6 of the algorithm, one row after the other, on the basis of all pixels."""
    n = values.shape[1]
    gains = low_pass(np.arange(n // 2 + 1) / n)
    positions = np.arange(n)
    distance = np.minimum(positions, n - positions)
    kernel = np.exp(-0.5 * (distance / 32) ** 2)
    kernel /= kernel.sum()
    image = np.zeros(values.shape)
    for y in range(reference_rows, len(values) - reference_rows):
        m = np.flatnonzero(usable[y])
        if m.size < 32:
            continue
        order = min(1 + (m.size - 32) // 64, len(gains))
        v = values[y, m].astype(float)
        median = np.median(v)
        wild = np.abs(v - median) > 3 * 1.4826 * np.median(np.abs(v - median))
        v[wild] = median
        density = np.array([kernel[np.abs(m - position) % n].sum() for position in m])
        basis = np.exp(2j * np.pi * np.outer(m, np.arange(order)) / n)
        fit = np.linalg.lstsq(basis / density[:, None], v / density, rcond=None)[0]
        fit = fit * gains[:order]
        whole = np.exp(2j * np.pi * np.outer(positions, np.arange(order)) / n)
        image[y] = (2 * whole @ fit - fit[0]).real
    return image


def gappy(rng, shape):
    """Masks with gaps of all sizes, and rows with 0, 1, 2 and few usable pixels."""
    usable = rng.random(shape) < 0.8
    for start in range(0, shape[1], 68):
        usable[:, start : start + 25] = False
    for row, number in ((10, 0), (11, 1), (12, 2), (13, 31), (14, 40), (15, 95), (16, 159)):
        usable[row] = False
        usable[row, rng.choice(shape[1], number, replace=False)] = True
    return usable


@pytest.fixture
def striped(rng):
    """Rows of known low frequencies and white noise, with outliers."""
    x = np.arange(COLUMNS) / COLUMNS
    low = sum(
        rng.normal(0, 3, (ROWS, 1)) * np.cos(2 * np.pi * k * x + rng.uniform(0, 6, (ROWS, 1)))
        for k in range(3)
    )
    values = low + rng.normal(0, 1, (ROWS, COLUMNS))
    values[rng.random(values.shape) < 0.01] += 80
    return values.astype(np.float32)


def test_full_frame_is_dense_least_squares(rng, striped, monkeypatch):
    monkeypatch.setattr(fourier, "BLOCK_ROWS", 16)
    usable = gappy(rng, striped.shape)
    values = np.where(usable, striped, np.nan)
    found = full_frame_noise(values, usable).image()
    expected = dense_full_frame(values, usable, 4)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-5 * np.std(expected)


def test_low_pass():
    gains = low_pass(np.arange(1025) / 2048)
    np.testing.assert_allclose(gains, [1] * 8 + [0.5], atol=1e-12)


def test_a_stripe_stays_in_its_row():
    """Defect 1: kernels off centre displaced the noise by a row and a column."""
    values = np.zeros((64, COLUMNS), np.float32)
    x = np.arange(COLUMNS)
    values[30] = 3 * np.cos(2 * np.pi * x / COLUMNS)
    noise = full_frame_noise(values, np.ones(values.shape, bool)).image()
    assert np.argmax(np.abs(noise).sum(axis=1)) == 30
    assert np.abs(np.delete(noise, 30, axis=0)).max() < 1e-5
    np.testing.assert_allclose(noise[30], values[30], atol=1e-4)


@pytest.mark.parametrize("hidden", [0.95, 0.995])
def test_few_usable_pixels_do_no_harm(rng, hidden):
    """The residual is no larger than the input, on masked pixels too."""
    x = np.arange(2048) / 2048
    low = sum(
        rng.normal(0, 3, (200, 1)) * np.cos(2 * np.pi * k * x + rng.uniform(0, 6, (200, 1)))
        for k in range(9)
    )
    values = (low + rng.normal(0, 7, low.shape)).astype(np.float32)
    usable = rng.random(values.shape) > hidden
    residual = low - full_frame_noise(values, usable).image()
    for region in (usable, ~usable):
        assert np.mean(residual[region] ** 2) <= np.mean(low[region] ** 2)


def test_a_wide_gap_does_no_harm(rng):
    x = np.arange(2048) / 2048
    low = sum(
        rng.normal(0, 3, (100, 1)) * np.cos(2 * np.pi * k * x + rng.uniform(0, 6, (100, 1)))
        for k in range(9)
    )
    values = (low + rng.normal(0, 5, low.shape)).astype(np.float32)
    usable = rng.random(values.shape) < 0.6
    usable[:, 900:1100] = False
    residual = low - full_frame_noise(values, usable).image()
    gap = (slice(8, -8), slice(900, 1100))
    assert np.mean(residual[gap] ** 2) <= np.mean(low[gap] ** 2)


def thirty_slices(shape):
    """Slanted slices, 22 pixels of every 66 along the row, as the IFU has them."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (x + y // 8) % 66 >= 22


def test_the_mask_of_thirty_slices_does_no_harm(rng):
    """In every slice, and between them."""
    shape = (300, 2048)
    x = np.arange(shape[1]) / shape[1]
    low = sum(
        rng.normal(0, 3, (shape[0], 1))
        * np.cos(2 * np.pi * k * x + rng.uniform(0, 6, (shape[0], 1)))
        for k in range(9)
    )
    values = (low + rng.normal(0, 7, shape)).astype(np.float32)
    usable = thirty_slices(shape)
    residual = (low - full_frame_noise(values, usable).image())[4:-4]
    for number in range(32):
        part = slice(number * 64, number * 64 + 64)
        for region in (usable[4:-4, part], ~usable[4:-4, part]):
            before = np.mean(low[4:-4, part][region] ** 2)
            assert np.mean(residual[:, part][region] ** 2) < 0.5 * before


@pytest.mark.parametrize("pixels", [slice(0, 2048, 128), slice(1000, 1040), slice(0, 200)])
def test_pixels_that_do_not_determine_the_frequencies(rng, pixels):
    """A comb and a block: the normal matrix is singular, the noise stays tame."""
    level = rng.normal(0, 3, (100, 1)) * np.ones(2048)
    values = (level + rng.normal(0, 1, level.shape)).astype(np.float32)
    usable = np.zeros(values.shape, bool)
    usable[:, pixels] = True
    noise = full_frame_noise(values, usable).image()
    assert np.mean((level - noise) ** 2) <= np.mean(level**2)


@pytest.mark.parametrize("step", [2, 4])
def test_columns_of_one_parity_do_not_determine_their_difference(rng, step):
    low = np.cumsum(rng.normal(0, 0.3, 200 * 32)).reshape(200, 32)
    low -= low.mean()
    values = (low + rng.normal(0, 1, low.shape)).astype(np.float32)
    usable = np.zeros(low.shape, bool)
    usable[:, ::step] = True
    residual = low - subarray_noise(values, usable)
    assert np.mean(residual**2) < 0.5 * np.mean(low**2)


def without_outliers(values, usable):
    """Beyond 4 sigma, with the four neighbours."""
    some = values[usable].astype(float)
    median = np.median(some)
    limit = 4 * 1.4826 * np.median(np.abs(some - median))
    kept = usable.copy()
    for y, x in np.argwhere(usable & (np.abs(np.where(usable, values, median) - median) > limit)):
        for dy, dx in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)):
            if 0 <= y + dy < kept.shape[0] and 0 <= x + dx < kept.shape[1]:
                kept[y + dy, x + dx] = False
    return kept


def dense_window(t, v, root, n_ticks, corners):
    """Least squares of one window on cosines and sines; the fewest that it determines."""
    low, stop, start, high = corners
    frequency = np.arange(n_ticks // 2 + 1) / (n_ticks * 1e-5)
    down = 0.5 * (1 + np.cos(np.pi * np.clip((frequency - low) / (stop - low), 0, 1)))
    up = 0.5 * (1 - np.cos(np.pi * np.clip((frequency - start) / (high - start), 0, 1)))
    passed = np.flatnonzero(down + up > 1e-12)
    slow = passed[passed < n_ticks // 4]
    for chosen in (passed, *(slow[:number] for number in range(len(slow), 0, -1))):
        waves, gains = [], []
        for k in chosen:
            for wave in (np.cos, np.sin):
                column = wave(2 * np.pi * k * np.arange(n_ticks) / n_ticks)
                if np.abs(column).max() > 1e-9:
                    waves.append(column / np.sqrt(np.mean(column**2)))
                    gains.append((down + up)[k])
        basis = np.array(waves).T
        weighted = basis[t] * root[:, None]
        eigenvalues = np.linalg.eigvalsh(weighted.T @ weighted)
        if eigenvalues[0] > 3e-3 * np.sum(root**2):
            return basis @ (gains * np.linalg.lstsq(weighted, v * root, rcond=None)[0])
    return np.zeros(n_ticks)


def dense_subarray(values, usable):
    """Windows one after the other."""
    n_slow, n_fast = values.shape
    width = n_fast + 12
    corners = windows.NARROW if n_fast <= 64 else windows.WIDE
    kept = without_outliers(values, usable)
    y, x = np.divmod(np.arange(n_slow * width), width)
    at = np.flatnonzero((x < n_fast) & kept[y, np.minimum(x, n_fast - 1)])
    sigma = 1 / ((corners[0] + corners[1]) / 2) / (2 * 4 * 1e-5)
    density = np.array(
        [np.exp(-0.5 * ((at - t) / sigma) ** 2).sum() / (sigma * np.sqrt(2 * np.pi)) for t in at]
    )
    total, share = np.zeros((n_slow, width)), np.zeros((n_slow, 1))
    for window in window_rows(kept.sum(axis=1)):
        length = window.stop - window.start
        if kept[window].mean() < 0.05:
            continue
        inside = (y[at] >= window.start) & (y[at] < window.stop)
        t = at[inside] - window.start * width
        v = values[y[at[inside]], x[at[inside]]].astype(float)
        noise = dense_window(t, v, 1 / density[inside], length * width, corners)
        triangle = 1 - np.abs(2 * np.arange(length) + 1 - length) / (length + 1)
        total[window] += noise.reshape(length, width) * triangle[:, None]
        share[window] += triangle[:, None]
    return np.divide(total, share, out=np.zeros_like(total), where=share > 0)[:, :n_fast]


LAYOUTS = {"one window": (16, 32), "many": (150, 32), "wide": (30, 256), "gap": (160, 32)}


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_subarray_is_dense_least_squares(rng, layout):
    shape = LAYOUTS[layout]
    drift = np.cumsum(rng.normal(0, 0.5, shape).ravel()).reshape(shape)
    values = (drift + rng.normal(0, 1, shape)).astype(np.float32)
    values[..., ::2] += 2
    values[rng.random(shape) < 0.003] += 200
    usable = rng.random(shape) < 0.85
    usable[:, shape[1] // 2 : shape[1] // 2 + 4] = False
    if layout == "gap":
        usable[60:80] = False
    values[~usable] = np.nan
    found = subarray_noise(values, usable)
    expected = dense_subarray(values, usable)
    assert np.std(expected) > 1
    assert np.abs(found - expected).max() < 1e-5 * np.std(expected)


@pytest.mark.parametrize(
    "per_row", [np.full(100, 20), np.full(5, 20), np.r_[np.full(50, 20), np.zeros(500, int), [20]]]
)
def test_windows_cover_all_rows_and_overlap(per_row):
    found = window_rows(per_row)
    covered = np.zeros(len(per_row), int)
    for window in found:
        covered[window] += 1
    assert covered.min() >= 1
    assert found[0].start == 0
    assert found[-1].stop == len(per_row)


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.03, 0.06, 0.1])
def test_few_usable_pixels_of_a_subarray_do_no_harm(rng, fraction):
    shape = (400, 32)
    low = np.cumsum(rng.normal(0, 0.3, shape).ravel()).reshape(shape)
    low -= low.mean()
    values = (low + rng.normal(0, 3, shape)).astype(np.float32)
    usable = rng.random(shape) < fraction
    residual = low - subarray_noise(values, usable)
    assert np.mean(residual**2) <= np.mean(low**2)


# What the axis keywords mean, written out: NRS1 is read along its columns, NRS2 too and backwards.
FRAMES = {
    (2, 1): lambda image: image.T,
    (-2, -1): lambda image: image.T[::-1, ::-1],
    (1, -2): lambda image: image[::-1],
    (-1, 2): lambda image: image[:, ::-1],
}


@pytest.mark.parametrize("axes", list(FRAMES))
def test_orientations(rng, axes):
    """The oracle in a frame turned by hand; the order of the clock matters."""
    turn = FRAMES[axes]
    shape = (32, 150) if abs(axes[0]) == 2 else (150, 32)
    drift = np.zeros(shape)
    turn(drift)[:] = np.cumsum(rng.normal(0, 0.5, turn(drift).size)).reshape(turn(drift).shape)
    image = (drift + rng.normal(0, 1, shape)).astype(np.float32)
    exposure = plain_exposure(
        image[np.newaxis, np.newaxis],
        ramp=False,
        readout=Readout(fast_axis=axes[0], slow_axis=axes[1]),
    )
    options = CleanOptions(fit_method="fft", background_method=None, n_sigma=0)
    removed = image - clean_exposure(exposure, options).data[0, 0]
    expected = dense_subarray(turn(image), np.ones(turn(image).shape, bool))
    assert np.abs(turn(removed) - expected).max() < 1e-5 * np.std(expected) + 1e-6 * np.ptp(image)


def test_errors_of_differences_cancel_in_the_rate(monkeypatch):
    """Pixels that each difference chooses at 2 sigma for itself cost the rate over 4 points."""
    recipe = replace(EXPOSURES["nirspec-bots"], shape=(32, 1024), n_integrations=4)
    truths = [simulate(recipe, seed=seed) for seed in (1, 2, 3)]

    def removed():
        found = []
        for truth in truths:
            cleaned = clean_exposure(exposure_of(truth), CleanOptions(fit_method="fft"))
            quality = measure_quality(truth, cleaned.data)
            found.append((quality.removed_differences, quality.removed_rate))
        return np.mean(found, axis=0)

    differences, rate = removed()
    assert differences > 57
    assert rate > 54
    monkeypatch.setattr(difference, "WINDOW_CLIP", 0.0)
    assert removed()[1] < rate - 4
