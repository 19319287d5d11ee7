import logging
from dataclasses import replace

import numpy as np
import pytest

from conftest import exposure_of, plain_exposure
from deflicker import CannotClean, CleanOptions, NothingToClean, Readout, clean_exposure
from deflicker.cleaning.groups import clean_groups
from deflicker.cleaning.guard import check_unit, guarded, guarded_step, variance_change
from deflicker.cleaning.result import CleanResult
from deflicker.detector.dq import DO_NOT_USE, JUMP_DET
from deflicker.detector.measured import is_measured
from deflicker.noise.fit import DifferenceFit
from deflicker.noise.median import MEDIAN
from deflicker.noise.method import Plan
from deflicker.noise.noise_image import NoiseImage

SHAPE = (64, 96)
ROWS = {"median": {}, "fft": {"fit_method": "fft"}, "wiener": {"fit_method": "wiener"}}


def stripes(rng, sigma=2.0):
    return np.repeat(rng.normal(0, sigma, (SHAPE[0], 1)), SHAPE[1], axis=1).astype(np.float32)


def ramp_with(noise, rng, white=3.0):
    """Two groups whose difference is 20 DN of light, a known noise and white noise."""
    data = np.zeros((1, 2, *SHAPE), np.float32)
    data[0, 1] = 20 + noise + rng.normal(0, white, SHAPE)
    return data


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("flat", [None, 1.1])
def test_change_of_the_variance_is_that_of_the_formula(rng, share, flat):
    """n = a s changes the variance of s + white by (a^2 - 2 a) var(s), on average."""
    noise = stripes(rng)
    exposure = plain_exposure(ramp_with(noise, rng))
    fit = NoiseImage(noise * np.float32(share / (flat or 1)))
    image = None if flat is None else np.full(SHAPE, flat, np.float32)
    change, error, variance = variance_change(fit, exposure, 0, 0, flat=image)
    expected = (share**2 - 2 * share) * np.var(noise)
    # The chance product of stripes and white noise is all that the figure may be off by.
    scatter = 2 * share * np.std(noise) * 3.0 / np.sqrt(noise.size)
    assert change == pytest.approx(expected, abs=4 * scatter + 0.02 * abs(expected) + 1e-9)
    assert error >= scatter / 2
    assert variance == pytest.approx(np.var(noise) + 9, rel=0.1)


def test_error_of_the_change_is_its_scatter(rng):
    """Of noise that has nothing to do with the difference, the change varies by its error."""
    found = []
    for _ in range(200):
        exposure = plain_exposure(ramp_with(stripes(rng), rng))
        found.append(variance_change(NoiseImage(stripes(rng)), exposure, 0, 0, flat=None))
    changes, errors, _ = np.array(found).T
    assert np.mean(changes) == pytest.approx(4.0, abs=4 * np.std(changes) / np.sqrt(200))
    assert np.median(errors) == pytest.approx(np.std(changes), rel=0.25)


@pytest.mark.parametrize("with_flat", [False, True])
def test_change_and_error_are_those_of_the_definition(rng, with_flat):
    """Means over the good pixels; the error from the scatter of 50 parts of six rows."""
    shape = (300, 32)
    noise = rng.normal(0, 2, shape).astype(np.float32)
    flat = rng.uniform(0.5, 1.5, shape).astype(np.float32) if with_flat else None
    data = np.zeros((1, 2, *shape), np.float32)
    data[0, 1] = 7 + 0.3 * noise + rng.normal(0, 3, shape)
    data[0, 1, rng.random(shape) < 0.05] += 1000  # beyond 5 standard deviations
    flags = np.where(rng.random(data.shape) < 0.1, np.uint8(DO_NOT_USE), np.uint8(0))
    exposure = plain_exposure(data, group_dq=flags)
    found = variance_change(NoiseImage(noise), exposure, 0, 0, flat=flat)
    good = (flags[0] == 0).all(axis=0) & (data[0, 1] < 500)
    n = (noise if flat is None else noise * flat).astype(float)
    d, n = data[0, 1] - data[0, 1][good].mean(), n - n[good].mean()
    each = n**2 - 2 * d * n
    mean = each[good].mean()
    rows = range(0, 300, 6)
    parts = [np.sum((each[y : y + 6] - mean)[good[y : y + 6]]) for y in rows]
    error = np.sqrt(50 / 49 * np.sum(np.square(parts))) / good.sum()
    assert found == pytest.approx((mean, error, np.var(d[good])), rel=1e-4)


