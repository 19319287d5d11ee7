"""Fourier noise against dense least squares, written as plainly and slowly as can be."""

import tracemalloc
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.optimize import nnls

from conftest import exposure_of, plain_exposure
from deflicker import CleanOptions, Readout, clean_exposure
from deflicker.noise.nsclean import fourier, windows
from deflicker.noise.nsclean.fourier import full_frame_noise, low_pass
from deflicker.noise.nsclean.tuning import NscleanTuning
from deflicker.noise.nsclean.waves import make_waves
from deflicker.noise.nsclean.windows import subarray_noise, window_rows
from deflicker.simulation.exposures import EXPOSURES, simulate
from deflicker.simulation.quality import measure_quality

ROWS, COLUMNS = 40, 512


def dense_basis(n, orders):
    """Cosines and sines of unit rms; those that are nothing are left out."""
    angles = 2 * np.pi * np.outer(np.arange(n), orders) / n
    waves = np.stack([np.cos(angles), np.sin(angles)], axis=2).reshape(n, -1)
    rms = np.sqrt(np.mean(waves**2, axis=0))
    real = rms > 1e-9
    return waves[:, real] / rms[real], np.repeat(orders, 2)[real]


@dataclass
class DenseSequence:
    """Values of a row or a window, weights and waves at the usable pixels."""

    values: np.ndarray
    weights: np.ndarray
    waves: np.ndarray
    kinds: np.ndarray

    @property
    def normal(self):
        return self.waves.T @ np.diag(self.weights) @ self.waves

    def products(self, mean):
        return self.waves.T @ (self.weights * (self.values - mean))

    @property
    def error(self):
        return np.sum(self.weights**2) / np.sum(self.weights)


def dense_equations(parts, mean, overlap, *, each, expected=None):
    """Mean squares of products, by the powers that make them; with the scatter of the squares."""
    n = parts[0].waves.shape[1] if each else parts[0].kinds.shape[1]
    system, right, chance = np.zeros((n + 1, n + 1)), np.zeros(n + 1), np.zeros(n + 1)
    for number, part in enumerate(parts):
        kinds = np.eye(n) if each else part.kinds
        error, normal = part.error, part.normal
        squares = (part.products(mean) / error) ** 2
        counts = np.ones(len(squares)) if expected is None else expected[number] ** -2.0
        for i in range(n):
            for j in range(n):
                system[i, j] += (counts * kinds[:, i]) @ (normal / error) ** 2 @ kinds[:, j]
            system[i, n] += (counts * kinds[:, i]) @ np.diag(normal) / error
            system[n, i] += kinds[:, i] @ np.diag(normal) / error
            right[i] += kinds[:, i] @ (counts * squares)
            chance[i] += 2 / 3 * overlap * kinds[:, i] ** 2 @ (counts * squares) ** 2
        system[n, n] += np.sum(part.weights) / error
        right[n] += np.sum(part.weights * (part.values - mean) ** 2) / error
    chance[n] = 2 * right[n] ** 2 / system[n, n]
    least = 1e-6 * np.abs(system).max(axis=1) * right[n] / system[n, n]
    return system, right, np.maximum(np.maximum(np.sqrt(chance), least), 1e-300)


def dense_powers(system, right, chance):
    scaled = system / chance[:, None]
    doubt = 0.01 * np.arange(len(right)) * np.sqrt(np.sum(scaled**2, axis=0))
    return nnls(
        np.concatenate([scaled, np.diag(doubt)[:-1]]),
        np.concatenate([right / chance, np.zeros(len(right) - 1)]),
    )[0]


