"""Traces against loops, and against curves whose rotation has a formula."""

import math
from itertools import pairwise

import numpy as np
import pytest
from small_pastasoss import PIVOTS, reference_points

from deflicker.scene.traces import Trace, trace_centres, trace_region


def straight(slope, *, row=100.0, pivot=(1000.0, 60.0), ends=(0, 2047)):
    x = np.arange(ends[0], ends[1] + 1, dtype=np.float64)
    return Trace(order=1, x=x, y=row + slope * x, pivot_x=pivot[0], pivot_y=pivot[1])


def reference_trace(order):
    x, y = reference_points(order).T
    return Trace(order=order, x=x, y=y, pivot_x=PIVOTS[order][0], pivot_y=PIVOTS[order][1])


@pytest.mark.parametrize("rotation", [-0.25, 0.1, 3.0])
@pytest.mark.parametrize("slope", [-0.2, 0.0, 0.4])
def test_a_rotated_line_is_a_line(slope, rotation):
    """Through the rotated foot of the pivot, at the sum of the angles."""
    trace = straight(slope)
    at_pivot = trace.y[1000] - trace.pivot_y  # the line passes that far above the pivot
    angle = math.radians(rotation)
    x0 = trace.pivot_x - at_pivot * math.sin(angle)
    y0 = trace.pivot_y + at_pivot * math.cos(angle)
    columns = np.arange(2048)
    expected = y0 + math.tan(math.atan(slope) + angle) * (columns - x0)
    found = trace_centres(trace, 2048, rotation=rotation)
    inside = slice(100, -100)  # at ends that the rotation shortens the end's row holds
    np.testing.assert_allclose(found[inside], expected[inside], rtol=0, atol=1e-8)


def test_a_parabola_in_the_rotated_frame():
    """Each centre, rotated back, lies on the curve."""
    trace = reference_trace(1)
    angle = math.radians(0.2)
    columns = np.arange(5, 2040)
    centres = trace_centres(trace, 2048, rotation=0.2)[columns]
    right, up = columns - trace.pivot_x, centres - trace.pivot_y
    x = trace.pivot_x + math.cos(angle) * right + math.sin(angle) * up
    y = trace.pivot_y - math.sin(angle) * right + math.cos(angle) * up
    # Between two points the curve is taken for a line: at most y'' / 8.
    np.testing.assert_allclose(y, 48 + 5e-5 * (x - 1350) ** 2, rtol=0, atol=1e-4 / 8 + 1e-9)


def test_no_rotation_gives_the_points_back():
    for order in (1, 2, 3):
        trace = reference_trace(order)
        found = trace_centres(trace, 2048)
        n = trace.x.size
        np.testing.assert_array_equal(found[:n], trace.y)
        assert np.isnan(found[n:]).all()


@pytest.mark.parametrize("rotation", [-0.25, 0.25])
def test_a_column_is_not_lost_because_the_end_moves(rotation):
    trace = straight(0.1, row=20.0, pivot=(1500.0, 300.0), ends=(100, 900))
    found = np.flatnonzero(np.isfinite(trace_centres(trace, 2048, rotation=rotation)))
    assert found[0] in (99, 100)
    assert found[-1] in (900, 901)
    assert set(range(100, 901)) <= set(found.tolist())


def slow_region(traces, shape, rotation, first_row, half_width):
    """Pixel by pixel, with the two rotated points on both sides of each column."""
    region = np.zeros(shape, dtype=bool)
    angle = math.radians(rotation)
    for trace in traces:
        points = []
        for x, y in zip(trace.x, trace.y, strict=True):
            right, up = x - trace.pivot_x, y - trace.pivot_y
            points.append(
                (
                    trace.pivot_x + right * math.cos(angle) - up * math.sin(angle),
                    trace.pivot_y + right * math.sin(angle) + up * math.cos(angle),
                )
            )
        points.sort()
        for column in range(shape[1]):
            for (x0, y0), (x1, y1) in pairwise(points):
                if x0 <= column <= x1:
                    centre = y0 + (y1 - y0) * (column - x0) / (x1 - x0)
                    for row in range(shape[0]):
                        if abs(row + first_row - centre) <= half_width:
                            region[row, column] = True
                    break
    return region


@pytest.mark.parametrize("first_row", [0, 10, -30])
@pytest.mark.parametrize("rotation", [0.0, 0.7, -2.0])
def test_region_is_that_of_loops(rng, rotation, first_row):
    """Uneven points, in any order, some of them beside the image."""
    x = rng.uniform(-20, 90, 40)
    x[:2] = -20, 90
    traces = [
        Trace(order=1, x=x, y=20 + 0.003 * (x - 30) ** 2, pivot_x=50.0, pivot_y=25.0),
        Trace(order=2, x=x, y=40 + 0.6 * x, pivot_x=20.0, pivot_y=90.0),
    ]
    found = trace_region(traces, (48, 64), rotation=rotation, first_row=first_row, half_width=5.0)
    assert found.dtype == bool
    assert np.array_equal(found, slow_region(traces, (48, 64), rotation, first_row, 5.0))


def test_sixteen_pixels_on_both_sides():
    region = trace_region([straight(0.0)], (256, 2048))
    rows = np.flatnonzero(region[:, 700])
    assert (rows[0], rows[-1], rows.size) == (84, 116, 33)
    assert np.array_equal(region, np.repeat(region[:, :1], 2048, axis=1))


def test_rows_are_those_of_the_sub_array():
    traces = [reference_trace(order) for order in (1, 2, 3)]
    full = trace_region(traces, (2048, 2048), rotation=0.1, first_row=-1792)
    strip = trace_region(traces, (256, 2048), rotation=0.1)
    narrow = trace_region(traces, (96, 2048), rotation=0.1, first_row=10)
    assert not full[: 1792 - 200].any()
    assert np.array_equal(full[1792:], strip)
    assert np.array_equal(full[1802:1898], narrow)


def test_beside_the_image_there_is_nothing():
    trace = straight(0.0)
    assert not trace_region([trace], (50, 64)).any()
    assert not trace_region([trace], (50, 64), first_row=300).any()
    assert not trace_region([], (50, 64)).any()


@pytest.mark.parametrize(
    "change",
    [
        {"x": np.zeros(1), "y": np.zeros(1)},
        {"x": np.zeros(3)},
        {"y": np.array([0.0, np.nan])},
        {"pivot_x": math.inf},
    ],
)
def test_traces_that_are_none(change):
    good = {"x": np.arange(2.0), "y": np.arange(2.0), "pivot_x": 0.0, "pivot_y": 0.0}
    Trace(order=2, **good)
    with pytest.raises(ValueError, match="order 2"):
        Trace(order=2, **{**good, **change})
