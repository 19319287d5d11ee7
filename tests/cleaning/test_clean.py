import logging
from dataclasses import replace

import numpy as np
import pytest

from conftest import exposure_of, plain_exposure
from deflicker import CannotClean, CleanOptions, Exposure, NothingToClean, Readout, clean_exposure
from deflicker.detector.dq import DO_NOT_USE, JUMP_DET, REFERENCE_PIXEL, SATURATED
from deflicker.ramps.masks import majority_mask
from deflicker.simulation.exposures import EXPOSURES, simulate
from deflicker.simulation.quality import measure_quality


def striped_ramp(rng, n_groups=6, shape=(40, 400), n_integrations=1):
    """Ramps of 10 DN per group with a known stripe in every row of every read."""
    stripes = rng.normal(0, 1, (n_integrations, n_groups, shape[0], 1))
    stripes -= stripes.mean(axis=2, keepdims=True)
    ramp = 1000 + 10.0 * np.arange(n_groups).reshape(1, -1, 1, 1) + stripes
    data = ramp + rng.normal(0, 1.5, (n_integrations, n_groups, *shape))
    return data.astype(np.float32), stripes


@pytest.mark.parametrize("n_threads", [1, 2, 3, 8])
@pytest.mark.parametrize("n_integrations", [1, 3])
def test_known_stripes_are_removed(rng, n_threads, n_integrations):
    """All reads are brought to the stripes of the first, and the sky stays."""
    data, stripes = striped_ramp(rng, n_integrations=n_integrations)
    before = data.copy()
    result = clean_exposure(plain_exposure(data), CleanOptions(n_threads=n_threads))
    assert np.array_equal(data, before)
    assert np.array_equal(result.data[:, 0], data[:, 0])
    removed = (data - result.data)[..., 0]
    error = removed - (stripes - stripes[:, :1])[..., 0]
    # The median of a difference of 400 pixels has an error of 1.2533 sigma sqrt(2 / n).
    assert np.std(error[:, 1]) < 1.4 * 1.2533 * 1.5 * np.sqrt(2 / 400)
    assert np.std(error[:, 1:]) < 0.3
    assert np.abs(error.mean(axis=2)).max() < 0.15
    assert np.std(removed[:, 1:]) > 1.2


def test_result_does_not_depend_on_threads_or_place(small):
    one = clean_exposure(exposure_of(small), CleanOptions(n_threads=1))
    exposure = exposure_of(small)
    three = clean_exposure(exposure, CleanOptions(n_threads=3), out=exposure.data)
    assert three.data is exposure.data
    assert np.nanstd(small.data - one.data) > 0.5
    assert np.array_equal(one.data, three.data, equal_nan=True)
    assert one.n_used == three.n_used


def test_big_endian_data_as_files_hold_them(small):
    native = clean_exposure(exposure_of(small))
    swapped = clean_exposure(exposure_of(small, data=small.data.astype(">f4")))
    assert swapped.data.dtype == np.dtype(">f4")
    assert np.nanstd(small.data - native.data) > 0.5
    assert np.array_equal(native.data, swapped.data, equal_nan=True)


@pytest.mark.parametrize("options", [{}, {"fit_by_channel": True}, {"fit_histogram": True}])
def test_noise_of_simulated_exposures(small, options):
    result = clean_exposure(exposure_of(small), CleanOptions(**options))
    quality = measure_quality(small, result.data)
    assert quality.removed_differences > 25
    assert quality.removed_rate > 20
    assert quality.new_nan == 0


@pytest.mark.parametrize(("fast", "slow"), [(1, 2), (-1, -2), (2, 1), (-2, -1)])
def test_any_axes(rng, fast, slow):
    """Stripes run along the fast axis, wherever that points."""
    data, _ = striped_ramp(rng)
    science = np.ascontiguousarray(Readout(fast_axis=fast, slow_axis=slow).to_science(data))
    exposure = plain_exposure(science, readout=Readout(fast_axis=fast, slow_axis=slow))
    cleaned = exposure.readout.to_detector(clean_exposure(exposure).data)
    assert np.std(data - cleaned) > 0.5
    np.testing.assert_allclose(cleaned, clean_exposure(plain_exposure(data)).data, atol=1e-3)


