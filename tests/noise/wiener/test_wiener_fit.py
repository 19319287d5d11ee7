"""Wiener cleaning of exposures whose noise is known."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from conftest import exposure_of
from deflicker import CleanOptions, Exposure, NothingToClean, clean_exposure
from deflicker.detector.dq import DO_NOT_USE, JUMP_DET, SATURATED
from deflicker.noise.wiener.mean_image import Differences, MeanImage
from deflicker.simulation.exposures import DETECTORS, EXPOSURES, Scenario, simulate
from deflicker.simulation.quality import measure_light, measure_quality

WIENER = CleanOptions(fit_method="wiener")
STRIPE = replace(
    EXPOSURES["nircam"], shape=(256, 1024), subarray="SUBGRISM256", n_stars=300, group_time=1.3
)


@pytest.fixture(scope="module")
def stripe():
    return simulate(STRIPE, seed=3)


@pytest.fixture(scope="module")
def with_products(stripe):
    """The stripe cleaned; what is saved beside it does not change it."""
    return cleaned(stripe, replace(WIENER, save_noise=True, save_background=True))


def cleaned(truth, options=WIENER, **changes):
    return clean_exposure(exposure_of(truth, **changes), options)


def quality(truth, options=WIENER):
    return measure_quality(truth, cleaned(truth, options).data)


def quality_of_last_difference(truth, data, result):
    """Share of the correlated noise that is gone from it, whatever the other groups hold."""
    noise, before, after = (a[0, -1] - a[0, -2] for a in (truth.correlated, data, result.data))
    return 1 - np.nanvar(noise - (before - after)) / np.var(noise)


@pytest.mark.parametrize(
    "scenario",
    [
        STRIPE,
        replace(STRIPE, instrument="NIRISS", fast_axis=-2, slow_axis=-1, shape=(1024, 256)),
        replace(STRIPE, n_groups=2),
        replace(STRIPE, n_groups=3),
        replace(STRIPE, n_groups=2, n_integrations=3),
        replace(STRIPE, n_integrations=2, n_groups=4),
        replace(EXPOSURES["nirspec-bots"], n_integrations=3),
        replace(EXPOSURES["nirspec-allslits"], n_integrations=1),
    ],
    ids=lambda r: f"{r.instrument}-{r.shape}-{r.n_integrations}x{r.n_groups}",
)
def test_less_noise_than_with_any_other_method(scenario):
    truth = simulate(scenario, seed=2)
    ours = quality(truth)
    for by_channel in {False, scenario.n_outputs > 1}:
        other = quality(truth, CleanOptions(fit_by_channel=by_channel))
        assert ours.removed_differences > other.removed_differences
        assert ours.removed_rate > other.removed_rate
    assert ours.new_nan == 0


def test_noise_of_a_read_is_measured(with_products):
    spectrum = with_products.spectrum
    assert spectrum.white**0.5 == pytest.approx(4.4, rel=0.05)
    assert spectrum.shared_fraction > 0.7


def test_three_lines_tell_what_was_measured(stripe, caplog):
    with caplog.at_level(logging.INFO, logger="deflicker.noise.wiener.estimate"):
        cleaned(stripe)
    lines = [r.getMessage() for r in caplog.records if r.name == "deflicker.noise.wiener.estimate"]
    assert len(lines) == 3
    assert "white" in lines[0]
    assert "kHz" in lines[1]
    assert "Removed" in lines[2]


def test_rate_images_are_cleaned_without_any_difference(stripe):
    """Level 1 alone, the spectrum measured from the image itself."""
    steps = STRIPE.n_groups - 1
    rate = (stripe.data[:, -1:] - stripe.data[:, :1]) / steps
    correlated = (stripe.correlated[0, -1] - stripe.correlated[0, 0]) / steps
    exposure = exposure_of(stripe, data=rate, group_dq=None)
    result = clean_exposure(exposure, WIENER)
    good = (stripe.pixel_dq & DO_NOT_USE) == 0
    left = correlated - (rate - result.data)[0, 0]
    assert np.nanvar(left[good]) < 0.5 * np.var(correlated[good])


def test_rates_of_integrations(stripe):
    truth = simulate(replace(STRIPE, n_integrations=4), seed=5)
    steps = STRIPE.n_groups - 1
    rates = (truth.data[:, -1:] - truth.data[:, :1]) / steps
    correlated = (truth.correlated[:, -1] - truth.correlated[:, 0]) / steps
    result = clean_exposure(exposure_of(truth, data=rates, group_dq=None), WIENER)
    good = (truth.pixel_dq & DO_NOT_USE) == 0
    left = correlated - (rates - result.data)[:, 0]
    assert np.nanvar(left[:, good]) < 0.5 * np.var(correlated[:, good])
    assert result.spectrum.white**0.5 == pytest.approx(4.4 * 2**0.5 / steps, rel=0.1)


def test_no_pixel_gets_more_noise_masked_ones_included():
    """Rows, an output and a third of the rest cannot be used; the prior fills in."""
    truth = simulate(replace(STRIPE, n_stars=50), seed=4)
    dq = truth.group_dq.copy()
    dq[..., 100:110, :] |= np.uint8(SATURATED)
    dq[..., 256:512] |= np.uint8(DO_NOT_USE)
    holes = np.random.default_rng(1).random(truth.pixel_dq.shape) < 0.3
    dq[..., holes] |= np.uint8(DO_NOT_USE)
    result = cleaned(truth, group_dq=dq)
    removed = np.diff(truth.data - result.data, axis=1)
    noise = np.diff(truth.correlated, axis=1)
    left = noise - removed
    for part in (np.s_[..., 100:110, :], np.s_[..., 256:512], np.s_[..., holes], np.s_[...]):
        some = np.isfinite(left[part])
        assert np.var(left[part][some]) < np.var(noise[part][some])


def test_outputs_that_share_nothing():
    noise = replace(DETECTORS["NIRCAM"], common=0.0, per_output=4.0)
    truth = simulate(replace(STRIPE, noise=noise), seed=6)
    ours = quality(truth)
    best = quality(truth, CleanOptions(fit_by_channel=True))
    assert ours.removed_differences > best.removed_differences
    assert ours.removed_rate > best.removed_rate


def test_jumps_and_hits_without_a_flag_leave_no_mark():
    truth = simulate(replace(STRIPE, cosmic_rays=0.0), seed=7)
    data, dq = truth.data.copy(), truth.group_dq.copy()
    data[0, 3:, 80, 500:520] += 5000
    dq[0, 3, 80, 500:510] |= np.uint8(JUMP_DET)
    plain = cleaned(truth)
    hit = cleaned(truth, data=data, group_dq=dq)
    change = (data - hit.data) - (truth.data - plain.data)
    assert np.nanstd(truth.data - plain.data) > 0.5
    # Twenty pixels lose what they told of themselves, and not a thousandth of the hit is noise.
    assert np.nanmax(np.abs(change)) < 12
    other_rows = np.ones(256, bool)
    other_rows[76:85] = False
    # Elsewhere a few pixels change sides: outliers, and blocks that are sources.
    assert np.nanstd(change[:, :, other_rows]) < 0.1 * np.std(truth.correlated)


def test_light_does_not_become_noise():
    """A galaxy finer than the sky's splines; then the same without any correlated noise."""
    scenario = replace(STRIPE, galaxy=30.0, n_stars=0, cosmic_rays=0.0, bad_pixels=0.0)
    truth = simulate(scenario, seed=8)
    ours = measure_light(truth, cleaned(truth).data)
    assert ours.removed_rate > 60
    assert abs(ours.eaten) < max(1, 2 * ours.eaten_error)
    without = replace(truth, data=truth.data - truth.correlated, correlated=0 * truth.correlated)
    result = cleaned(without)
    rate = (without.data[0, -1] - result.data[0, -1]) / (scenario.n_groups - 1)
    assert np.std(rate) < 0.02 * np.ptp(truth.scene)


