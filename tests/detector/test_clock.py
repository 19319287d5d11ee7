"""Order in which pixels are read."""

import numpy as np
import pytest

from deflicker.detector.clock import Clock


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("n_outputs", [1, 2, 4])
def test_pixels_go_into_records_and_back(n_outputs, interleaved):
    clock = Clock(n_slow=5, n_fast=64 * n_outputs, n_outputs=n_outputs, interleaved=interleaved)
    image = np.arange(5 * clock.n_fast, dtype=np.float32).reshape(5, -1)
    ordered = clock.ordered(image)
    records = np.full((n_outputs, clock.n_ticks + 3), -1, np.float32)
    clock.fill(records, ordered)
    np.testing.assert_array_equal(clock.pixels(records), ordered)
    np.testing.assert_array_equal(clock.image(ordered), image)
    assert np.count_nonzero(records >= 0) == image.size


def test_neighbouring_outputs_are_read_in_opposite_directions():
    clock = Clock(n_slow=1, n_fast=8, n_outputs=4)
    ordered = clock.ordered(np.arange(8)[np.newaxis])
    np.testing.assert_array_equal(ordered[:, 0], [[0, 1], [3, 2], [4, 5], [7, 6]])


def test_full_frame_takes_the_time_that_it_takes():
    clock = Clock(n_slow=2048, n_fast=2048, n_outputs=4)
    # (512 + 12) x (2048 + 1) x 10 us is a frame; one row of it is no row of the image.
    assert clock.n_ticks == 524 * 2048


def test_irs2_reads_four_reference_pixels_after_eight_and_then_after_each_sixteen():
    clock = Clock(n_slow=2, n_fast=512, interleaved=True)
    sequence, column = [], 0
    while column < 512:
        for n_science, n_reference in ((8, 4), (8, 0)):
            sequence += list(range(column, column + n_science)) + [-1] * n_reference
            column += n_science
    records = np.full((1, clock.n_ticks), -1)
    clock.fill(records, clock.ordered(np.tile(np.arange(512), (2, 1))))
    assert clock.row_ticks == 712
    np.testing.assert_array_equal(records[0, : len(sequence)], sequence)
    np.testing.assert_array_equal(records[0, 712 : 712 + len(sequence)], sequence)


def test_outputs_must_share_the_columns():
    with pytest.raises(ValueError, match="10 columns cannot be shared by 4 outputs"):
        Clock(n_slow=1, n_fast=10, n_outputs=4)


@pytest.mark.parametrize("interleaved", [False, True])
def test_binned_clock_keeps_the_time(interleaved):
    clock = Clock(n_slow=3, n_fast=96, n_outputs=2, interleaved=interleaved)
    binned = clock.binned(4)
    assert binned.n_ticks * 4 == clock.n_ticks
    time = np.arange(clock.n_ticks, dtype=float)[np.newaxis].repeat(2, axis=0)
    of_bins = binned.pixels(time.reshape(2, -1, 4).mean(axis=2))
    of_pixels = clock.pixels(time).reshape(2, 3, -1, 4).mean(axis=3)
    np.testing.assert_array_equal(of_bins, of_pixels)
