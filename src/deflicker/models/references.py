"""What an exposure needs from elsewhere: reference files, CRDS, steps of other packages."""

import logging
import socket
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from crds.core import config
from crds.core.exceptions import CrdsLookupError
from numpy.typing import NDArray
from stdatamodels.exceptions import NoTypeWarning
from stdatamodels.jwst import datamodels
from stpipe import Step
from stpipe.crds_client import CrdsError
from stpipe.entry_points import get_steps
from stpipe.utilities import import_class

from deflicker.detector.dq import DO_NOT_USE, NON_SCIENCE
from deflicker.errors import CannotClean
from deflicker.models.exposure import series_keywords
from deflicker.models.files import existing_file
from deflicker.models.round_trip import reason_of
from deflicker.ramps.flat import fill_flat
from deflicker.series.template import Template
from deflicker.storage.fits_structure import check_file

__all__ = [
    "ReferenceMissingError",
    "ReferenceUnavailableError",
    "crds_lookup",
    "find_step",
    "look_up",
    "read_flat",
    "read_template",
    "read_user_mask",
    "run_step",
]

log = logging.getLogger(__name__)

_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {"flat": "flat field", "pastasoss": "PASTASOSS reference file"}
)


# Seconds that a CRDS server may take to answer a question; a good one takes one or two.
SERVER_SECONDS: Final = 20


class ReferenceUnavailableError(Exception):
    """CRDS cannot be reached, or cannot deliver what it has."""


class ReferenceMissingError(ReferenceUnavailableError):
    """CRDS has no such reference file for this exposure."""


@contextmanager
def crds_lookup() -> Iterator[None]:
    """Run a CRDS look-up whose failure is an exception, without noise in the log.

    What other threads do with CRDS meanwhile is logged. A server that takes a question and does
    not answer counts as none after `SERVER_SECONDS`, or after as many seconds as the variable
    of crds for that says, ``CRDS_CLIENT_TIMEOUT_SECONDS``.

    Raises
    ------
    ReferenceMissingError
        If CRDS knows of no such file.
    ReferenceUnavailableError
        For any other failure. Without a server and a cache crds ends the process; that too
        becomes this exception.
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
    """Let crds wait for seconds where it would for an hour, and for ever in downloads.

    Both settings are of the process, and hold as long as any thread looks something up: the
    variable of crds, and the time-out of sockets that are opened without one.
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
                # crds puts its default, an hour, into the environment: nobody has chosen it.
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
        The parameter.
    optional : bool, optional
        Whether the parameter is ignored, with a warning, where CRDS has no file.

    Returns
    -------
    str, JwstDataModel or None
        The file; None if there is none.

    Raises
    ------
    CannotClean
        If CRDS cannot be reached, or has no file and that is not optional.
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