def pair_variance(values, usable):
    """Half the mean square of the differences of usable neighbours in a row, without outliers."""
    pairs = []
    for row, use in zip(values.astype(float), usable, strict=True):
        some = row[use]
        pairs.extend(some[1::2] - some[: 2 * (len(some) // 2) : 2])
    pairs = np.array(pairs)
    kept = pairs[np.abs(pairs) <= 3 * 1.4826 * np.median(np.abs(pairs))]
    return np.mean(kept**2) / 2 / 0.9733


def dense_fits(parts, overlap, scatter, *, each):
    """Amplitudes of the waves of each sequence, whose powers all sequences tell together."""
    tells = np.array([np.sum(part.weights * part.values) / part.error for part in parts])
    mean = tells.sum() / sum(np.sum(part.weights) / part.error for part in parts)
    mean *= max(1 - overlap * np.sum(tells**2) / np.sum(tells) ** 2, 0)
    first = dense_powers(*dense_equations(parts, mean, overlap, each=False))
    expected = []
    for part in parts:
        square = (part.normal / part.error) ** 2 @ (part.kinds @ first[:-1])
        square += first[-1] * np.diag(part.normal) / part.error
        expected.append(np.maximum(square, 1e-8 * square.max()))
    system, right, chance = dense_equations(parts, mean, overlap, each=False, expected=expected)
    found = dense_powers(system, right, chance)
    powers = np.zeros(len(found) - 1)
    for k, power in enumerate(found[:-1]):
        if power > 0:
            powers[k] = power * (1 - min(chance[k] / (system[k, k] * power), 1) ** 2)
    white = max(found[-1], scatter)
    if each:
        expected = parts[0].kinds @ powers
        expected = np.maximum(expected, 1e-3 * expected.max())
        system, right, chance = dense_equations(parts, mean, overlap, each=True)
        near = np.concatenate([np.diag(1 / expected), np.zeros((len(expected), 1))], axis=1)
        found = nnls(
            np.concatenate([system / chance[:, None], near]),
            np.concatenate([right / chance, np.ones(len(expected))]),
        )[0]
    for part in parts:
        power = found[:-1] if each else part.kinds @ powers
        some = power > 0
        penalty = np.diag(part.error * white / power[some])
        fit = np.zeros(len(power))
        fit[some] = np.linalg.solve(
            part.normal[np.ix_(some, some)] + penalty, part.products(mean)[some]
        )
        fit[0] += mean
        yield fit


def dense_full_frame(values, usable, reference_rows):
    """Section 6 of the algorithm, one row after the other, on the basis of all pixels."""
    n = values.shape[1]
    gains = low_pass(np.arange(n // 2 + 1) / n)
    waves, order = dense_basis(n, np.arange(len(gains)))
    kinds = np.stack([order == 0, (order > 0) / np.maximum(order, 1)], axis=1)
    positions = np.arange(n)
    distance = np.minimum(positions, n - positions)
    kernel = np.exp(-0.5 * (distance / 32) ** 2)
    kernel /= kernel.sum()
    parts = {}
    for y in range(reference_rows, len(values) - reference_rows):
        m = np.flatnonzero(usable[y])
        if not m.size:
            continue
        v = values[y, m].astype(float)
        median = np.median(v)
        wild = np.abs(v - median) > 3 * 1.4826 * np.median(np.abs(v - median))
        v[wild] = median
        density = np.array([kernel[np.abs(m - position) % n].sum() for position in m])
        parts[y] = DenseSequence(v, density**-2.0, waves[m], kinds)
    image = np.zeros(values.shape)
    for y, fit in zip(
        parts,
        dense_fits(list(parts.values()), 1, pair_variance(values, usable), each=True),
        strict=True,
    ):
        image[y] = waves @ (fit * gains[order])
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


@pytest.mark.parametrize(("hidden", "left"), [(0.95, 0.4), (0.995, 0.95)])
def test_few_usable_pixels_do_no_harm(rng, hidden, left):
    """The residual is smaller than the input, on masked pixels too."""
    x = np.arange(2048) / 2048
    low = sum(
        rng.normal(0, 3, (200, 1)) * np.cos(2 * np.pi * k * x + rng.uniform(0, 6, (200, 1)))
        for k in range(9)
    )
    values = (low + rng.normal(0, 7, low.shape)).astype(np.float32)
    usable = rng.random(values.shape) > hidden
    residual = low - full_frame_noise(values, usable).image()
    for region in (usable, ~usable):
        assert np.mean(residual[region] ** 2) <= left * np.mean(low[region] ** 2)


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
    assert np.mean(residual[gap] ** 2) <= 0.3 * np.mean(low[gap] ** 2)


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
    assert np.mean((level - noise) ** 2) <= 0.1 * np.mean(level**2)


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


def dense_filter(frequency, corners):
    low, stop, start, high = corners
    down = 0.5 * (1 + np.cos(np.pi * np.clip((frequency - low) / (stop - low), 0, 1)))
    up = 0.5 * (1 - np.cos(np.pi * np.clip((frequency - start) / (high - start), 0, 1)))
    return down + up


def dense_subarray(values, usable):
    """Windows one after the other."""
    n_slow, n_fast = values.shape
    width = n_fast + 12
    corners = windows._corners(n_fast, NscleanTuning())
    kept = without_outliers(values, usable)
    y, x = np.divmod(np.arange(n_slow * width), width)
    at = np.flatnonzero((x < n_fast) & kept[y, np.minimum(x, n_fast - 1)])
    sigma = 1 / ((corners[0] + corners[1]) / 2) / (2 * 4 * 1e-5)
    density = np.array(
        [np.exp(-0.5 * ((at - t) / sigma) ** 2).sum() / (sigma * np.sqrt(2 * np.pi)) for t in at]
    )
    chosen, parts = [], []
    for window in window_rows(kept.sum(axis=1)):
        inside = (y[at] >= window.start) & (y[at] < window.stop)
        if not inside.any():
            continue
        ticks = (window.stop - window.start) * width
        orders = np.arange(ticks // 2 + 1)
        passed = orders[dense_filter(orders / (ticks * 1e-5), corners) > 1e-12]
        slow, fast = passed[passed < ticks // 4], passed[passed >= ticks // 4]
        waves, order = dense_basis(ticks, np.r_[slow[:32], fast[-8:]])
        away = ticks / 2 - order
        drift, alternation = order < ticks // 4, order >= ticks // 4
        kinds = np.stack(
            [
                order == 0,
                (drift & (order > 0)) / np.maximum(order, 1),
                alternation & (away < 1),
                (alternation & (away >= 1)) / np.maximum(away, 1),
            ],
            axis=1,
        )
        t = at[inside] - window.start * width
        v = values[y[at[inside]], x[at[inside]]].astype(float)
        parts.append(DenseSequence(v, density[inside] ** -2.0, waves[t], kinds))
        chosen.append((window, waves, dense_filter(order / (ticks * 1e-5), corners)))
    total, share = np.zeros((n_slow, width)), np.zeros((n_slow, 1))
    for (window, waves, gains), fit in zip(
        chosen, dense_fits(parts, 2, pair_variance(values, kept), each=False), strict=True
    ):
        length = window.stop - window.start
        triangle = 1 - np.abs(2 * np.arange(length) + 1 - length) / (length + 1)
        total[window] += (waves @ (gains * fit)).reshape(length, width) * triangle[:, None]
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
    # None is much fuller than it must be, the last one neither: a window costs its size.
    for window in found:
        n_pixels = per_row[window].sum()
        assert n_pixels < NscleanTuning().window_pixels + 2 * per_row.max()
        assert window.stop - window.start < len(per_row) or n_pixels == per_row.sum()


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 100])
def test_median_by_sort_is_the_median(rng, n):
    values = rng.normal(size=n).astype(np.float32)
    assert windows._median_by_sort(values.copy()) == pytest.approx(np.median(values), rel=1e-6)


@pytest.mark.parametrize("unit", [1e-4, 1e4])
def test_the_unit_does_not_matter(rng, striped, unit):
    unit = np.float32(unit)
    usable = gappy(rng, striped.shape)
    expected = full_frame_noise(striped, usable).image()
    found = full_frame_noise(unit * striped, usable).image()
    np.testing.assert_allclose(found / unit, expected, atol=1e-3 * np.std(expected))
    values = np.ascontiguousarray(striped[:, :32])
    expected = subarray_noise(values, usable[:, :32])
    found = subarray_noise(unit * values, usable[:, :32])
    np.testing.assert_allclose(found / unit, expected, atol=1e-3 * np.std(expected))


@pytest.mark.parametrize(
    ("fraction", "left"), [(0.0, 1.0), (0.001, 1.0), (0.03, 0.1), (0.06, 0.1), (0.1, 0.1)]
)
def test_few_usable_pixels_of_a_subarray_do_no_harm(rng, fraction, left):
    shape = (400, 32)
    low = np.cumsum(rng.normal(0, 0.3, shape).ravel()).reshape(shape)
    low -= low.mean()
    values = (low + rng.normal(0, 3, shape)).astype(np.float32)
    usable = rng.random(shape) < fraction
    residual = low - subarray_noise(values, usable)
    assert np.mean(residual**2) <= left * np.mean(low**2)


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


def test_errors_of_differences_cancel_in_the_rate():
    """Pixels that each difference chooses at 2 sigma for itself cost the rate over 4 points."""
    scenario = replace(EXPOSURES["nirspec-bots"], shape=(32, 1024), n_integrations=4)
    truths = [simulate(scenario, seed=seed) for seed in (1, 2, 3)]

    def removed(tuning=None):
        found = []
        for truth in truths:
            cleaned = clean_exposure(
                exposure_of(truth), CleanOptions(fit_method="fft"), tuning=tuning
            )
            quality = measure_quality(truth, cleaned.data)
            found.append((quality.removed_differences, quality.removed_rate))
        return np.mean(found, axis=0)

    differences, rate = removed()
    assert differences > 57
    assert rate > 54
    assert removed(NscleanTuning(window_clip=0.0))[1] < rate - 4


GAPS = {
    "middle": [slice(700, 1200)],
    "wide": [slice(600, 1500)],
    "half": [slice(1024, 2048)],
    "two": [slice(100, 900), slice(1100, 1950)],
    "all but a block": [slice(300, 2048)],
}


@pytest.mark.parametrize("seen", [1.0, 0.1])
@pytest.mark.parametrize("gap", list(GAPS))
def test_gaps_get_no_more_noise_than_there_was(gap, seen):
    """Columns without a usable pixel: the fit of some of them once gave eight times the noise."""
    scenario = replace(EXPOSURES["nirspec-ifu"], shape=(2048, 200), n_groups=2, traces=0, border=0)
    truth = simulate(scenario, seed=3)
    low = scenario.readout.to_detector_copy(truth.correlated[0, 1] - truth.correlated[0, 0])
    low = low - np.median(low)
    rng = np.random.default_rng(3)
    values = (low + rng.normal(0, 10, low.shape)).astype(np.float32)
    usable = rng.random(low.shape) < seen
    dark = np.zeros(low.shape[1], bool)
    for part in GAPS[gap]:
        dark[part] = True
    usable[:, dark] = False
    noise = full_frame_noise(values, usable, reference_rows=0).image()
    assert np.std(noise[:, dark]) < np.std(low[:, dark])
    assert np.abs(noise[:, dark]).max() < 4 * np.std(low)
    left = low - noise
    assert np.mean(left[:, dark] ** 2) < 0.95 * np.mean(low[:, dark] ** 2)
    assert np.mean(left[:, ~dark] ** 2) < 0.62 * np.mean(low[:, ~dark] ** 2)


@pytest.mark.parametrize("seen", [1.0, 0.3, 0.1])
@pytest.mark.parametrize("gap", [np.s_[100:200], np.s_[:, 4:], np.s_[:, 8:24], np.s_[300:]])
def test_gaps_of_windows_get_no_more_noise_than_there_was(gap, seen):
    """Mean over four seeds: the power of noise of which few pixels tell is uncertain."""
    scenario = replace(EXPOSURES["nirspec-bots"], shape=(32, 512), n_groups=2, n_integrations=1)
    found = []
    for seed in range(4):
        truth = simulate(replace(scenario, traces=0), seed=seed)
        low = scenario.readout.to_detector_copy(truth.correlated[0, 1] - truth.correlated[0, 0])
        low = low - np.median(low)
        rng = np.random.default_rng(seed)
        values = (low + rng.normal(0, 10, low.shape)).astype(np.float32)
        usable = rng.random(low.shape) < seen
        dark = np.zeros(low.shape, bool)
        dark[gap] = True
        usable[dark] = False
        noise = subarray_noise(values, usable)
        left = low - noise
        found.append([np.mean(noise[dark] ** 2), np.var(left[dark]), np.var(left[~dark])])
        found[-1] /= np.array([np.mean(low[dark] ** 2), np.var(low[dark]), np.var(low[~dark])])
        assert found[-1][0] < 1
    _, there, seen_there = np.mean(found, axis=0)
    assert there < 1.06
    assert seen_there < 1.0


@pytest.mark.parametrize(("shape", "n"), [((2048, 32), 3000), ((2048, 32), 600), ((1024, 64), 300)])
def test_memory_of_windows_does_not_grow_with_their_length(rng, shape, n):
    """512 pixels of a window may lie in all of the frame; once, that took gigabytes."""
    values = rng.normal(0, 10, shape).astype(np.float32)
    usable = np.zeros(shape, bool)
    usable.flat[rng.choice(usable.size, n, replace=False)] = True
    make_waves.cache_clear()
    tracemalloc.start()
    try:
        noise = subarray_noise(values, usable)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.isfinite(noise).all()
    assert peak < 100 * values.nbytes


def test_few_pixels_of_a_frame_of_windows_remove_noise(rng):
    """What 3000 pixels of SUB2048 can tell is removed: the slowest noise."""
    t = np.arange(2048 * 32).reshape(2048, 32)
    low = 6 * np.sin(2 * np.pi * 3 * t / t.size) + 4 * np.cos(2 * np.pi * 7 * t / t.size)
    values = (low + rng.normal(0, 10, low.shape)).astype(np.float32)
    for n, least in ((600, 0.6), (3000, 0.4)):
        usable = np.zeros(low.shape, bool)
        usable.flat[rng.choice(usable.size, n, replace=False)] = True
        left = low - subarray_noise(values, usable)
        assert np.mean(left**2) < (1 - least) * np.mean(low**2)


@pytest.mark.parametrize("value", [0.0, 65535.0])
@pytest.mark.parametrize("n_columns", [128, 2048])
@pytest.mark.parametrize("share", [0.01, 0.5, 1.0])
def test_values_that_are_all_equal_hold_no_noise(rng, value, n_columns, share):
    values = np.full((32, n_columns), value, np.float32)
    noise = windows.subarray_noise(values, rng.random(values.shape) < share)
    assert np.ptp(noise) <= 1e-6 * value
