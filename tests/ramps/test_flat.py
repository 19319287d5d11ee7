import numpy as np

from deflicker.ramps.flat import fill_flat


def test_holes_take_the_local_value():
    _, x = np.mgrid[:60, :80]
    truth = 1 + 0.002 * x
    flat = truth.copy()
    holes = [(10, 10), (30, 40), (31, 40), (50, 70)]
    for hole, value in zip(holes, (0, np.nan, np.inf, -1), strict=True):
        flat[hole] = value
    filled = fill_flat(flat)
    assert filled.dtype == np.float32
    for hole in holes:
        assert abs(filled[hole] - truth[hole]) < 0.01
    good = np.isfinite(flat) & (flat > 0)
    np.testing.assert_array_equal(filled[good], flat[good].astype(np.float32))


def test_large_holes_take_the_median():
    flat = np.full((200, 200), 0.8)
    flat[50:150, 50:150] = 0
    assert np.allclose(fill_flat(flat), 0.8)


def test_nothing_good_is_one():
    assert np.all(fill_flat(np.zeros((5, 5))) == 1)