@pytest.mark.parametrize("row", [0, 1, 17, 38, 39])
def test_a_stripe_is_removed_from_its_own_row(rng, row):
    """Defect 1: kernels off by one left the stripe and dug one beside it."""
    data = rng.normal(100, 3, (1, 2, 40, 400)).astype(np.float32)
    data[0, 1, row] += 4
    removed = (data - clean_exposure(plain_exposure(data)).data)[0, 1, :, 0]
    expected = np.zeros(40)
    expected[row] = 4
    assert np.abs(removed - expected).max() < 4 * 1.2533 * 3 * np.sqrt(2 / 400)
    assert np.argmax(removed) == row


@pytest.mark.parametrize("how", ["nan", "flagged"])
def test_a_group_without_usable_pixel_leaves_no_step(rng, caplog, how):
    """Defect 2: the slope before and after a lost group agrees."""
    data, _ = striped_ramp(rng, n_groups=9)
    exposure = plain_exposure(data)
    if how == "nan":
        data[0, 4] = np.nan
    else:
        exposure.group_dq[0, 4] = DO_NOT_USE
    with caplog.at_level(logging.WARNING):
        result = clean_exposure(exposure)
    assert result.n_used[3] == result.n_used[4] == 0
    assert all(result.n_used[j] for j in (0, 1, 2, 5, 6, 7))
    assert caplog.text.count("2 of 8 differences have no usable pixel") == 1
    assert result.lost == [(0, 4), (0, 5)]
    # Before and after the gap every row rises by 10 DN per group; over it nothing is removed.
    rises = np.diff(np.median(result.data[0], axis=2), axis=0)
    np.testing.assert_allclose(rises[[0, 1, 2, 5, 6, 7]], 10, atol=0.6)
    removed = data[0] - result.data[0]
    np.testing.assert_allclose(removed[5], removed[3], atol=1e-3)


def test_a_nan_stays_in_its_group(rng):
    """Defect 3."""
    data, _ = striped_ramp(rng)
    data[0, 2, 5, 7] = np.nan
    cleaned = clean_exposure(plain_exposure(data)).data
    assert np.argwhere(~np.isfinite(cleaned)).tolist() == [[0, 2, 5, 7]]


@pytest.mark.parametrize("flag", [DO_NOT_USE, SATURATED, JUMP_DET])
@pytest.mark.parametrize("group", [2, 3])
def test_flagged_groups_are_not_used(rng, flag, group):
    """Defect 4: flags of both groups count, saturation too, a jump in the later one."""
    data, _ = striped_ramp(rng)
    wild = data.copy()
    chosen = rng.random(data.shape[-2:]) < 0.6
    wild[0, group, chosen] += 6  # within reach of the clips: only the flag can tell
    exposure = plain_exposure(wild)
    exposure.group_dq[0, group, chosen] = flag
    calm = plain_exposure(data)
    calm.group_dq[0, group, chosen] = flag
    mask = np.ones(data.shape[-2:], bool)
    removed = wild - clean_exposure(exposure, user_mask=mask).data
    expected = data - clean_exposure(calm, user_mask=mask).data
    # The difference that ends in this group is protected by every flag, the one that
    # starts there by all but JUMP_DET, whose later groups are good again.
    last = group + 1 if flag == JUMP_DET else data.shape[1]
    assert np.std(expected[0, :last]) > 0.5
    np.testing.assert_allclose(removed[0, :last], expected[0, :last], atol=1e-3)


@pytest.mark.parametrize("flag", [DO_NOT_USE, REFERENCE_PIXEL, DO_NOT_USE | REFERENCE_PIXEL])
def test_flagged_pixels_are_not_used(rng, flag):
    data, _ = striped_ramp(rng)
    chosen = rng.random(data.shape[-2:]) < 0.6
    pixel_dq = np.where(chosen, np.uint32(flag), np.uint32(0))
    wild = data + np.where(chosen, 6.0 * np.arange(6).reshape(1, -1, 1, 1), 0).astype(np.float32)
    removed = wild - clean_exposure(plain_exposure(wild, pixel_dq=pixel_dq)).data
    expected = data - clean_exposure(plain_exposure(data, pixel_dq=pixel_dq)).data
    assert np.std(expected) > 0.5
    np.testing.assert_allclose(removed, expected, atol=1e-3)


