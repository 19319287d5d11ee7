"""Failures of CRDS become exceptions with a reason, in every thread, after a bounded time."""

import logging
import os
import socket
import threading

import pytest
from crds.core.config import get_client_timeout_seconds
from crds.core.exceptions import CrdsLookupError, CrdsNetworkError

from deflicker.mission.reference_lookup import (
    SERVER_SECONDS,
    ReferenceMissingError,
    ReferenceUnavailableError,
    crds_lookup,
)


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
