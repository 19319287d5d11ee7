import numpy as np
import pytest

from deflicker.detector.dq import DO_NOT_USE, JUMP_DET, SATURATED
from deflicker.ramps import rates as module
from deflicker.ramps.rates import DraftRate, combine_rates, draft_rate

TIME = 10.7


def even(n_groups, step=1.0):
    return np.arange(n_groups) * step


def slow_slope(ramp, dq, seconds):
    """The definition, one pixel at a time."""
    valid = np.isfinite(ramp) & ((dq & DO_NOT_USE) == 0)
    full = np.flatnonzero(dq & SATURATED)
    if full.size:
        valid[full[0] :] = False
    pairs = [
        j for j in range(len(ramp) - 1) if valid[j] and valid[j + 1] and not dq[j + 1] & JUMP_DET
    ]
    if not pairs:
        return np.nan, 0
    before_full = full[0] if full.size else len(ramp)
    if np.any(dq[:before_full] & JUMP_DET):
        light = sum(ramp[j + 1] - ramp[j] for j in pairs)
        return light / sum(seconds[j + 1] - seconds[j] for j in pairs), len(pairs)
    return np.polyfit(seconds[valid], ramp[valid], 1)[0], len(pairs)


@pytest.mark.parametrize("seconds", [even(7, TIME), even(7, TIME) ** 1.3 + 5], ids=["even", "not"])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_agrees_with_the_definition(rng, monkeypatch, n_threads, seconds):
    monkeypatch.setattr(module, "BLOCK_PIXELS", 500)  # several blocks
    shape = (7, 23, 29)
    ramps = np.cumsum(rng.normal(50, 5, shape), axis=0).astype(np.float32)
    dq = np.zeros(shape, np.uint8)
    for flag, chance in ((JUMP_DET, 0.05), (DO_NOT_USE, 0.05), (SATURATED, 0.03)):
        dq[rng.random(shape) < chance] |= flag
    ramps[rng.random(shape) < 0.02] = np.nan
    found = draft_rate(ramps, dq, times=seconds, n_threads=n_threads)
    for y in range(shape[1]):
        for x in range(shape[2]):
            slope, count = slow_slope(ramps[:, y, x].astype(float), dq[:, y, x], seconds)
            assert found.n_differences[y, x] == count
            np.testing.assert_allclose(found.rate[y, x], slope, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("byte_order", ["<f4", ">f4"])
def test_unbiased_with_jumps_and_saturation(byte_order):
    rates = np.linspace(1, 500, 40).reshape(4, 10)
    groups = np.arange(1, 9).reshape(8, 1, 1) * TIME * rates + 1000
    dq = np.zeros(groups.shape, np.uint8)
    groups[5:, 1] += 700
    dq[5, 1] = JUMP_DET
    groups[4:, 2] = 9999
    dq[4:, 2] = SATURATED
    found = draft_rate(groups.astype(byte_order), dq, times=even(8, TIME))
    np.testing.assert_allclose(found.rate, rates, rtol=1e-3)
    assert found.rate.dtype == np.float32


def test_scatter_is_that_of_least_squares(rng):
    """The variance of a slope over n groups of unit noise is 12 / (n (n^2 - 1))."""
    n_groups = 8
    noise = rng.standard_normal((n_groups, 300, 300)).astype(np.float32)
    found = draft_rate(noise, np.zeros(noise.shape, np.uint8), times=even(n_groups)).rate
    expected = np.sqrt(12 / (n_groups * (n_groups**2 - 1)))
    assert np.std(found) == pytest.approx(expected, rel=0.02)


def test_whole_groups_flagged():
    """MIRI's first and last groups are flagged for every pixel."""
    ramp = np.arange(6.0).reshape(6, 1, 1) * np.ones((1, 3, 3))
    ramp[0], ramp[-1] = 500, -500
    dq = np.zeros(ramp.shape, np.uint8)
    dq[[0, -1]] = DO_NOT_USE
    found = draft_rate(ramp, dq, times=even(6, 2.0))
    np.testing.assert_allclose(found.rate, 0.5, rtol=1e-6)
    assert np.all(found.n_differences == 3)


def test_unevenly_spaced_groups_of_a_steady_light():
    seconds = np.array([0.0, 1, 2, 6, 7, 20])
    ramp = 300 + 3 * seconds.reshape(-1, 1, 1) * np.ones((6, 1, 2))
    dq = np.zeros(ramp.shape, np.uint8)
    ramp[3:, 0, 1] += 900
    dq[3, 0, 1] = JUMP_DET
    np.testing.assert_allclose(draft_rate(ramp, dq, times=seconds).rate, 3, rtol=1e-6)


def test_no_valid_difference_is_nan():
    ramp = np.ones((3, 1, 2), np.float32)
    dq = np.zeros(ramp.shape, np.uint8)
    dq[1, 0, 0] = DO_NOT_USE
    found = draft_rate(ramp, dq, times=even(len(ramp)))
    assert np.isnan(found.rate[0, 0])
    assert found.rate[0, 1] == 0


def test_inputs_stay_as_they_are(rng):
    ramp = rng.normal(size=(4, 5, 6)).astype(np.float32)
    dq = np.full(ramp.shape, JUMP_DET, np.uint8)
    before = ramp.copy(), dq.copy()
    draft_rate(ramp, dq, times=even(len(ramp)))
    assert np.array_equal(ramp, before[0])
    assert np.array_equal(dq, before[1])


def test_combined_rate_is_weighted_by_differences():
    one = DraftRate(np.array([[2, np.nan, np.nan]], np.float32), np.array([[3, 0, 0]], np.uint16))
    two = DraftRate(np.array([[6, 5, np.nan]], np.float32), np.array([[1, 2, 0]], np.uint16))
    np.testing.assert_allclose(combine_rates([one, two]), [[3, 5, np.nan]])
    with pytest.raises(ValueError, match="no integration"):
        combine_rates([])


def test_a_jump_in_a_group_that_is_not_used_is_still_a_jump():
    ramp = 10.0 * np.arange(8).reshape(8, 1, 1)
    ramp[3:] += 1000
    dq = np.zeros(ramp.shape, np.uint8)
    dq[3] = JUMP_DET | DO_NOT_USE
    assert draft_rate(ramp, dq, times=even(len(ramp))).rate[0, 0] == pytest.approx(10)