def test_stripe_subarrays_are_cleaned_by_output(rng):
    """Defect 5: four outputs and any width, not SUBARRAY=FULL and 512."""
    shape, n_outputs = (64, 1024), 4
    levels = rng.normal(0, 1, (2, shape[0], n_outputs))
    data = np.repeat(levels, 256, axis=2)[np.newaxis] + rng.normal(100, 1.5, (1, 2, *shape))
    exposure = plain_exposure(
        data.astype(np.float32), readout=Readout(fast_axis=1, slow_axis=2, n_outputs=n_outputs)
    )
    truth = levels[1] - levels[0]
    for by_channel in (False, True):
        options = CleanOptions(fit_by_channel=by_channel)
        removed = data - clean_exposure(exposure, options).data
        left = truth - removed[0, 1, :, ::256]
        assert (np.std(left) < 0.25) == by_channel
        assert (np.std(left) > 1.0) == (not by_channel)


def test_channels_of_one_output_are_reported_once(rng, caplog):
    data, _ = striped_ramp(rng, n_integrations=2)
    with caplog.at_level(logging.WARNING):
        by_channel = clean_exposure(plain_exposure(data), CleanOptions(fit_by_channel=True))
    assert caplog.text.count("fit_by_channel") == 1
    assert np.array_equal(by_channel.data, clean_exposure(plain_exposure(data)).data)


def test_boxes_without_model_are_reported(rng, caplog):
    data, _ = striped_ramp(rng)
    with caplog.at_level(logging.WARNING):
        clean_exposure(plain_exposure(data), CleanOptions(background_box_size=(8, 8)))
    assert "background_box_size is ignored" in caplog.text


@pytest.mark.parametrize("n_integrations", [1, 3])
def test_rates_are_cleaned_themselves(rng, n_integrations):
    stripes = rng.normal(0, 1, (n_integrations, 1, 40, 1))
    data = 10 + stripes + rng.normal(0, 1.5, (n_integrations, 1, 40, 400))
    exposure = plain_exposure(data.astype(np.float32), ramp=False)
    removed = data - clean_exposure(exposure).data
    left = stripes - removed
    assert np.std(left - left.mean(axis=2, keepdims=True)) < 1.4 * 1.2533 * 1.5 / np.sqrt(400)


def test_masks_for_each_integration(rng):
    data, _ = striped_ramp(rng, n_integrations=2)
    data[1, :, 5:15, 5:15] += (100 * np.arange(6)).reshape(6, 1, 1).astype(np.float32)
    one = clean_exposure(plain_exposure(data)).mask
    each = clean_exposure(plain_exposure(data), CleanOptions(single_mask=False)).mask
    assert one.shape == (40, 400)
    assert not one[5:15, 5:15].any()
    assert each.shape == (2, 40, 400)
    assert each[0, 5:15, 5:15].mean() > 0.9
    assert not each[1, 5:15, 5:15].any()


def test_user_mask_is_used(rng):
    """Stripes are what the user's half of the image shows."""
    data, _ = striped_ramp(rng)
    data[0, 1:, :, 200:] += 3.0 * np.sin(np.arange(40))[:, np.newaxis].astype(np.float32)
    mask = np.zeros((40, 400), bool)
    mask[:, :200] = True
    whole = clean_exposure(plain_exposure(data), user_mask=mask)
    half = clean_exposure(
        plain_exposure(np.ascontiguousarray(data[..., :200])), user_mask=mask[:, :200]
    )
    np.testing.assert_allclose(whole.data[..., :200], half.data, atol=1e-3)
    assert np.std(data - whole.data) > 0.5
    assert whole.mask is mask
    cube = clean_exposure(plain_exposure(data), user_mask=mask[np.newaxis])
    assert np.array_equal(cube.data, whole.data)


def test_products(rng):
    data, _ = striped_ramp(rng, n_integrations=2)
    options = CleanOptions(save_noise=True, save_background=True)
    result = clean_exposure(plain_exposure(data), options)
    np.testing.assert_allclose(result.noise, result.data - data, atol=1e-3)
    assert not result.background[:, 0].any()
    # 40 rows of known stripes: their median is known to 1.2533 x 1.4 / sqrt(40) at worst.
    np.testing.assert_allclose(result.background[:, 1:], 10, atol=0.3)
    assert result.noise_rms > 1
    removed = np.diff(result.noise, axis=1).astype(float)
    assert result.noise_rms == pytest.approx(np.sqrt(np.mean(removed**2)), rel=1e-3)
    plain = clean_exposure(plain_exposure(data))
    assert plain.noise is None
    assert plain.background is None


