import subprocess
import sys

import pytest

from deflicker.utils import memory
from deflicker.utils.memory import free_memory, read_memory_limit


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2 GB", 2e9), ("2GB", 2e9), ("1 GiB", 2**30), ("3e6", 3e6), ("none", float("inf"))],
)
def test_limits(text, expected):
    assert read_memory_limit(text) == expected


def test_half_of_the_free_memory(monkeypatch):
    monkeypatch.setattr(memory, "_cgroup_rooms", lambda *_: [600, 900])
    assert read_memory_limit("half") == 300


@pytest.mark.parametrize(
    "text", ["", "much", "-1 GB", "0", "nan", "2 m", "2 GB 3", "1 gb", "50 %", "0.5"]
)
def test_wrong_limits(text):
    with pytest.raises(ValueError, match="memory_limit must be 'half', 'none' or a size"):
        read_memory_limit(text)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space")
def test_a_limit_of_the_address_space_counts():
    code = (
        "import resource, psutil\n"
        "from deflicker.utils.memory import free_memory\n"
        "room = psutil.Process().memory_info().vms + 300_000_000\n"
        "resource.setrlimit(resource.RLIMIT_AS, (room, resource.RLIM_INFINITY))\n"
        "print(free_memory())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 200e6 < int(run.stdout) <= 300e6


GROUPS = {
    2: ("0::/job/step/task", "", ("memory.max", "memory.current"), "inactive_file 300"),
    1: (
        "4:cpu,memory:/job/step/task",
        "memory",
        ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        "inactive_file 7\ntotal_inactive_file 300",
    ),
}


@pytest.mark.parametrize("version", GROUPS)
def test_the_tightest_control_group_counts(tmp_path, version):
    line, top, names, stat = GROUPS[version]
    limits = {"job": ("max", 5), "job/step": ("7000", 2000), "job/step/task": ("9000", 100)}
    for group, values in limits.items():
        folder = tmp_path / top / group
        folder.mkdir(parents=True)
        for name, value in zip(names, values, strict=True):
            (folder / name).write_text(f"{value}\n")
        (folder / "memory.stat").write_text(f"active_file 1\n{stat}\n")
    membership = tmp_path / "cgroup"
    membership.write_text(f"1:name=systemd:/\n{line}\n")
    assert min(memory._cgroup_rooms(membership, tmp_path)) == 7000 - 2000 + 300
    assert memory._cgroup_rooms(tmp_path / "none", tmp_path) == []


def test_no_memory_is_zero(monkeypatch):
    monkeypatch.setattr(memory, "_cgroup_rooms", lambda *_: [-5])
    assert free_memory() == 0
