import numpy as np
import pytest

from deflicker.detector.readout import Readout, count_outputs

AXES = [(f * a, s * b) for a, b in ((1, 2), (2, 1)) for f in (1, -1) for s in (1, -1)]


@pytest.mark.parametrize(("fast", "slow"), AXES)
def test_time_runs_along_rows_then_up(fast, slow):
    """A clock laid out by hand in the science frame reads 0, 1, 2, ... in the detector frame."""
    n_slow, n_fast = 3, 5
    shape = (n_slow, n_fast) if abs(fast) == 1 else (n_fast, n_slow)
    clock = np.empty(shape, int)
    for y in range(shape[0]):
        for x in range(shape[1]):
            position = {1: x, 2: y}
            length = {1: shape[1], 2: shape[0]}
            step = {
                axis: position[abs(axis)]
                if axis > 0
                else length[abs(axis)] - 1 - position[abs(axis)]
                for axis in (fast, slow)
            }
            clock[y, x] = step[slow] * n_fast + step[fast]
    readout = Readout(fast_axis=fast, slow_axis=slow)
    seen = readout.to_detector(clock)
    assert seen.ravel().tolist() == list(range(n_slow * n_fast))
    assert np.shares_memory(seen, clock)
    assert np.array_equal(readout.to_science(seen), clock)


@pytest.mark.parametrize(("fast", "slow"), AXES)
@pytest.mark.parametrize("dtype", ["f4", ">f4", "?"])
def test_turned_is_a_copy_in_the_detector_frame(rng, fast, slow, dtype):
    image = (rng.random((37, 50)) * 3).astype(dtype)
    readout = Readout(fast_axis=fast, slow_axis=slow)
    turned = readout.to_detector_copy(image)
    assert np.array_equal(turned, readout.to_detector(image))
    assert turned.flags.c_contiguous
    assert turned.dtype.isnative
    assert not np.shares_memory(turned, image)


def test_leading_axes_are_kept():
    cube = np.arange(24).reshape(2, 3, 4)
    readout = Readout(fast_axis=-2, slow_axis=1)
    assert np.array_equal(readout.to_detector(cube)[1], readout.to_detector(cube[1]))


@pytest.mark.parametrize("axes", [(1, 1), (2, -2), (0, 2), (3, 1)])
def test_wrong_axes(axes):
    with pytest.raises(ValueError, match="fast_axis and slow_axis"):
        Readout(fast_axis=axes[0], slow_axis=axes[1])


def test_wrong_number_of_outputs():
    with pytest.raises(ValueError, match="n_outputs"):
        Readout(fast_axis=1, slow_axis=2, n_outputs=0)


def test_output_slices_share_the_fast_axis():
    slices = Readout(fast_axis=1, slow_axis=2, n_outputs=4).output_slices(2048)
    assert [(part.start, part.stop) for part in slices] == [
        (0, 512),
        (512, 1024),
        (1024, 1536),
        (1536, 2048),
    ]
    with pytest.raises(ValueError, match="cannot be shared"):
        Readout(fast_axis=1, slow_axis=2, n_outputs=4).output_slices(2046)


@pytest.mark.parametrize(
    ("instrument", "n_slow", "n_fast", "declared", "expected"),
    [
        ("NIRCAM", 2048, 2048, 4, 4),
        ("NIRCAM", 2048, 2048, None, 4),
        ("NIRISS", 2048, 2048, None, 4),
        ("NIRCAM", 256, 2048, None, 4),  # SUBGRISM256, and stripes of DHS
        ("NIRCAM", 41, 2048, None, 4),
        ("NIRCAM", 256, 2048, 1, 1),
        ("NIRCAM", 160, 160, None, 1),
        ("NIRISS", 2048, 256, None, 1),  # SUBSTRIP256 and its stripes
        ("NIRISS", 64, 2048, None, 1),
        ("NIRSPEC", 2048, 32, None, 1),
        ("NIRSPEC", 32, 2048, 1, 1),
        ("NIRSPEC", 2048, 2048, 5, 4),
        ("NIRCAM", 2048, 2048, 3, 4),
        ("MIRI", 1024, 1032, 4, 1),
        ("NIRCAM", 2048, 2046, 4, 1),
    ],
)
def test_count_outputs(instrument, n_slow, n_fast, declared, expected):
    """By keyword or size, not by name: stripes have four too (defect 5)."""
    found = count_outputs(instrument=instrument, n_slow=n_slow, n_fast=n_fast, declared=declared)
    assert found == expected


def test_integers_of_numpy():
    readout = Readout(fast_axis=np.int64(-2), slow_axis=np.int16(1), n_outputs=np.int32(4))
    assert type(readout.fast_axis) is type(readout.slow_axis) is type(readout.n_outputs) is int