def test_flat_structure_does_not_look_like_noise(rng):
    """Sky of 1000 DN under a flat with rows of 1 %: divided out, it is not removed."""
    flat = (1 + 0.01 * rng.standard_normal((40, 1)) * np.ones((1, 400))).astype(np.float32)
    data = 1000 * flat * np.arange(4).reshape(1, -1, 1, 1) + rng.normal(0, 0.1, (1, 4, 40, 400))
    exposure = plain_exposure(data.astype(np.float32))
    with_flat = clean_exposure(exposure, flat=flat, options=CleanOptions(save_background=True))
    without = clean_exposure(exposure, CleanOptions(guard_light=False))
    assert np.std(with_flat.data - data) < 1
    assert np.std(without.data - data) > 10
    with pytest.raises(NothingToClean, match="noisier"):
        clean_exposure(exposure)
    np.testing.assert_allclose(with_flat.background[0, 1], 1000 * flat, rtol=1e-3)


def test_science_regions_are_masked(rng):
    data, _ = striped_ramp(rng)
    science = np.zeros((40, 400), bool)
    science[:, ::2] = True
    assert not clean_exposure(plain_exposure(data), science=science).mask[science].any()


@pytest.mark.parametrize(
    ("shape", "reason"),
    [((1, 1, 8, 8), "at least two groups"), ((0, 5, 8, 8), "no data"), ((1, 0, 8, 8), "no data")],
)
def test_too_short(shape, reason):
    with pytest.raises(NothingToClean, match=reason):
        clean_exposure(plain_exposure(np.ones(shape, np.float32)))


@pytest.mark.parametrize("how", ["pixel", "group", "nan"])
def test_nothing_to_measure_on(rng, how):
    data, _ = striped_ramp(rng)
    exposure = plain_exposure(data)
    if how == "pixel":
        exposure.pixel_dq[:] = DO_NOT_USE
    elif how == "group":
        exposure.group_dq[:] = DO_NOT_USE
    else:
        data[:] = np.nan
    before = data.copy()
    with pytest.raises(NothingToClean, match="no pixel can be used"):
        clean_exposure(exposure, out=data)
    assert np.array_equal(data, before, equal_nan=True)
    if how != "pixel":  # a mask of the user's own does not help
        mask = np.ones(data.shape[-2:], bool)
        with pytest.raises(NothingToClean, match="no difference has a usable pixel"):
            clean_exposure(exposure, user_mask=mask, out=data)
        assert np.array_equal(data, before, equal_nan=True)


@pytest.mark.parametrize(
    ("options", "mask", "reason"),
    [
        (
            {"background_method": "model", "background_box_size": (41, 8)},
            None,
            "background_box_size",
        ),
        ({}, (40, 399), "user_mask has shape"),
        ({}, (3, 40, 400), "user_mask has shape"),
        ({}, (400,), "user_mask has shape"),
    ],
)
def test_what_does_not_fit(rng, options, mask, reason):
    data, _ = striped_ramp(rng)
    before = data.copy()
    user_mask = None if mask is None else np.ones(mask, bool)
    with pytest.raises(CannotClean, match=reason):
        clean_exposure(plain_exposure(data), CleanOptions(**options), user_mask=user_mask, out=data)
    assert np.array_equal(data, before)


def test_user_mask_without_usable_pixel(rng):
    data, _ = striped_ramp(rng)
    with pytest.raises(CannotClean, match="user_mask leaves no pixel"):
        clean_exposure(plain_exposure(data), user_mask=np.zeros((40, 400), bool))


def test_failed_models_are_reported_once(rng, caplog):
    data, _ = striped_ramp(rng, n_integrations=2)
    mask = np.zeros((40, 400), bool)
    mask[::20, ::20] = True
    with caplog.at_level(logging.WARNING):
        result = clean_exposure(
            plain_exposure(data), CleanOptions(background_method="model"), user_mask=mask
        )
    assert result.n_model_failed == 10
    assert caplog.text.count("background_method='model'") == 1


def test_without_outlier_rejection_the_strongest_stripe_counts(rng):
    data = rng.normal(100, 1, (1, 2, 40, 400)).astype(np.float32)
    data[0, 1, 20] += 50
    removed = data - clean_exposure(plain_exposure(data), CleanOptions(n_sigma=0)).data
    assert removed[0, 1, 20, 0] == pytest.approx(50, abs=0.4)
    kept = data - clean_exposure(plain_exposure(data), CleanOptions(n_sigma=2)).data
    assert kept[0, 1, 20, 0] == 0


