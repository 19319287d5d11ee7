"""How much memory is free, and how much may be used."""

from pathlib import Path

import psutil
from astropy.units import Quantity, UnitConversionError, byte, dimensionless_unscaled

__all__ = ["free_memory", "read_memory_limit"]

CGROUP = Path("/sys/fs/cgroup")
# For each version of control groups: the file with the limit, the file with the memory in use, and
# the field of memory.stat with the part of it that caches files.
VERSION_2 = ("memory.max", "memory.current", "inactive_file ")
VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ")


def free_memory() -> int:
    """Memory that this process may still take.

    Returns
    -------
    int
        Bytes available on the machine, or fewer if a control group (of a container or a batch
        job) or a limit of the address space allows less.
    """
    process = psutil.Process()
    rooms = [psutil.virtual_memory().available]
    if hasattr(process, "rlimit"):  # Linux
        limit, _ = process.rlimit(psutil.RLIMIT_AS)
        if limit != psutil.RLIM_INFINITY:
            rooms.append(limit - process.memory_info().vms)
    rooms += _cgroup_rooms(Path("/proc/self/cgroup"), CGROUP)
    return max(0, min(rooms))


def _cgroup_rooms(membership: Path, root: Path) -> list[int]:
    """Bytes that each of the control groups of this process leaves free."""
    try:
        lines = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:
        return []
    rooms = []
    for number, controllers, path in lines:
        if number == "0":
            folder, names = root / path.strip("/"), VERSION_2
        elif "memory" in controllers.split(","):
            folder, names = root / "memory" / path.strip("/"), VERSION_1
        else:
            continue
        for group in (folder, *folder.parents):
            try:
                limit, used = (int((group / name).read_text()) for name in names[:2])
                stat = (group / "memory.stat").read_text().splitlines()
                cached = next(int(line.split()[1]) for line in stat if line.startswith(names[2]))
            except (OSError, ValueError, StopIteration):  # no such group, or its limit is "max"
                continue
            # Cached files count as used memory, but the system frees them when it is needed.
            rooms.append(limit - used + cached)
    return rooms


def read_memory_limit(text: str) -> float:
    """Translate ``memory_limit`` into bytes.

    Parameters
    ----------
    text : str
        ``half`` (of the free memory), ``none`` (no limit), or a number of bytes, with or
        without a unit: ``2 GB``.

    Returns
    -------
    float
        Bytes; infinity for ``none``.

    Raises
    ------
    ValueError
        If the text is none of these.

    Examples
    --------
    >>> from deflicker.utils.memory import read_memory_limit
    >>> read_memory_limit("1.5 GB")
    1500000000.0
    """
    word = text.strip().lower()
    if word == "half":
        return free_memory() / 2
    if word == "none":
        return float("inf")
    try:
        size = Quantity(text)
        plain = size.unit == dimensionless_unscaled
        limit = float(size.value if plain else size.to_value(byte))
    except (TypeError, ValueError, UnitConversionError):
        limit = 0.0
    if not limit >= 1:
        msg = f"memory_limit must be 'half', 'none' or a size such as '4 GB', not {text!r}"
        raise ValueError(msg)
    return limit
