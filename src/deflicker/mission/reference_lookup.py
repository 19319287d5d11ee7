"""Look-up of reference files in CRDS, with a clear reason if one cannot be found."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

from crds.core import config
from crds.core.exceptions import CrdsLookupError
from stdatamodels.jwst import datamodels
from stpipe import crds_client
from stpipe.crds_client import CrdsError

from deflicker.errors import CannotClean

__all__ = [
    "ReferenceMissingError",
    "ReferenceUnavailableError",
    "crds_lookup",
    "look_up",
    "record_references",
]

log = logging.getLogger(__name__)

_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {"flat": "flat field", "pastasoss": "PASTASOSS reference file"}
)


# Seconds that a CRDS server may take to answer; a working server takes one or two.
SERVER_SECONDS: Final = 20


class ReferenceUnavailableError(Exception):
    """CRDS cannot be reached, or cannot deliver a file."""


class ReferenceMissingError(ReferenceUnavailableError):
    """CRDS has no such reference file for this exposure."""


@contextmanager
def crds_lookup() -> Iterator[None]:
    """Run a CRDS look-up whose failure is an exception, without its messages in the log.

    Messages of CRDS look-ups in other threads are still logged. A server that accepts a request
    and does not answer counts as unreachable after `SERVER_SECONDS`, or after the number of
    seconds in the variable of crds for this, ``CRDS_CLIENT_TIMEOUT_SECONDS``.

    Raises
    ------
    ReferenceMissingError
        If CRDS has no such file.
    ReferenceUnavailableError
        For any other failure. Without a server and a cache crds would end the process; this
        exception is raised instead.
    """
    crds_log = logging.getLogger("CRDS")
    here = threading.get_ident()

    def from_elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != here

    crds_log.addFilter(from_elsewhere)
    try:
        with _bounded_waiting:
            yield
    except SystemExit as error:
        msg = "no CRDS server can be reached and there is no CRDS cache"
        raise ReferenceUnavailableError(msg) from error
    except CrdsLookupError as error:
        raise ReferenceMissingError(str(error)) from error
    except (CrdsError, OSError) as error:
        raise ReferenceUnavailableError(str(error)) from error
    finally:
        crds_log.removeFilter(from_elsewhere)


class _BoundedWaiting:
    """Limits the time that crds waits, by default an hour for answers, unlimited for downloads.

    It changes two settings of the process while any thread looks something up: the variable of
    crds, and the default time-out of sockets.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_inside = 0
        self._given: tuple[int, float | None] = (0, None)

    def __enter__(self) -> None:
        with self._lock:
            self._n_inside += 1
            if self._n_inside == 1:
                self._given = config.CLIENT_TIMEOUT.get(), socket.getdefaulttimeout()
                seconds, of_sockets = self._given
                # crds itself puts its default, an hour, into the environment, so that this
                # value is not a choice of the user.
                if seconds <= 0 or str(seconds) == str(config.CLIENT_TIMEOUT.default):
                    seconds = SERVER_SECONDS
                config.CLIENT_TIMEOUT.set(seconds)
                if of_sockets is None:
                    socket.setdefaulttimeout(seconds)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._n_inside -= 1
            if not self._n_inside:
                seconds, of_sockets = self._given
                config.CLIENT_TIMEOUT.set(seconds)
                socket.setdefaulttimeout(of_sockets)


_bounded_waiting = _BoundedWaiting()


def look_up(find: Callable[[], Any], kind: str, *, parameter: str, optional: bool = False) -> Any:
    """Look up a reference file that a parameter asks for.

    Parameters
    ----------
    find : callable
        Returns the path or open model of the file that was given or that CRDS has.
    kind : str
        Type of reference file: flat or pastasoss.
    parameter : str
        Name of the parameter, for messages.
    optional : bool, optional
        Whether the parameter is ignored, with a warning, if CRDS has no file.

    Returns
    -------
    str, JwstDataModel or None
        The file; None if there is none.

    Raises
    ------
    CannotClean
        If CRDS cannot be reached, or has no file and the file is not optional.
    """
    try:
        with crds_lookup():
            found = find()
    except ReferenceMissingError:
        found = "N/A"
    except ReferenceUnavailableError as error:
        msg = f"{parameter} needs a {_NAMES[kind]}: {error}; set up CRDS or give override_{kind}"
        raise CannotClean(msg) from error
    if not isinstance(found, str) or found.strip() not in {"", "N/A"}:
        log.info("Reference file (%s): %s", kind, found)
        return found
    if not optional:
        msg = f"{parameter} needs a {_NAMES[kind]} and CRDS has none; give override_{kind}"
        raise CannotClean(msg)
    log.warning("CRDS has no %s for this exposure: %s is ignored", _NAMES[kind], parameter)
    return None


def record_references(
    model: datamodels.JwstDataModel, references: Sequence[tuple[str, str]]
) -> None:
    """Record the reference files in a header, and the CRDS context if one was used.

    Parameters
    ----------
    model : JwstDataModel
        The cleaned model; changed.
    references : sequence of tuple
        Type and name of each reference file.
    """
    for kind, name in references:
        getattr(model.meta.ref_file, kind).name = name
    if any(name.startswith("crds://") for _, name in references):
        with crds_lookup():
            context = crds_client.get_context_used(model.crds_observatory)
        model.meta.ref_file.crds.sw_version = crds_client.get_svn_version()
        model.meta.ref_file.crds.context_used = context
        log.info("CRDS context: %s", context)