@pytest.mark.parametrize("n_sigma", [0, 2.0])
def test_rows_beside_masked_rows_without_background(rng, n_sigma):
    """Rows without usable pixel are not rows of level 0: their neighbours are cleaned too."""
    data, _ = striped_ramp(rng, shape=(128, 400))
    data += (100 * np.arange(6)).reshape(1, -1, 1, 1).astype(np.float32)
    pixel_dq = np.zeros((128, 400), np.uint32)
    pixel_dq[:4] = pixel_dq[-4:] = DO_NOT_USE
    exposure = plain_exposure(data, pixel_dq=pixel_dq)
    removed = (
        data - clean_exposure(exposure, CleanOptions(background_method=None, n_sigma=n_sigma)).data
    )
    assert np.all(removed[0, -1, 4:-4] > 400)
    assert not removed[0, :, :4].any()


@pytest.mark.parametrize(("height", "light"), [(3, 2.0), (3, 4.0), (1, 6.0)])
def test_a_spectrum_along_the_rows_is_no_stripe(rng, height, light):
    """Limits that follow stripes must not let light back into the mask."""
    shape = (200, 800)
    data, _ = striped_ramp(rng, n_groups=8, shape=shape)
    groups = np.arange(8).reshape(-1, 1, 1)
    data[0, :, 100 : 100 + height] += (light * groups).astype(np.float32)
    result = clean_exposure(plain_exposure(data))
    sky = np.delete(result.mask, slice(90, 110), axis=0).mean()
    assert result.mask[100 : 100 + height].mean() < 0.6 * sky
    assert sky > 0.9


def test_flat_comes_back_with_the_noise(rng):
    """Stripes of a flat-fielded image are subtracted times the flat."""
    flat = np.ones((40, 400), np.float32)
    flat[:, 200:] = 0.5
    noise = rng.normal(0, 1, (40, 1))
    data = np.zeros((1, 2, 40, 400), np.float32)
    data[0, 1] = flat * (50 + noise + rng.normal(0, 0.5, (40, 400)))
    result = clean_exposure(plain_exposure(data), flat=flat)
    removed = data[0, 1] - result.data[0, 1]
    np.testing.assert_allclose(removed[:, 200:], 0.5 * removed[:, :200], atol=1e-4)
    assert np.std(removed[:, 0] - (noise[:, 0] - np.median(noise))) < 0.15


def test_mask_is_made_of_the_flat_fielded_rate(rng):
    """What looks bright by its pixels' sensitivity is background all the same."""
    flat = np.ones((40, 400), np.float32)
    flat[:, :100] = 1.5
    data = 100 * flat * np.arange(4).reshape(1, -1, 1, 1) + rng.normal(0, 1, (1, 4, 40, 400))
    exposure = plain_exposure(data.astype(np.float32))
    assert clean_exposure(exposure, flat=flat).mask[:, :100].mean() > 0.9
    assert not clean_exposure(exposure).mask[:, :100].any()


def test_scene_mask_knows_pixel_dq(rng):
    """Bad pixels are not in the mask and do not move its limits."""
    data, _ = striped_ramp(rng)
    bad = rng.random((40, 400)) < 0.3
    pixel_dq = np.where(bad, np.uint32(DO_NOT_USE), np.uint32(0))
    wild = data.copy()
    wild[0, :, bad] += 5 * np.arange(6, dtype=np.float32)
    mask = clean_exposure(plain_exposure(wild, pixel_dq=pixel_dq)).mask
    assert not mask[bad].any()
    assert np.array_equal(mask, clean_exposure(plain_exposure(data, pixel_dq=pixel_dq)).mask)


def test_each_integration_of_rates_has_its_own_dq(rng):
    data = rng.normal(10, 1, (2, 1, 40, 400)).astype(np.float32)
    dq = np.zeros((2, 40, 400), np.uint32)
    dq[1, :, :200] = DO_NOT_USE
    exposure = plain_exposure(data, ramp=False, pixel_dq=dq)
    mask = clean_exposure(exposure, CleanOptions(single_mask=False)).mask
    assert mask[0, :, :200].mean() > 0.9
    assert not mask[1, :, :200].any()
    assert clean_exposure(exposure, user_mask=np.ones((40, 400), bool)).n_used[1] <= 8000


