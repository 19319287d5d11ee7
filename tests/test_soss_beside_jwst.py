"""SOSS traces beside those of the jwst package; skipped where it is not installed."""

import numpy as np
import pytest
from small_pastasoss import BOUNDS, COMMANDED, ENDS, pastasoss_model
from stdatamodels.jwst import datamodels

from deflicker.scene.traces import HALF_WIDTH, trace_region
from deflicker.soss import read_traces, soss_region

pytest.importorskip("jwst", reason="the jwst package is not installed")

# Shape, and row of SUBSTRIP256 at which the image begins.
IMAGES = {"SUBSTRIP256": ((256, 2048), 0), "SUBSTRIP96": ((96, 2048), 10)}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("position", [COMMANDED, COMMANDED + 0.1, *BOUNDS])
@pytest.mark.parametrize("subarray", list(IMAGES))
def test_same_pixels(subarray, position):
    """To the row: jwst rounds the edges outward. It also draws orders on beyond their ends."""
    from jwst.clean_flicker_noise.clean_flicker_noise import mask_soss_traces  # noqa: PLC0415

    shape, first_row = IMAGES[subarray]
    with datamodels.ImageModel(shape) as model, pastasoss_model() as reference:
        model.meta.instrument.pupil_position = position
        model.meta.subarray.name = subarray
        ours = soss_region(model, reference)
        wider = trace_region(
            read_traces(reference).traces,
            shape,
            rotation=position - COMMANDED,
            first_row=first_row,
            half_width=HALF_WIDTH + 1,
        )
        theirs = ~mask_soss_traces(model, np.ones(shape, dtype=bool), soss_refmodel=reference)
    assert not (ours & ~theirs).any()
    more = theirs & ~wider
    assert not more[:, : ENDS[3][1]].any()
    # Order 2 ends where it has all but left the image.
    assert more.mean() < 1e-3