@pytest.mark.parametrize("n_rows", [0, 1, 2])
def test_a_single_row_has_no_scatter(rng, n_rows):
    noise = stripes(rng)
    exposure = plain_exposure(ramp_with(0 * noise, rng))
    exposure.group_dq[0, 1, n_rows:] = DO_NOT_USE
    change, error, variance = variance_change(NoiseImage(noise), exposure, 0, 0, flat=None)
    assert np.isfinite(error) == (n_rows > 1) == (change > 0)
    assert np.isfinite(variance) == (n_rows > 0)


@pytest.mark.parametrize(("scale", "dropped"), [(0.0, False), (0.1, True)])
def test_noise_that_varies_in_the_only_row_is_harm(rng, scale, dropped):
    """A column of equal values, as of saturated pixels, must not become noisy."""
    data = np.full((1, 2, *SHAPE), np.nan, np.float32)
    data[..., 7, :] = 65535
    noise = 3 + np.float32(scale) * rng.normal(size=SHAPE).astype(np.float32)
    fit = DifferenceFit(noise=NoiseImage(noise), n_used=SHAPE[1])
    assert guarded(fit, plain_exposure(data), 0, 0, flat=None).dropped == dropped


@pytest.mark.parametrize(
    ("change", "variance", "dropped"),
    [(2.9, 9, False), (3.1, 9, True), (2.1, 2, True), (1.9, 2, False)],
)
def test_harm_is_three_standard_errors_or_the_variance(rng, monkeypatch, change, variance, dropped):
    told = (change, 1.0, variance)
    monkeypatch.setattr("deflicker.cleaning.guard.variance_change", lambda *_, **__: told)
    fit = DifferenceFit(noise=NoiseImage(stripes(rng)), n_used=100, background=3.0)
    checked = guarded(fit, plain_exposure(np.zeros((1, 2, *SHAPE), np.float32)), 0, 0, flat=None)
    assert checked.dropped == dropped
    assert checked.noise.image().any() != dropped
    assert (checked.n_used, checked.background) == (100, 3.0)


@pytest.mark.parametrize(("fast", "slow"), [(1, 2), (-1, -2), (2, 1), (-2, -1)])
def test_noise_lies_as_the_axes_tell(rng, fast, slow):
    noise, readout = stripes(rng), Readout(fast_axis=fast, slow_axis=slow)
    data = ramp_with(noise, rng, white=0.1)
    exposure = plain_exposure(np.ascontiguousarray(readout.to_science(data)), readout=readout)
    change, *_ = variance_change(NoiseImage(noise), exposure, 0, 0, flat=None)
    assert change == pytest.approx(-np.var(noise), rel=0.05)


def test_large_images_are_sampled_by_rows(rng):
    """Every second row of 2 million pixels tells; the noise of that very row is taken."""
    noise = np.zeros((1024, 2048), np.float32)
    noise[::2] = rng.normal(0, 2, (512, 1))
    data = np.zeros((1, 2, *noise.shape), np.float32)
    data[0, 1] = noise
    change, *_ = variance_change(NoiseImage(noise), plain_exposure(data), 0, 0, flat=None)
    assert change == pytest.approx(-np.var(noise[::2]), rel=1e-4)


def test_light_and_flags_do_not_hide_harm(rng):
    noise = stripes(rng)
    data = ramp_with(0 * noise, rng)
    data[0, 1, :, :20] += 5000  # light of sources
    exposure = plain_exposure(data)
    data[0, 1, :, 20:30] += noise[:, :10]  # where flags say that nothing may be used
    exposure.group_dq[0, 1, :, 20:30] = JUMP_DET
    fit = DifferenceFit(noise=NoiseImage(noise), n_used=100)
    checked = guarded(fit, exposure, 0, 0, flat=None)
    assert checked.dropped
    assert not checked.noise.image().any()