def test_boxes_larger_than_the_image_matter_to_the_model_alone(rng, caplog):
    data, _ = striped_ramp(rng)
    with caplog.at_level(logging.WARNING):
        clean_exposure(plain_exposure(data), CleanOptions(background_box_size=(300, 300)))
    assert "background_box_size is ignored" in caplog.text


@pytest.mark.parametrize(
    ("name", "shape"),
    [("data", (6, 40, 400)), ("pixel_dq", (40, 399)), ("group_dq", (6, 40, 400))],
)
def test_arrays_that_do_not_fit(rng, name, shape):
    fields = {
        "data": np.zeros((1, 6, 40, 400), np.float32),
        "pixel_dq": np.zeros((40, 400), np.uint32),
        "group_dq": np.zeros((1, 6, 40, 400), np.uint8),
    }
    fields[name] = fields[name].reshape(-1)[: np.prod(shape)].reshape(shape)
    with pytest.raises(ValueError, match=f"^{name} "):
        Exposure(readout=Readout(fast_axis=1, slow_axis=2), **fields)


@pytest.mark.parametrize("times", [np.arange(5.0), np.zeros(6), np.full(6, np.nan)])
def test_times_that_do_not_fit(times):
    with pytest.raises(ValueError, match="group_times"):
        plain_exposure(np.zeros((1, 6, 4, 4), np.float32), group_times=times)


def test_groups_that_may_be_used_one_by_one():
    """A jump spoils its group and all later ones; other flags their own group."""
    dq = np.zeros((1, 4, 1, 4), np.uint8)
    dq[0, 1, 0, 1] = JUMP_DET
    dq[0, 2, 0, 2] = SATURATED
    dq[0, 3, 0, 3] = DO_NOT_USE
    exposure = plain_exposure(np.zeros(dq.shape, np.float32), group_dq=dq, whole_groups=True)
    found = [exposure.good_differences(0, j)[0] for j in range(exposure.n_differences)]
    expected = [[1, 1, 1, 1], [1, 0, 1, 1], [1, 0, 0, 1], [1, 0, 1, 0]]
    np.testing.assert_array_equal(found, np.array(expected, bool))
    single = replace(exposure, data=exposure.data[:, :1], group_dq=dq[:, :1])
    np.testing.assert_array_equal(single.good_differences(0, 0), True)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"background_method": "model", "fit_by_channel": True, "single_mask": False},
        {"fit_method": "fft", "n_sigma": 3.0},
    ],
    ids=str,
)
def test_threads_do_not_change_a_bit(options):
    scenario = replace(EXPOSURES["niriss"], shape=(64, 128), n_integrations=3, n_stars=30)
    exposure = exposure_of(simulate(scenario, seed=4))
    results = [
        clean_exposure(
            exposure,
            CleanOptions(save_background=True, save_noise=True, n_threads=number, **options),
        )
        for number in (1, 2, 5)
    ]
    assert np.std(results[0].noise) > 0.5
    for name in ("data", "mask", "background", "noise"):
        one, *others = (getattr(result, name).tobytes() for result in results)
        assert all(other == one for other in others), name
    assert results[0].n_used == results[1].n_used == results[2].n_used


def test_pixels_of_most_of_the_integrations_that_have_any():
    mask = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 0, 1], [1, 0, 1, 0], [0, 0, 0, 0]], bool)
    found = majority_mask(mask[:, np.newaxis])
    np.testing.assert_array_equal(found, [[True, True, False, False]])
    assert majority_mask(mask) is mask