def test_wings_of_stars_are_left_to_the_sky():
    """Without them in the sky, 7 percent of the light would be noise."""
    scenario = replace(STRIPE, group_time=40.0, cosmic_rays=0.0, bad_pixels=0.0)
    ours = quality(simulate(scenario, seed=3))
    assert ours.removed_rate > 50
    assert abs(ours.flux_eaten) < 2


def test_result_does_not_depend_on_threads_or_place(stripe, with_products):
    one = with_products
    exposure = exposure_of(stripe, data=stripe.data.copy())
    three = clean_exposure(exposure, replace(WIENER, n_threads=3), out=exposure.data)
    assert np.nanstd(stripe.data - one.data) > 0.5
    np.testing.assert_array_equal(one.data, three.data)


def test_input_is_not_changed(stripe):
    before = stripe.data.copy(), stripe.group_dq.copy(), stripe.pixel_dq.copy()
    cleaned(stripe)
    for old, new in zip(before, (stripe.data, stripe.group_dq, stripe.pixel_dq), strict=True):
        np.testing.assert_array_equal(old, new)


def test_level_belongs_to_the_sky(with_products):
    assert np.std(with_products.noise) > 0.5
    assert np.abs(with_products.noise.mean(axis=(2, 3))).max() < 1e-3


def test_first_group_and_nan_stay(stripe):
    data = stripe.data.copy()
    data[0, 2, 50, 60] = np.nan
    result = cleaned(stripe, data=data)
    assert quality_of_last_difference(stripe, data, result) > 0.6
    np.testing.assert_array_equal(result.data[:, 0], data[:, 0])
    np.testing.assert_array_equal(np.isnan(result.data), np.isnan(data))


