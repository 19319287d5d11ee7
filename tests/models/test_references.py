import logging
import os
import socket
import threading

import numpy as np
import pytest
from astropy.io import fits
from crds.core.config import get_client_timeout_seconds
from crds.core.exceptions import CrdsLookupError, CrdsNetworkError
from stdatamodels.jwst import datamodels
from stpipe import Step

from deflicker import CannotClean
from deflicker.models.references import (
    SERVER_SECONDS,
    ReferenceMissingError,
    ReferenceUnavailableError,
    crds_lookup,
    read_flat,
    read_user_mask,
    run_step,
)


@pytest.fixture
def flat():
    """A flat of 100 x 120 pixels whose every value is known by its place."""
    y, x = np.mgrid[1:101, 1:121]
    model = datamodels.FlatModel(data=(1 + 0.001 * y + 0.00001 * x).astype(np.float32))
    model.dq = np.zeros((100, 120), np.uint32)
    model.meta.subarray.xstart, model.meta.subarray.ystart = 1, 1
    yield model
    model.close()


def image(shape, xstart=1, ystart=1):
    model = datamodels.ImageModel(data=np.zeros(shape, np.float32))
    model.meta.subarray.xstart, model.meta.subarray.ystart = xstart, ystart
    return model


def test_subarray_is_cut_out(flat, tmp_path):
    path = tmp_path / "flat.fits"
    flat.save(str(path))
    with image((10, 20), xstart=31, ystart=51) as model:
        data, non_science = read_flat(path, model)
    np.testing.assert_array_equal(data, flat.data[50:60, 30:50])
    assert not non_science.any()


def test_flat_of_the_same_shape_needs_no_keywords(flat):
    flat.meta.subarray.xstart = None
    with image((100, 120), xstart=500) as model:
        np.testing.assert_array_equal(read_flat(flat, model)[0], flat.data)


def test_holes_are_filled_and_non_science_is_told(flat):
    flat.data[10, 10], flat.data[20, 20] = 0, np.nan
    flat.dq[30, 30], flat.dq[40, 40], flat.dq[50, 50] = 1, 512, 4
    with image((100, 120)) as model:
        data, non_science = read_flat(flat, model)
    assert np.all(data > 0.9)
    assert np.argwhere(non_science).tolist() == [[30, 30], [40, 40]]


@pytest.mark.parametrize("start", [(110, 1), (1, 95)])
def test_flat_that_does_not_cover_the_subarray(flat, start):
    with image((10, 20), *start) as model, pytest.raises(CannotClean, match="does not cover"):
        read_flat(flat, model)


def test_unreadable_flat(tmp_path):
    path = tmp_path / "flat.fits"
    path.write_text("no FITS")
    with image((5, 5)) as model, pytest.raises(CannotClean, match="flat.fits.*override_flat"):
        read_flat(path, model)


def test_user_mask_polarity(tmp_path):
    path = tmp_path / "mask.fits"
    with datamodels.ImageModel(data=np.array([[0, 1], [np.nan, 7]], np.float32)) as model:
        model.save(str(path))
    assert read_user_mask(path).tolist() == [[False, True], [False, True]]


def test_user_mask_of_another_tool(tmp_path):
    """A bare image in SCI will do; in the primary header it is not found."""
    image = np.array([[0, 1]], np.int16)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(image, name="SCI")]).writeto("sci.fits")
    assert read_user_mask("sci.fits").tolist() == [[False, True]]
    fits.writeto("plain.fits", image)
    with pytest.raises(CannotClean, match="no image in an extension named SCI"):
        read_user_mask("plain.fits")


def test_unreadable_user_mask(tmp_path):
    with pytest.raises(CannotClean, match="user_mask .*does not exist"):
        read_user_mask(tmp_path / "none.fits")
    (tmp_path / "text.fits").write_text("no FITS")
    with pytest.raises(CannotClean, match="user_mask .*cannot be read"):
        read_user_mask(tmp_path / "text.fits")


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (SystemExit(-1), ReferenceUnavailableError),
        (CrdsNetworkError("down"), ReferenceUnavailableError),
        (OSError("gone"), ReferenceUnavailableError),
        (CrdsLookupError("no such"), ReferenceMissingError),
    ],
)
def test_crds_failures_are_exceptions(raised, expected):
    with pytest.raises(expected), crds_lookup():
        raise raised


def test_crds_is_quiet_in_the_thread_that_looks_up(caplog, monkeypatch):
    """What others log meanwhile, and whoever logs afterwards, is heard."""
    crds_log = logging.getLogger("CRDS")
    monkeypatch.setattr(crds_log, "handlers", [caplog.handler])
    monkeypatch.setattr(crds_log, "propagate", False)
    before = crds_log.level, list(crds_log.filters)
    with crds_lookup():
        crds_log.critical("of the look-up")
        other = threading.Thread(target=crds_log.critical, args=["of another thread"])
        other.start()
        other.join()
        with crds_lookup():
            pass
        crds_log.critical("still of the look-up")
    crds_log.critical("afterwards")
    assert [r.getMessage() for r in caplog.records] == ["of another thread", "afterwards"]
    assert (crds_log.level, list(crds_log.filters)) == before


def test_the_step_of_another_package_does_not_silence_the_process(caplog):
    heard = []

    class Other(Step):
        class_alias = "other"
        spec = "output_ext = string(default='.fits')"

        def process(self, model):
            heard.append(logging.root.manager.disable)
            return model

    with caplog.at_level(logging.INFO), datamodels.ImageModel((2, 2)) as model:
        run_step(Other, model)
        logging.getLogger("somebody").info("hello")
    assert heard == [logging.NOTSET]
    assert "hello" in caplog.messages


@pytest.mark.parametrize(
    ("given", "seconds"), [("3600", SERVER_SECONDS), ("0", SERVER_SECONDS), ("7", 7)]
)
def test_seconds_that_a_server_may_take(monkeypatch, given, seconds):
    """The user's, or ours where crds says an hour; and for sockets without any."""
    monkeypatch.setenv("CRDS_CLIENT_TIMEOUT_SECONDS", given)
    with crds_lookup(), crds_lookup():
        assert get_client_timeout_seconds() == seconds
        with socket.socket() as one:
            assert one.gettimeout() == seconds
    assert os.environ["CRDS_CLIENT_TIMEOUT_SECONDS"] == given
    assert socket.getdefaulttimeout() is None


def test_lookups_of_several_threads_leave_no_time_out():
    first, second = crds_lookup(), crds_lookup()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert socket.getdefaulttimeout() == SERVER_SECONDS
    second.__exit__(None, None, None)
    assert socket.getdefaulttimeout() is None
