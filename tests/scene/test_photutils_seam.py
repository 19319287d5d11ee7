"""What is asked of photutils; it must hold for its oldest and newest."""

import numpy as np
from scipy.ndimage import generic_filter

from deflicker.scene.photutils_seam import filled_and_filtered


def test_good_boxes_are_filtered_by_their_median(rng):
    mesh = rng.normal(5, 1, (9, 12)).astype(np.float32)
    found = filled_and_filtered(mesh, np.ones(mesh.shape, bool), n_boxes=5)
    expected = generic_filter(mesh, np.nanmedian, size=5, mode="constant", cval=np.nan)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_other_boxes_are_filled_from_their_neighbours():
    """Their own value does not count, whatever it is."""
    mesh = np.full((9, 9), 5, np.float32)
    mesh[4, 4] = np.nan
    mesh[2, 7] = 1e9
    good = np.isfinite(mesh) & (mesh < 10)
    np.testing.assert_allclose(filled_and_filtered(mesh, good, n_boxes=1), 5, rtol=1e-6)


def test_a_box_is_filled_by_inverse_distances(rng):
    mesh = rng.normal(5, 1, (6, 7)).astype(np.float32)
    good = np.ones(mesh.shape, bool)
    good[2, 3] = False
    found = filled_and_filtered(mesh, good, n_boxes=1)
    np.testing.assert_allclose(found[good], mesh[good], rtol=1e-6)
    low, high = np.sort(mesh[1:4, 2:5][good[1:4, 2:5]])[[0, -1]]
    assert low < found[2, 3] < high
