import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from deflicker.mission import progress as module

pty = pytest.importorskip("pty")
termios = pytest.importorskip("termios")

WORK = """
import time
from deflicker.mission import progress
progress.DELAY = 0.0
with progress.progress(5, wanted=True) as advance:
    for _ in range(5):
        time.sleep(0.15)
        advance()
"""


def on_a_terminal(env=None, work=WORK):
    """What a process writes to a terminal."""
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 100))
    with subprocess.Popen(
        [sys.executable, "-c", work], stderr=follower, env={**os.environ, **(env or {})}
    ) as process:
        os.close(follower)
        seen = b""
        while True:
            try:
                part = os.read(leader, 4096)
            except OSError:  # the end, on Linux
                break
            if not part:
                break
            seen += part
    os.close(leader)
    assert process.returncode == 0
    return seen.decode()


def test_a_bar_with_rate_and_time_left_on_a_terminal():
    seen = on_a_terminal()
    assert "Cleaning" in seen
    assert re.search(r"[1-4]/5 \[00:0\d<00:0\d, +[\d.]+ ?(difference/s|s/difference)", seen)


def test_the_environment_turns_it_off():
    assert on_a_terminal({"TQDM_DISABLE": "1"}) == ""


def test_no_bar_in_logs():
    run = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=True)
    assert run.stderr == run.stdout == ""


def test_a_parameter_turns_it_off():
    assert on_a_terminal(work=WORK.replace("wanted=True", "wanted=False")) == ""


def test_notebooks_are_found(monkeypatch):
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert module._in_notebook()
    shell.config = {}
    assert not module._in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not module._in_notebook()