def test_noise_of_the_differences_from_the_mean_adds_up_to_that_of_the_mean(stripe, with_products):
    """What level 2 removes from the differences cancels in the rate."""
    good = np.isfinite(stripe.data).all(axis=(0, 1)) & ((stripe.group_dq & JUMP_DET) == 0).all(
        axis=(0, 1)
    )
    steps = np.diff(with_products.noise[0], axis=0)[:, good]
    mean = steps.mean(axis=0)
    level_two = (steps - mean).std()
    noisy = stripe.correlated[0, 1:] - stripe.correlated[0, :-1]
    expected = (noisy[:, good] - noisy[:, good].mean(axis=0)).std()
    assert level_two == pytest.approx(expected, rel=0.25)


def test_user_mask_is_the_mask(stripe, rng):
    mask = rng.random(STRIPE.shape) > 0.4
    result = clean_exposure(exposure_of(stripe), WIENER, user_mask=mask)
    np.testing.assert_array_equal(result.mask, mask)
    changed = exposure_of(stripe)
    changed.data[..., ~mask] = np.float32(3e4) * rng.random(changed.data[..., ~mask].shape)
    other = clean_exposure(changed, WIENER, user_mask=mask)
    removed = [exposure_of(stripe).data - result.data, changed.data - other.data]
    assert np.nanstd(removed[0]) > 0.5
    np.testing.assert_allclose(*(r[..., mask] for r in removed), atol=0.01)


def test_a_clipping_level_that_leaves_nothing():
    """All pixels are sources then, and all are used."""
    truth = simulate(replace(STRIPE, n_stars=0), seed=13)
    assert quality(truth, replace(WIENER, n_sigma=0.01)).removed_differences > 70


def test_without_clipping_nothing_is_masked():
    truth = simulate(replace(STRIPE, n_stars=0, cosmic_rays=0.0), seed=13)
    result = cleaned(truth, replace(WIENER, n_sigma=0))
    assert result.mask[(truth.pixel_dq & DO_NOT_USE) == 0].all()
    assert measure_quality(truth, result.data).removed_rate > 70


def test_pedestals_are_neither_noise_nor_outliers(stripe):
    data = stripe.data.copy()
    data[0, 3:] += 500
    result = cleaned(stripe, data=data)
    assert measure_quality(replace(stripe, data=data), result.data).removed_differences > 75