@pytest.mark.parametrize("method", ["median", "fft"])
def test_negative_light_of_rates(method):
    """A nod was subtracted: cleaned about as well as with the positive trace alone.

    The lower half of the distribution told the noise, and with negative light in it the fit
    took wings of traces for noise and the level moved by up to 4 DN.
    """
    shape = (32, 512)
    scenario = replace(
        EXPOSURES["nirspec-bots"], shape=shape, n_groups=2, n_integrations=1, traces=0, sky=0.0
    )
    y, x = np.ogrid[: shape[0], : shape[1]]
    bright = 300 * (0.3 + 0.7 * np.cos(np.pi * (x / shape[1] - 0.5)) ** 2)
    positive, negative = (bright * np.exp(-(((y - at) / 3) ** 4)) for at in (9.6, 22.4))
    found = {0.0: [], -1.0: []}
    for seed in (1, 2):
        truth = simulate(scenario, seed=seed)
        correlated = (truth.correlated[0, 1] - truth.correlated[0, 0]).astype(np.float64)
        for second, figures in found.items():
            scene = positive + second * negative
            rng = np.random.default_rng(seed)
            white = rng.normal(0, np.sqrt(98 + np.abs(scene)))
            data = (scene + white + correlated).astype(np.float32)[np.newaxis, np.newaxis]
            exposure = exposure_of(truth, data=data, group_dq=None, has_stars=False)
            options = CleanOptions(fit_method=method)
            left = correlated - (data - clean_exposure(exposure, options).data)[0, 0]
            good = (truth.pixel_dq & DO_NOT_USE) == 0
            removed = 1 - np.var(left[good]) / np.var(correlated[good])
            figures.append((removed, left[good].mean() - correlated[good].mean()))
    alone, both = np.mean(found[0.0], axis=0), np.mean(found[-1.0], axis=0)
    assert both[0] > alone[0] - 0.08
    assert abs(both[1]) < 1.0


@pytest.mark.parametrize("method", ["median", "fft", "wiener"])
@pytest.mark.parametrize(
    ("n_sigma", "warns"), [(0.01, True), (0.1, True), (2.0, False), (1e6, True)]
)
def test_levels_that_fit_almost_nothing_are_named(rng, caplog, method, n_sigma, warns):
    data, _ = striped_ramp(rng)
    with caplog.at_level(logging.WARNING):
        result = clean_exposure(
            plain_exposure(data), CleanOptions(fit_method=method, n_sigma=n_sigma)
        )
    named = [r.getMessage() for r in caplog.records if f"n_sigma={n_sigma:g}" in r.getMessage()]
    assert len(named) == warns
    if warns:
        used = float(named[0].split(" % of the pixels")[0].split()[-1])
        # The Wiener filter uses all good pixels of differences, and for the sky those of the mask.
        told = result.mask.mean() if method == "wiener" else result.used_fraction
        assert used == pytest.approx(100 * told, rel=0.06)


def test_a_mask_that_leaves_few_pixels_is_named(rng, caplog):
    data, _ = striped_ramp(rng)
    mask = np.zeros((40, 400), bool)
    mask[:, 200:204] = True
    with caplog.at_level(logging.WARNING):
        clean_exposure(plain_exposure(data), user_mask=mask)
    assert "% of the pixels only" in caplog.text


@pytest.mark.parametrize("n_sigma", [0.01, 0.1, 1e6])
@pytest.mark.parametrize("options", [{}, {"fit_by_channel": True}, {"fit_method": "fft"}])
def test_levels_that_fit_almost_nothing_do_no_harm(options, n_sigma):
    scenario = replace(EXPOSURES["nircam"], shape=(128, 256), n_stars=60)
    if "fit_method" in options:
        scenario = replace(EXPOSURES["nirspec-bots"], shape=(32, 512), n_integrations=2)
    truth = simulate(scenario, seed=2)
    cleaned = clean_exposure(exposure_of(truth), CleanOptions(n_sigma=n_sigma, **options))
    quality = measure_quality(truth, cleaned.data)
    assert quality.removed_differences > -0.5
    assert quality.removed_rate > -0.5


@pytest.mark.parametrize("by_channel", [False, True])
@pytest.mark.parametrize(("n", "least"), [(1, -0.5), (2, -0.5), (4, 0.0), (8, 5.0), (64, 25.0)])
def test_few_usable_pixels_a_row_do_no_harm(n, least, by_channel):
    """Medians of one pixel added as much noise as there was; differences and rate alike."""
    scenario = replace(EXPOSURES["nircam"], shape=(256, 512), n_stars=150)
    truth = simulate(scenario, seed=1)
    rng = np.random.default_rng(1)
    mask = np.zeros(scenario.shape, bool)
    for row in mask:
        for part in np.split(row, 4 if by_channel else 1):
            part[rng.choice(len(part), n, replace=False)] = True
    options = CleanOptions(fit_by_channel=by_channel)
    cleaned = clean_exposure(exposure_of(truth), options, user_mask=mask)
    quality = measure_quality(truth, cleaned.data)
    assert quality.removed_differences > least
    assert quality.removed_rate > min(least, 0) - 0.5
