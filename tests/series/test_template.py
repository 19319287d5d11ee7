"""Templates of series, and the brightness of their integrations."""

import numpy as np
import pytest

from conftest import plain_exposure
from deflicker import Readout
from deflicker.detector.dq import DO_NOT_USE, JUMP_DET, SATURATED
from deflicker.ramps.exposure import Exposure
from deflicker.series.brightness import Brightness
from deflicker.series.template import Template, make_template, valid_groups

ROWS = Readout(fast_axis=1, slow_axis=2)
TIMES = 10.0 * np.arange(4)


def series(rng, *, n_integrations=7, n_groups=4, scales=None, noise=0.0):
    """Ramps of a star on a sky; scales are those of the star alone."""
    y, x = np.mgrid[:24, :40]
    star = (400 * np.exp(-((y - 12) ** 2 + (x - 20) ** 2) / 18)).astype(np.float32)
    scales = np.ones(n_integrations) if scales is None else np.asarray(scales)
    groups = np.arange(1, n_groups + 1)[:, np.newaxis, np.newaxis]
    data = np.stack([groups * (scale * star + 2) for scale in scales]).astype(np.float32)
    data += noise * rng.standard_normal(data.shape, dtype=np.float32)
    return data, star, star < 0.5


def test_median_is_the_plain_one_of_what_is_valid(rng):
    data, _, dark = series(rng, noise=5.0)
    dq = np.zeros(data.shape, np.uint8)
    dq[rng.random(data.shape) < 0.1] = DO_NOT_USE
    dq[2, 2:, 12, 20] = SATURATED
    dq[:, 1] |= np.where(rng.random(dq[:, 1].shape) < 0.05, np.uint8(JUMP_DET), np.uint8(0))
    data[4, 1, 3, 3] = np.nan
    dq[:, :, 5, 5] = DO_NOT_USE
    exposure = plain_exposure(data, group_dq=dq)
    template = make_template([exposure], background=lambda _: dark)
    jumped = np.logical_or.accumulate((dq & JUMP_DET) != 0, axis=1)
    bad = ((dq & (DO_NOT_USE | SATURATED)) != 0) | jumped
    missing = np.isnan(template.groups)
    assert missing[:, 5, 5].all()
    plain = np.where(bad, np.nan, data)
    plain[:, :, 5, 5] = 0  # numpy warns of medians of nothing
    expected = np.nanmedian(plain, axis=0)
    np.testing.assert_allclose(template.groups[~missing], expected[~missing], rtol=1e-6)
    assert missing.sum() == np.isnan(np.where(bad, np.nan, data)).all(axis=0).sum()


def test_values_that_no_detector_measures_are_no_part_of_the_median(rng):
    data, _, dark = series(rng, noise=5.0)
    wild, dq = data.copy(), np.zeros(data.shape, np.uint8)
    for place, value in (((0, 1, 3, 4), 3e38), ((2, 2, 3, 4), -1e30), ((5, 0, 9, 9), np.inf)):
        wild[place], dq[place] = value, DO_NOT_USE
    wild[:, 1, 5, 5] = 3e38  # of a sum of two, float32 has none
    dq[:, 1, 5, 5] = DO_NOT_USE
    found = make_template([plain_exposure(wild)], background=lambda _: dark)
    expected = make_template([plain_exposure(data, group_dq=dq)], background=lambda _: dark)
    np.testing.assert_array_equal(found.groups, expected.groups)
    assert np.isnan(found.groups[1, 5, 5])


def test_segments_make_the_template_of_the_whole(rng):
    data, _, dark = series(rng, noise=5.0)
    whole = make_template([plain_exposure(data)], background=lambda _: dark)
    parts = [plain_exposure(part) for part in (data[:2], data[2:3], data[3:])]
    np.testing.assert_array_equal(
        make_template(parts, background=lambda _: dark).groups, whole.groups
    )


def test_unequal_integrations_are_scaled_before_the_median(rng):
    """A star that is eclipsed in four of nine integrations."""
    scales = [1.0, 0.5, 1.0, 0.5, 1.0, 0.5, 1.0, 0.5, 1.0]
    data, star, dark = series(rng, n_integrations=9, scales=scales, noise=3.0)
    exposure = plain_exposure(data)
    template = make_template([exposure], background=lambda _: dark)
    slope = (template.groups[-1] - template.groups[0]) / 3 - 2
    bright = star > 20
    ratio = slope[bright] / star[bright]
    error = 3.0 * 1.2533 * 2**0.5 / 3 / 9**0.5 / star[bright]
    # Unscaled medians would follow the noise: some pixels half as bright as others.
    assert np.std((ratio - ratio.mean()) / error) < 1.5


@pytest.mark.parametrize("scale", [0.99, 1.0, 1.37])
def test_scale_is_that_of_the_light_above_the_background(rng, scale):
    data, star, dark = series(rng)
    template = Template(groups=data[0])
    brightness = Brightness(template.rate(TIMES), dark, readout=ROWS)
    rate = ((scale * star + 7) / 10).astype(np.float32)  # a brighter sky too
    rate[dark] += rng.normal(0, 0.01, dark.sum()).astype(np.float32)
    rate[12, 18:20] += 500  # hits
    rate[13, 20] = np.nan
    assert brightness.scale(rate) == pytest.approx(scale, rel=2e-3)


def test_scale_that_cannot_be_told(rng):
    data, star, dark = series(rng)
    brightness = Brightness(Template(groups=data[0]).rate(TIMES), dark, readout=ROWS)
    assert brightness.is_measurable
    assert brightness.scale(np.full(star.shape, 0.2, np.float32)) is None  # no star
    assert brightness.scale(np.full(star.shape, np.nan, np.float32)) is None
    noise = rng.normal(0, 300, star.shape).astype(np.float32)
    assert brightness.scale(star / 10 + noise) is None
    blank = Brightness(np.full(star.shape, 0.2, np.float32), np.ones_like(dark), readout=ROWS)
    assert not blank.is_measurable


def test_groups_before_the_first_flag_are_valid(rng):
    data, _, _ = series(rng)
    dq = np.zeros(data.shape, np.uint8)
    dq[0, -1] = DO_NOT_USE  # the whole group
    dq[0, 2, 3, 4] = JUMP_DET
    dq[0, 1, 5, 6] = SATURATED
    lengths, groups = valid_groups(plain_exposure(data, group_dq=dq), 0)
    assert groups == [0, 1, 2]
    assert lengths[3, 4] == 2
    assert lengths[5, 6] == 1
    assert np.count_nonzero(lengths == 3) == lengths.size - 2
    lengths, groups = valid_groups(plain_exposure(data[:, :1], ramp=False), 0)
    assert groups == [0]
    assert np.all(lengths == 1)


def test_rates_make_a_template_of_one_image(rng):
    data, _, dark = series(rng, noise=1.0, n_groups=1)
    exposure = plain_exposure(data, ramp=False)
    assert isinstance(exposure, Exposure)
    template = make_template([exposure], background=lambda _: dark)
    np.testing.assert_allclose(template.groups[0], np.median(data[:, 0], axis=0), rtol=1e-6)
    np.testing.assert_array_equal(template.rate(TIMES), template.groups[0])