def test_what_is_not_finite_warns_nobody(stripe):
    data = stripe.data.copy()
    data[0, 1:3, 20:30, 40:80] = np.inf
    data[0, 2, 60:70, 40:80] = -np.inf
    result = cleaned(stripe, data=data)
    assert quality_of_last_difference(stripe, data, result) > 0.6
    np.testing.assert_array_equal(np.isfinite(result.data), np.isfinite(data))


def test_masks_of_integrations_may_have_nothing_in_common():
    truth = simulate(replace(STRIPE, n_integrations=2, n_stars=0), seed=12)
    left = np.zeros(STRIPE.shape, bool)
    left[:, :600] = True
    masks = np.stack([left, ~left])
    result = clean_exposure(exposure_of(truth), WIENER, user_mask=masks)
    assert measure_quality(truth, result.data).removed_differences > 60


def test_a_group_that_nobody_may_use(stripe):
    dq = stripe.group_dq.copy()
    dq[:, 2] |= np.uint8(DO_NOT_USE)
    result = cleaned(stripe, group_dq=dq)
    assert result.spectrum.white**0.5 == pytest.approx(4.4, rel=0.1)
    assert result.lost == [(0, 2), (0, 3)]
    removed = np.diff(stripe.data - result.data, axis=1)
    noise = np.diff(stripe.correlated, axis=1)
    good = np.isfinite(removed[0]).all(axis=0)
    for j in (0, 3):
        assert np.var((noise - removed)[0, j][good]) < 0.35 * np.var(noise[0, j][good])
    # Nothing but the rounding of the ramps.
    np.testing.assert_allclose(removed[0, 1:3][:, good], 0, atol=1e-3)


def test_interleaved_reference_pixels_are_time_too(stripe, with_products):
    """The wrong clock finds less, and still does not harm."""
    wrong = replace(stripe.scenario.readout, interleaved=True)
    result = cleaned(stripe, readout=wrong)
    figures = measure_quality(stripe, result.data)
    right = measure_quality(stripe, with_products.data)
    assert 30 < figures.removed_differences < right.removed_differences


def test_masked_science_regions_are_not_in_the_mask(stripe):
    science = np.zeros(STRIPE.shape, bool)
    science[100:120] = True
    result = clean_exposure(exposure_of(stripe), WIENER, science=science)
    assert not result.mask[science].any()
    assert result.mask[~science].mean() > 0.5


def test_sky_is_the_background(with_products):
    sky = STRIPE.sky * STRIPE.group_time
    assert np.median(with_products.background[0, 1:]) == pytest.approx(sky, abs=0.15)
    assert not with_products.background[0, 0].any()


def test_without_a_background_the_sky_is_not_looked_for(stripe):
    sky = np.float32(STRIPE.sky * STRIPE.group_time)
    dark = stripe.data - sky * np.arange(STRIPE.n_groups, dtype=np.float32)[:, None, None]
    result = cleaned(stripe, replace(WIENER, background_method=None), data=dark)
    assert measure_quality(replace(stripe, data=dark), result.data).removed_rate > 60


def test_flat_field_is_of_the_sky_and_not_of_the_noise(rng):
    truth = simulate(replace(STRIPE, sky=20.0, n_stars=0), seed=9)
    flat = np.repeat(rng.uniform(0.8, 1.2, (256, 64)), 16, axis=1).astype(np.float32)
    light = truth.scene * np.arange(1, STRIPE.n_groups + 1, dtype=np.float32)[:, None, None]
    data = truth.data + light * (flat - 1)
    exposure = exposure_of(truth, data=data)
    with_flat = clean_exposure(exposure, WIENER, flat=flat)
    figures = measure_quality(replace(truth, data=data), with_flat.data)
    assert figures.removed_rate > 60
    without = clean_exposure(exposure, WIENER)
    assert (
        figures.removed_rate > measure_quality(replace(truth, data=data), without.data).removed_rate
    )


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_no_noise_is_a_reason(value):
    truth = simulate(Scenario(shape=(64, 64), n_outputs=1, n_stars=0))
    exposure = exposure_of(truth, data=np.full_like(truth.data, value))
    with pytest.raises(NothingToClean):
        clean_exposure(exposure, WIENER)


