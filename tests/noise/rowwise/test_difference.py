import numpy as np
import pytest

from deflicker import CleanOptions, Readout
from deflicker.noise.median import MEDIAN
from deflicker.noise.rowwise.difference import fit_difference_in_place
from deflicker.scene.background import no_box_warnings

READOUT = Readout(fast_axis=1, slow_axis=2)
SHAPE = (256, 512)


def fit(values, usable=None, **options):
    usable = np.ones(values.shape, bool) if usable is None else usable
    outputs = [slice(0, values.shape[1])]
    with no_box_warnings():
        return fit_difference_in_place(
            values.copy,
            usable.copy(),
            CleanOptions(**options),
            method=MEDIAN,
            readout=READOUT,
            outputs=outputs,
        )


@pytest.fixture
def stripes(rng):
    return rng.normal(0, 2, (SHAPE[0], 1)).astype(np.float32)


@pytest.fixture
def values(rng, stripes):
    return 30 + stripes + rng.normal(0, 3, SHAPE).astype(np.float32)


@pytest.mark.parametrize("method", ["median", "model"])
@pytest.mark.parametrize("n_sigma", [0, 2.0, 4.0])
def test_stripes_are_found(values, stripes, method, n_sigma):
    """To the error of a median of 512 values, 1.2533 sigma / sqrt(n)."""
    found = fit(values, background_method=method, n_sigma=n_sigma)
    background = found.background.rows(0, SHAPE[0]) if method == "model" else found.background
    total = np.broadcast_to(found.noise.image() + background, SHAPE)[:, 0]
    error = total - (30 + stripes[:, 0])
    assert np.std(error) < 1.3 * 1.2533 * 3 / np.sqrt(SHAPE[1])


def test_clip_does_not_eat_the_stripes(values, stripes):
    """A clip at 2 sigma about one centre would leave 13.5 % of every stripe."""
    found = fit(values, n_sigma=2.0)
    slope = np.polyfit(stripes[:, 0], found.noise.image()[:, 0], 1)[0]
    assert slope > 0.96


def test_background_of_the_median(values):
    assert fit(values).background == pytest.approx(np.median(values), abs=0.05)


def test_no_background(values, stripes):
    found = fit(values, background_method=None, n_sigma=0)
    assert found.background == 0
    np.testing.assert_allclose(found.noise.image()[:, :1], 30 + stripes, atol=1.0)


def test_outliers_are_not_used(values, rng):
    bright = values.copy()
    hits = rng.random(SHAPE) < 0.3
    bright[hits] += 500
    clean, hit = fit(values), fit(bright)
    np.testing.assert_allclose(
        hit.noise.image() + hit.background, clean.noise.image() + clean.background, atol=1.0
    )
    assert hit.n_used < 0.71 * values.size


def test_only_usable_pixels_count(values):
    usable = np.ones(SHAPE, bool)
    usable[:, :300] = False
    spoilt = values.copy()
    spoilt[:, :300] = np.nan
    np.testing.assert_array_equal(
        fit(values, usable).noise.image(), fit(spoilt, usable).noise.image()
    )
    assert 0.98 * usable.sum() < fit(values, usable, n_sigma=0).n_used <= usable.sum()


def test_nothing_usable(values):
    found = fit(values, np.zeros(SHAPE, bool))
    assert found.n_used == 0
    assert not np.any(found.noise.image())


def test_values_without_scatter():
    """Half and half: the centre lies between, and no clip may drop everything."""
    values = np.ones((8, 8), np.float32)
    values[:, 4:] = 2
    found = fit(values)
    assert found.n_used == 64
    assert found.background == 1.5
    assert not found.noise.image().any()


def test_model_that_cannot_be_made_is_the_median(values):
    usable = np.zeros(SHAPE, bool)
    usable[::40, ::40] = True
    found = fit(values, usable, background_method="model")
    assert found.model_failed
    assert found.background == pytest.approx(np.median(values[usable]), abs=1)


def test_boxes_are_counted_in_the_science_frame(rng):
    """A box of one row and 64 columns follows rows; in the detector frame, columns."""
    science = rng.normal(0, 0.1, (64, 64)).astype(np.float32) + 10 * np.arange(64)[:, np.newaxis]
    readout = Readout(fast_axis=-2, slow_axis=-1)
    detector = np.ascontiguousarray(readout.to_detector(science.astype(np.float32)))
    options = CleanOptions(background_method="model", background_box_size=(1, 64), n_sigma=0)
    with no_box_warnings():
        found = fit_difference_in_place(
            detector.copy,
            np.ones((64, 64), bool),
            options,
            method=MEDIAN,
            readout=readout,
            outputs=[slice(0, 64)],
        )
    np.testing.assert_allclose(found.background.rows(0, 64)[5:-5], science[5:-5], atol=1)


@pytest.mark.parametrize("background", ["median", "model", None])
def test_nan_that_signals_and_infinities_are_silent(rng, background):
    """Flipped bits make NaN that processors complain of; they are not usable, and no warning."""
    values = rng.normal(10, 1, SHAPE).astype(np.float32)
    values.view(np.uint32)[5, 7] = 0x7FA00000
    values[6, 8], values[9, 10] = np.inf, 3e38
    usable = np.isfinite(values)
    usable[9, 10] = False
    found = fit(values, usable, background_method=background)
    assert np.isfinite(found.noise.image()).all()
    assert np.std(found.noise.image()) < 0.1
