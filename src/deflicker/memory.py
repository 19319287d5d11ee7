"""How much memory there is, and how much may be used."""

from pathlib import Path

import psutil
from astropy.units import Quantity, UnitConversionError, byte

__all__ = ["free_memory", "read_memory_limit"]

CGROUP = Path("/sys/fs/cgroup")


def free_memory() -> int:
    """Memory that this process may still take.

    Returns
    -------
    int
        Bytes: what the machine has to spare, or less where a control group (a
        container, a batch job) or a limit of the address space says so.
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
    """What the control groups (version 2) above this process leave, in bytes."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return []
    own = next((line[3:].strip("/") for line in lines if line.startswith("0::")), "")
    folder = root / own
    rooms = []
    for group in (folder, *folder.parents):
        try:
            limit = int((group / "memory.max").read_text())
            rooms.append(limit - int((group / "memory.current").read_text()))
        except (OSError, ValueError):  # no such group, or its limit is "max"
            continue
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
    >>> from deflicker.memory import read_memory_limit
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
        limit = float(size.value if size.unit.is_equivalent("") else size.to_value(byte))
    except (TypeError, ValueError, UnitConversionError):
        limit = 0.0
    if not limit > 0:
        msg = f"memory_limit must be 'half', 'none' or a size such as '4 GB', not {text!r}"
        raise ValueError(msg)
    return limit
