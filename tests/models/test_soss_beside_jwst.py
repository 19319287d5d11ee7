"""SOSS traces beside those of the jwst package; skipped where it is not installed."""

import numpy as np
import pytest
from small_pastasoss import BOUNDS, COMMANDED, ENDS, pastasoss_model, reference_points
from stdatamodels.jwst import datamodels

from deflicker.models.soss import read_traces, soss_region
from deflicker.scene.traces import HALF_WIDTH, trace_centres, trace_region

pytest.importorskip("jwst", reason="the jwst package is not installed")

# Shape, and row of SUBSTRIP256 at which the image begins.
IMAGES = {
    "SUBSTRIP256": ((256, 2048), 0),
    "SUBSTRIP96": ((96, 2048), 10),
    "SUB17STRIPE_SOSS": ((256, 2048), 0),
    "SUB204STRIPE_SOSS": ((256, 2048), 0),
}
POSITIONS = [COMMANDED, COMMANDED + 0.1, *BOUNDS]

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("order", [1, 2, 3])
def test_same_centres(order, position):
    """But for its ends, and rows above the image that jwst cuts off and extrapolates."""
    from jwst.extract_1d.soss_extract.pastasoss import get_soss_traces  # noqa: PLC0415

    with pastasoss_model() as reference:
        _, x, y, _ = get_soss_traces(position, str(order), refmodel=reference)
        trace = read_traces(reference).traces[order - 1]
    ours = trace_centres(trace, 2048, rotation=position - COMMANDED)[x.astype(int)]
    np.testing.assert_allclose(ours[3:-3], y[3:-3], rtol=0, atol=1e-9)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("subarray", list(IMAGES))
def test_same_pixels(subarray, position):
    """To the row: jwst rounds the edges outward. It also draws orders on beyond their ends."""
    from jwst.clean_flicker_noise.clean_flicker_noise import mask_soss_traces  # noqa: PLC0415

    shape, first_row = IMAGES[subarray]
    with datamodels.ImageModel(shape) as model, pastasoss_model() as reference:
        model.meta.instrument.pupil_position = position
        model.meta.subarray.name = subarray
        ours = soss_region(model, reference)
        # It does not shift the pivots with the rows of SUBSTRIP96, which moves ends by 0.04 pixels.
        wider = trace_region(
            read_traces(reference).traces,
            shape,
            rotation=position - COMMANDED,
            first_row=first_row,
            half_width=HALF_WIDTH + 1.1,
        )
        theirs = ~mask_soss_traces(model, np.ones(shape, dtype=bool), soss_refmodel=reference)
    assert not (ours & ~theirs).any()
    more = theirs & ~wider
    # Order 3 leaves the image before its end, where jwst goes on by a straight line.
    leaves = np.flatnonzero(reference_points(3)[:, 1] > 250)[0]
    assert not more[:, :leaves].any()
    assert not more[:, ENDS[3][1] + 20 : ENDS[2][1] + 1].any()
