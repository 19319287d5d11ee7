"""Hidden folders for files that are not finished, and what killed runs have left of them."""

import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # another system: folders are made, and none is taken for a leftover
    fcntl = None  # type: ignore[assignment]

__all__ = ["UnfinishedFolder", "remove_leftovers", "unfinished_folder", "written_whole"]

log = logging.getLogger(__name__)

PREFIX: Final = ".deflicker-"
# Held by the process for as long as the folder is in use: the system lets go of a lock
# when a process ends, however it ends.
LOCK: Final = "lock"


class UnfinishedFolder:
    """A hidden folder that is in use until `remove`.

    Parameters
    ----------
    parent : pathlib.Path
        Where it is made.
    """

    def __init__(self, parent: Path) -> None:
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            try:
                self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            except FileNotFoundError:
                continue  # another run has taken it for a leftover, before it was locked
            if self._hold():
                return
            os.close(self._lock)

    def _hold(self) -> bool:
        """Lock the folder; False if it has been removed meanwhile."""
        if fcntl is not None:
            with suppress(OSError):  # no locks here: then no other run can lock it either
                fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.write(self._lock, socket.gethostname().encode())
        return os.fstat(self._lock).st_nlink > 0

    def remove(self) -> None:
        """Remove the folder and what is in it, as far as the system lets."""
        _remove(self.path)
        os.close(self._lock)


@contextmanager
def unfinished_folder(parent: Path) -> Iterator[Path]:
    """Make a hidden folder that is gone at the end.

    Parameters
    ----------
    parent : pathlib.Path
        Where it is made.

    Yields
    ------
    pathlib.Path
        The folder.
    """
    folder = UnfinishedFolder(parent)
    try:
        yield folder.path
    finally:
        folder.remove()


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Let a file be written completely or not at all.

    Parameters
    ----------
    path : pathlib.Path
        The file. One that exists stays until the new one is complete.

    Yields
    ------
    pathlib.Path
        Where to write, under the same name in a hidden folder beside it: writers put the name
        into headers.

    Raises
    ------
    FileNotFoundError
        If its folder does not exist.
    """
    if not path.parent.is_dir():
        msg = f"{path} cannot be written: folder {path.parent} does not exist"
        raise FileNotFoundError(msg)
    with unfinished_folder(path.parent) as folder:
        unfinished = folder / path.name
        yield unfinished
        unfinished.replace(path)


def remove_leftovers(parent: Path) -> None:
    """Remove the hidden folders of runs that have been killed, and say so.

    Parameters
    ----------
    parent : pathlib.Path
        Where to look. Folders of runs that go on stay, also those of other users, and
        those of other machines, whose locks may not be known here.
    """
    removed, foreign = [], []
    for folder in sorted(parent.glob(f"{PREFIX}*")):
        if folder.is_symlink() or not folder.is_dir():
            continue
        host = _host_of_leftover(folder)
        if host == socket.gethostname():
            removed.append(folder.name)
        elif host:
            foreign.append(f"{folder.name} ({host})")
    if removed:
        log.info(
            "Removed what killed runs had left unfinished in %s: %s", parent, ", ".join(removed)
        )
    if foreign:
        log.info(
            "Unfinished files of runs on other machines are in %s; delete them if no run is "
            "alive there: %s",
            parent,
            ", ".join(foreign),
        )


def _host_of_leftover(folder: Path) -> str:
    """Remove a folder if it is one of a killed run on this machine.

    Returns
    -------
    str
        Machine of the run; nothing if it is alive, or that cannot be known.
    """
    if fcntl is None:
        return ""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR)
    except FileNotFoundError:
        # Killed before it was locked, or about to be: the other run makes another then.
        with suppress(OSError):
            folder.rmdir()
        return ""
    except OSError:
        return ""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        host = os.read(lock, 256).decode(errors="replace") or socket.gethostname()
        if host == socket.gethostname():
            _remove(folder)
            return "" if folder.exists() else host
    except OSError:
        return ""
    else:
        return host
    finally:
        os.close(lock)


def _remove(folder: Path) -> None:
    """Remove a folder, its lock at last: without it nobody would know of the rest."""
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        if path.name == LOCK:
            continue
        with suppress(OSError):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    with suppress(OSError):
        if [path.name for path in folder.iterdir()] == [LOCK]:
            (folder / LOCK).unlink()
        folder.rmdir()
