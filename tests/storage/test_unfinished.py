"""Hidden folders of unfinished files, and what killed runs leave of them."""

import logging
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deflicker import CleanFlickerNoiseStep
from deflicker.storage.unfinished import LOCK, UnfinishedFolder, remove_leftovers, unfinished_folder

pytest.importorskip("fcntl")

HOLD = """
import sys
from pathlib import Path
from deflicker.storage.unfinished import UnfinishedFolder
folder = UnfinishedFolder(Path())
(folder.path / "1").write_bytes(b"much")
(folder.path / "below").mkdir()
(folder.path / "below" / "2").touch()
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other():
    """Another process with a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    folder = Path(process.stdout.readline().strip())
    yield process, folder
    process.kill()
    process.communicate()


def test_a_folder_is_gone_at_the_end():
    with unfinished_folder(Path()) as folder:
        (folder / "1").touch()
        # The same file, whether its path is absolute (Python 3.12) or not.
        (only,) = Path().iterdir()
        assert only.samefile(folder)
        remove_leftovers(Path())  # of the same process, too
        assert (folder / "1").exists()
    assert not list(Path().iterdir())


def test_of_a_killed_process(other, caplog):
    process, folder = other
    with caplog.at_level(logging.INFO):
        remove_leftovers(Path())
        assert (folder / "below" / "2").exists()
        assert not caplog.text
        process.send_signal(signal.SIGKILL)
        process.wait()
        remove_leftovers(Path())
    assert not list(Path().iterdir())
    assert "Removed what killed runs had left unfinished" in caplog.text
    assert folder.name in caplog.text


@pytest.mark.parametrize("parameters", [{"save_results": True}, {"save_mask": True}])
def test_the_next_run_removes_them(other, ramp_file, caplog, parameters):
    process, folder = other
    process.send_signal(signal.SIGKILL)
    process.wait()
    with unfinished_folder(Path()) as alive, caplog.at_level(logging.INFO):
        CleanFlickerNoiseStep.call(ramp_file, **parameters).close()
        assert not folder.exists()
        assert alive.exists()
    assert caplog.text.count("Removed what killed runs") == 1


def test_of_another_machine(monkeypatch, caplog):
    """A lock may not be known here: the folder stays, and is named."""
    folder = UnfinishedFolder(Path())
    os.close(folder._lock)
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    with caplog.at_level(logging.INFO):
        remove_leftovers(Path())
    assert folder.path.exists()
    assert folder.path.name in caplog.text
    assert "other machines" in caplog.text


def test_of_another_user(other, monkeypatch):
    """Whose lock cannot even be opened."""
    process, folder = other
    process.send_signal(signal.SIGKILL)
    process.wait()

    def refuse(*_arguments):
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    remove_leftovers(Path())
    assert (folder / LOCK).exists()


def test_killed_before_the_lock():
    Path(".deflicker-empty").mkdir()
    Path(".deflicker-full").mkdir()
    Path(".deflicker-full/mine").touch()
    Path(".deflicker-file").touch()
    Path("folder").mkdir()
    Path(".deflicker-link").symlink_to("folder")
    remove_leftovers(Path())
    assert sorted(path.name for path in Path().iterdir()) == [
        ".deflicker-file", ".deflicker-full", ".deflicker-link", "folder"
    ]  # fmt: skip


def test_taken_for_a_leftover_before_it_was_locked(monkeypatch):
    """Then it makes another."""
    real, made = os.open, []

    def late(path, *arguments):
        made.append(Path(path).parent)
        if len(made) == 1:
            made[0].rmdir()
        return real(path, *arguments)

    monkeypatch.setattr(os, "open", late)
    folder = UnfinishedFolder(Path())
    assert len(made) == 2
    assert folder.path == made[1]
    folder.remove()
    assert not list(Path().iterdir())