def test_what_does_not_apply_is_said_once(stripe, caplog):
    options = replace(
        WIENER, fit_by_channel=True, fit_histogram=True, single_mask=False,
        background_box_size=(32, 32),
    )  # fmt: skip
    with caplog.at_level(logging.WARNING):
        cleaned(stripe, options)
    ignored = [r.getMessage() for r in caplog.records if "is ignored" in r.getMessage()]
    assert len(ignored) == 4


@pytest.mark.parametrize(
    "shape", [(8, 8), (16, 64), (64, 16), (33, 47)], ids=lambda s: f"{s[0]}x{s[1]}"
)
def test_odd_and_tiny_windows(shape):
    truth = simulate(Scenario(shape=shape, n_outputs=1, n_stars=0, border=0), seed=1)
    figures = measure_quality(truth, cleaned(truth).data)
    assert figures.new_nan == 0
    assert figures.removed_differences > 25


def test_mean_of_valid_differences(small):
    exposure = exposure_of(small)
    mean = Differences(exposure).mean(range(1))
    data = exposure.readout.to_detector(small.data[0].astype(float))
    flags = exposure.readout.to_detector(small.group_dq[0])
    bad_pixel = exposure.readout.to_detector(small.pixel_dq & DO_NOT_USE) > 0
    total, number = np.zeros(data.shape[1:]), np.zeros(data.shape[1:], int)
    for j in range(len(data) - 1):
        earlier, later = flags[j], flags[j + 1]
        good = ((earlier & (SATURATED | DO_NOT_USE)) == 0) & ~bad_pixel
        good &= (later & (SATURATED | DO_NOT_USE | JUMP_DET)) == 0
        good &= np.isfinite(data[j + 1] - data[j])
        total[good] += (data[j + 1] - data[j])[good]
        number += good
    np.testing.assert_array_equal(mean.number, number)
    expected = np.divide(total, number, out=np.zeros_like(total), where=number > 0)
    np.testing.assert_allclose(mean.values, expected, atol=0.02)


@pytest.mark.parametrize("used", [(0, 1), (0, 1, 2), (0, 3), (1, 2, 5), (4,), tuple(range(7))])
@pytest.mark.parametrize("n_integrations", [1, 3])
def test_variance_of_the_mean_and_of_the_deviations_from_it(used, n_integrations):
    one = np.diff(np.eye(8), axis=0)[list(used)]
    differences = np.kron(np.eye(n_integrations), one)
    pairs = frozenset((i, j) for i in range(n_integrations) for j in used)
    image = MeanImage(np.zeros((1, 1), np.float32), np.ones((1, 1), np.uint32), pairs)
    mean = differences.mean(axis=0)
    assert image.factor == pytest.approx(np.sum(mean**2))
    for k, (i, j) in enumerate((i, j) for i in range(n_integrations) for j in used):
        expected = np.sum((differences[k] - mean) ** 2)
        assert image.deviation_factor(i, j) == pytest.approx(expected, abs=1e-12)


def test_variance_of_rates_from_their_mean():
    pairs = frozenset((i, 0) for i in range(4))
    image = MeanImage(np.zeros((1, 1), np.float32), np.ones((1, 1), np.uint32), pairs, reads=1)
    assert image.factor == pytest.approx(1 / 4)
    assert image.deviation_factor(2, 0) == pytest.approx(3 / 4)


def test_exposure_of_one_rate_without_usable_pixel():
    rate = np.full((1, 1, 32, 32), np.nan, np.float32)
    truth = simulate(Scenario(shape=(32, 32), n_outputs=1))
    exposure = Exposure(
        data=rate, pixel_dq=truth.pixel_dq, group_dq=None, readout=truth.scenario.readout
    )
    with pytest.raises(NothingToClean, match="no pixel can be used"):
        clean_exposure(exposure, WIENER)
