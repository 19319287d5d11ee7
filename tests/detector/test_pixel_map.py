"""Coordinates from a WCS on a grid."""

import numpy as np
import pytest

from deflicker.detector.pixel_map import pixel_map


def to_sky(x, y):
    return 1e-5 * (x + 2e-6 * x**2 - 1e-6 * x * y), 1e-5 * (y + 3e-6 * y**2)


def to_pixel(longitude, latitude):
    angle = 0.4
    u, v = 1e5 * longitude, 1e5 * latitude
    return 50 + u * np.cos(angle) - v * np.sin(angle), 7 + u * np.sin(angle) + v * np.cos(angle)


@pytest.mark.parametrize("shape", [(300, 2048), (64, 64), (5, 40)])
def test_distortion_is_interpolated(shape):
    y, x = pixel_map(shape, to_sky, to_pixel)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    expected_x, expected_y = to_pixel(*to_sky(columns, rows))
    np.testing.assert_allclose(x, expected_x, atol=1e-4)
    np.testing.assert_allclose(y, expected_y, atol=1e-4)


def test_pixels_without_coordinates_are_an_error():
    with pytest.raises(ValueError, match="no finite coordinates"):
        pixel_map((64, 64), lambda x, y: (x * np.nan, y), to_pixel)