def read_flat(
    flat: str | Path | datamodels.JwstDataModel, model: datamodels.JwstDataModel
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Flat field of an exposure.

    Parameters
    ----------
    flat : str, pathlib.Path or FlatModel
        Reference file.
    model : JwstDataModel
        The exposure, whose sub-array is cut out.

    Returns
    -------
    flat : ndarray of float32, shape (ny, nx)
        Flat field, finite and positive everywhere.
    non_science : ndarray of bool, shape (ny, nx)
        True where the flat marks DO_NOT_USE or NON_SCIENCE.

    Raises
    ------
    CannotClean
        If the file cannot be read or does not cover the exposure.
    """
    name = flat if isinstance(flat, str | Path) else "override_flat"
    try:
        if isinstance(flat, str | Path):
            check_file(existing_file(flat, what="flat field"))
        with datamodels.FlatModel(flat) as reference:
            region = _cut_out(reference, model, name=str(name))
            data = fill_flat(np.asarray(reference.data)[region])
            dq = reference.dq
            flags = np.zeros(data.shape, np.uint32) if dq is None else np.asarray(dq)[region]
    except CannotClean:
        raise
    except Exception as error:
        msg = (
            f"flat field {name} cannot be read: {reason_of(error)}; give another with override_flat"
        )
        raise CannotClean(msg) from error
    return data, (flags & np.uint32(DO_NOT_USE | NON_SCIENCE)) != 0


def _cut_out(
    reference: datamodels.JwstDataModel, model: datamodels.JwstDataModel, *, name: str
) -> tuple[slice, slice]:
    """Rows and columns of a reference image that an exposure covers."""
    shape = np.shape(model.data)[-2:]
    size = np.shape(reference.data)
    if size == shape:
        return slice(None), slice(None)
    parts = []
    for axis, length, available in zip("yx", shape, size, strict=True):
        first = getattr(model.meta.subarray, f"{axis}start") or 1
        start = first - (getattr(reference.meta.subarray, f"{axis}start") or 1)
        if start < 0 or start + length > available:
            msg = f"flat field {name} of shape {size} does not cover the exposure's sub-array"
            raise CannotClean(msg)
        parts.append(slice(start, start + length))
    return parts[0], parts[1]


def read_user_mask(path: str | Path) -> NDArray[np.bool_]:
    """Read a scene mask.

    Parameters
    ----------
    path : str or pathlib.Path
        File of an ImageModel or CubeModel.

    Returns
    -------
    ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx)
        True where the value is finite and not zero: the pixel may be used.

    Raises
    ------
    CannotClean
        If the file cannot be read or has no image.
    """
    data, _ = _read_model(path, parameter="user_mask")
    return np.isfinite(data) & (data != 0)


def read_template(path: str | Path) -> Template:
    """Read the template of a series.

    Parameters
    ----------
    path : str or pathlib.Path
        File that ``save_template`` wrote: a ramp of one integration, or an image.

    Returns
    -------
    Template
        Of the series, with its keywords.

    Raises
    ------
    CannotClean
        If the file cannot be read or holds no template.
    """
    data, keywords = _read_model(path, parameter="template")
    if data.ndim == 4 and len(data) == 1:
        return Template(groups=data[0], keywords=keywords)
    if data.ndim == 2:
        return Template(groups=data[np.newaxis], keywords=keywords)
    msg = f"template {path} must be a ramp of one integration or an image, not {data.shape}"
    raise CannotClean(msg)


def _read_model(path: str | Path, *, parameter: str) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Read the science data of any model that a parameter names, and what series it is of."""
    try:
        check_file(existing_file(path, what=parameter))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoTypeWarning)
            model = datamodels.open(path)
        with model, np.errstate(over="ignore"):
            image = getattr(model, "data", None)
            data = None if image is None else np.array(image, dtype=np.float32)
            keywords = series_keywords(model)
    except FileNotFoundError as error:
        raise CannotClean(str(error)) from error
    except Exception as error:
        msg = f"{parameter} {path} cannot be read: {reason_of(error)}"
        raise CannotClean(msg) from error
    if data is None:
        msg = f"{parameter} {path} has no image in an extension named SCI; put it there"
        raise CannotClean(msg)
    return data, keywords


def find_step(*aliases: str) -> type[Step] | None:
    """Find a step in the registry of stpipe.

    Parameters
    ----------
    *aliases : str
        Names under which it may be registered.

    Returns
    -------
    type of stpipe.Step, or None
        The step; that of jwst where several packages have one. None if it is not installed.
    """
    found = [info for info in get_steps() if info.class_alias in aliases]
    found.sort(key=lambda info: info.package_name != "jwst")
    return import_class(found[0].class_name, Step) if found else None


def run_step(
    step: type[Step], model: datamodels.JwstDataModel, *, input_dir: str = ""
) -> datamodels.JwstDataModel:
    """Run the step of another package.

    Parameters
    ----------
    step : type of stpipe.Step
        The step, run with its own default parameters.
    model : JwstDataModel
        Its input, which it may change.
    input_dir : str, optional
        Folder in which it looks for auxiliary files.

    Returns
    -------
    JwstDataModel
        Its output.

    Raises
    ------
    CannotClean
        If it fails, with its reason.
    """
    try:
        with crds_lookup():
            instance = step()
            instance.input_dir = input_dir
            return _run_to_the_end(instance, model)
    except Exception as error:
        msg = (
            f"{step.class_alias} failed: {str(error) or type(error).__name__}; mend that, give "
            "user_mask, or run without mask_science_regions"
        )
        raise CannotClean(msg) from error


def _run_to_the_end(step: Step, model: datamodels.JwstDataModel) -> datamodels.JwstDataModel:
    try:
        return step.run(model)
    except SystemExit as error:
        msg = f"it ended the process ({error.code}), as crds does without server and cache"
        raise RuntimeError(msg) from error