def test_values_that_are_mostly_equal(rng):
    """Rounded noise is still told from none, and a half that overflowed does not hide harm."""
    noise = stripes(rng, sigma=0.4)
    data = ramp_with(noise, rng, white=0.3).round()
    found = np.mean(data[0, 1], axis=1, keepdims=True) - 20
    rounded = plain_exposure(data)
    change, error, _ = variance_change(
        NoiseImage(np.broadcast_to(found, SHAPE)), rounded, 0, 0, flat=None
    )
    assert change < -3 * error
    overflowed = ramp_with(noise, rng)
    overflowed[0, 1].reshape(-1)[rng.permutation(noise.size)[: noise.size * 6 // 10]] = 65535
    fit = DifferenceFit(noise=NoiseImage(100 * noise), n_used=100)
    assert guarded(fit, plain_exposure(overflowed), 0, 0, flat=None).dropped


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_noise_that_is_none_is_dropped(rng, value):
    noise = stripes(rng)
    exposure = plain_exposure(ramp_with(noise, rng))
    fit = DifferenceFit(noise=NoiseImage(noise.copy()), n_used=100)
    assert guarded(fit, exposure, 0, 0, flat=None) is fit
    fit.noise.coefficients[5, 5] = value
    checked = guarded(fit, exposure, 0, 0, flat=None)
    assert checked.dropped
    assert np.array_equal(checked.noise.image(), np.zeros(SHAPE))


class Harmful:
    """An integration whose second fit makes its difference noisier."""

    number = 0

    def __init__(self, right, wrong):
        self.noise = [right, wrong]

    def fit(self, j, _buffer):
        return DifferenceFit(noise=NoiseImage(self.noise[j]), n_used=1)


def test_one_harmful_fit_does_not_take_the_others_with_it(rng):
    """Its noise stays in the ramp, the next groups' noise is still taken out, and it is counted."""
    noise = stripes(rng)
    data = np.zeros((1, 3, *SHAPE), np.float32)
    data[0, 1:] = noise + rng.normal(0, 1, SHAPE).astype(np.float32)
    data[0, 2] += rng.normal(0, 1, SHAPE).astype(np.float32)
    exposure = plain_exposure(data)
    result = CleanResult(data=np.empty_like(data), mask=np.ones(SHAPE, bool))
    plan = Plan(
        mask=result.mask,
        integrations=[Harmful(noise, stripes(rng, sigma=9))],
        n_threads=1,
        n_sigma=2.0,
    )
    clean_groups(exposure, result, plan, advance=lambda: None)
    assert result.dropped == [(0, 2)]
    assert result.lost == []
    assert len(result.noise_power) == 1
    np.testing.assert_allclose(result.data[0, 1:], data[0, 1:] - noise, atol=1e-5)


@pytest.mark.parametrize("method", ROWS)
def test_values_that_no_detector_measures_are_not_used(small_nircam, method):
    """Wild values stay as they are, and change nothing of what is removed elsewhere."""
    calm, wild = small_nircam.data.copy(), small_nircam.data.copy()
    flags = small_nircam.group_dq.copy()
    rng = np.random.default_rng(3)
    for value in (1e30, 3e38, -1e30, np.inf, 2e9):
        y, x = rng.integers(10, 100, 2)
        wild[0, 2, y, x] = value
        flags[0, 2, y, x] = DO_NOT_USE
    options = CleanOptions(**ROWS[method])
    expected = calm - clean_exposure(exposure_of(small_nircam, group_dq=flags), options).data
    assert np.nanstd(expected[:, 1:]) > 1
    cleaned = clean_exposure(exposure_of(small_nircam, data=wild), options).data
    tame = is_measured(wild)
    assert np.array_equal(cleaned[~tame], wild[~tame], equal_nan=True)
    assert np.isfinite(cleaned[tame]).all()
    # Draft rates know of pixels without a group, and of flagged ones, in the same way.
    np.testing.assert_allclose(wild[tame] - cleaned[tame], expected[tame], atol=2e-3)


@pytest.mark.parametrize("factor", [1e-20, 1e-12, 1e20])
@pytest.mark.parametrize("method", ROWS)
@pytest.mark.parametrize("is_rate", [False, True])
def test_other_units_are_refused_with_the_reason(small_nircam, factor, method, is_rate):
    data = small_nircam.data * np.float32(factor)
    rate = {"data": data[:, 1:2] - data[:, :1], "group_dq": None}
    exposure = exposure_of(small_nircam, **(rate if is_rate else {"data": data}))
    before = exposure.data.copy()
    with pytest.raises(CannotClean, match="not in DN or DN/s"):
        clean_exposure(exposure, CleanOptions(**ROWS[method]), out=exposure.data)
    assert np.array_equal(exposure.data, before, equal_nan=True)


def test_values_at_the_limit_of_float32_are_refused_alike():
    data = np.zeros((1, 2, 8, 8), np.float32)
    data[0, 1] = 3e38
    with pytest.raises(CannotClean, match="differences of about 3e\\+38 are not in DN"):
        check_unit(plain_exposure(data))


def test_units_that_may_be_are_not_refused():
    for factor in (1e-5, 1.0, 1e5):
        check_unit(plain_exposure(np.full((1, 2, 8, 8), factor) * [[[[1]], [[2]]]]))
    check_unit(plain_exposure(np.zeros((1, 2, 8, 8), np.float32)))
    check_unit(plain_exposure(np.full((1, 2, 8, 8), np.nan, np.float32)))


def test_an_exposure_whose_fits_all_do_harm_is_left_alone(rng, monkeypatch, caplog):
    noise = stripes(rng)
    exposure = plain_exposure(ramp_with(noise, rng))
    before = exposure.data.copy()

    def wrong(values, usable, outputs):
        return NoiseImage(-5 * noise)

    methods = {"median": replace(MEDIAN, fit=wrong)}
    monkeypatch.setattr("deflicker.cleaning.clean.METHODS", methods)
    monkeypatch.setattr("deflicker.cleaning.backgrounds.METHODS", methods)
    with caplog.at_level(logging.INFO), pytest.raises(NothingToClean, match="noisier"):
        clean_exposure(exposure, out=exposure.data)
    assert np.array_equal(exposure.data, before, equal_nan=True)
    assert "Removed" not in caplog.text


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, -1.0])
def test_a_step_between_groups_is_dropped_where_it_harms(rng, share):
    """Groups are fitted one by one; what counts is their difference, with the noise in it."""
    first, second = stripes(rng), stripes(rng)
    data = np.stack([first, second])[np.newaxis] + rng.normal(0, 1, (1, 2, *SHAPE))
    data[0, :, :, 1] += 1e5 * rng.normal(0, 1, len(first))  # the same in both: hides all
    exposure = replace(plain_exposure(data.astype(np.float32)), whole_groups=True)
    earlier = DifferenceFit(noise=NoiseImage(first), n_used=100)
    found = DifferenceFit(
        noise=NoiseImage(first + np.float32(share) * (second - first)), n_used=100
    )
    checked = guarded_step(found, earlier, exposure, 0, 1, flat=None)
    assert checked.dropped == (share < 0)
    assert checked.noise is (earlier if share < 0 else found).noise


@pytest.mark.parametrize("value", [-1e7, np.inf])
def test_damage_is_no_light(rng, value):
    """A quarter of the values of all groups: the mean says nothing of the light of the rest."""
    data = np.cumsum(rng.normal(5, 3, (1, 3, *SHAPE)), axis=1).astype(np.float32)
    data[rng.random(data.shape) < 0.25] = value
    exposure = plain_exposure(data)
    noise = NoiseImage(stripes(rng, sigma=200.0))
    change, error, variance = variance_change(noise, exposure, 0, 0, flat=None, without_light=True)
    assert variance < 1e3
    assert change > 3 * error
