"""Hidden folders for unfinished files, and removal of those that killed runs have left."""

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
except ImportError:  # not a Unix system: folders are made, but leftovers are not removed
    fcntl = None  # type: ignore[assignment]

__all__ = ["UnfinishedFolder", "remove_leftovers", "unfinished_folder", "written_whole"]

log = logging.getLogger(__name__)

PREFIX: Final = ".deflicker-"
# File that the process locks as long as the folder is in use: the system releases a lock when the
# process ends, however it ends.
LOCK: Final = "lock"


class UnfinishedFolder:
    """A hidden folder that is in use until `remove` is called.

    Parameters
    ----------
    parent : pathlib.Path
        Folder in which it is made.
    """

    def __init__(self, parent: Path) -> None:
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            try:
                self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            except FileNotFoundError:
                continue  # another run removed it as a leftover before it was locked
            if self._hold():
                return
            os.close(self._lock)

    def _hold(self) -> bool:
        """Lock the folder; False if it was removed in the meantime."""
        if fcntl is not None:
            with suppress(OSError):  # no locks on this file system: no other run can lock it either
                fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.write(self._lock, socket.gethostname().encode())
        return os.fstat(self._lock).st_nlink > 0

    def remove(self) -> None:
        """Remove the folder and its contents, if the system allows it."""
        _remove(self.path)
        os.close(self._lock)


@contextmanager
def unfinished_folder(parent: Path) -> Iterator[Path]:
    """Make a hidden folder that is removed at the end.

    Parameters
    ----------
    parent : pathlib.Path
        Folder in which it is made.

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
    """Write a file completely or not at all.

    Parameters
    ----------
    path : pathlib.Path
        The file. An existing file stays until the new one is complete.

    Yields
    ------
    pathlib.Path
        File to write, in a hidden folder next to the final one. Its name is the same, because
        writers put the name into headers.

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
    """Remove the hidden folders of runs that were killed, and log their names.

    Parameters
    ----------
    parent : pathlib.Path
        Folder to search. Folders of runs that are still active are kept, also those of other
        users; so are folders of other machines, whose locks may not be visible here.
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
    """Remove a folder if it was left by a killed run on this machine.

    Returns
    -------
    str
        Machine of the killed run; empty if the run is active, or if this cannot be found out.
    """
    if fcntl is None:
        return ""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR)
    except FileNotFoundError:
        # The other run was killed before it locked the folder, or has not locked it yet; in that
        # case it makes another folder.
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
    """Remove a folder, its lock last: without the lock nobody would recognize the rest."""
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        if path.name == LOCK:
            continue
        with suppress(OSError):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    with suppress(OSError):
        if [path.name for path in folder.iterdir()] == [LOCK]:
            (folder / LOCK).unlink()
        folder.rmdir()
