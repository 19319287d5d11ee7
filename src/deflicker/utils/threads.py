"""Threads over independent pieces of work; numpy's sorts and sums release the GIL."""

import ctypes
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

import numpy as np

__all__ = [
    "available_cores",
    "count_threads",
    "keep_freed_memory",
    "map_in_order",
    "share_freed_memory",
]

Item = TypeVar("Item")
Result = TypeVar("Result")

KEPT_BYTES = 1 << 22
# malloc.h of the GNU C library: M_ARENA_MAX, M_MMAP_THRESHOLD (a full frame of float32 is
# given back at once) and M_TRIM_THRESHOLD, which is small again where the other is set.
ALLOCATOR = {-8: 1, -3: 1 << 24, -1: 1 << 25}
COMMANDS = ("deflicker", "strun")
FRACTIONS = {"none": 0.0, "quarter": 0.25, "half": 0.5, "all": 1.0}


def available_cores() -> int:
    """Return the number of cores that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux tells the affinity
        return os.cpu_count() or 1


def count_threads(maximum_cores: str) -> int:
    """Translate the pipeline's ``maximum_cores`` into a number of threads.

    Parameters
    ----------
    maximum_cores : str
        ``none`` (one thread), ``quarter``, ``half``, ``all`` or a positive number.

    Returns
    -------
    int
        At least 1 and at most the cores of the process's CPU affinity.

    Raises
    ------
    ValueError
        If the text is none of these.

    Examples
    --------
    >>> from deflicker.utils.threads import count_threads
    >>> count_threads("none")
    1
    """
    cores = available_cores()
    text = maximum_cores.strip().lower()
    if text in FRACTIONS:
        return max(1, int(cores * FRACTIONS[text]))
    if text.isdecimal() and int(text) > 0:
        return min(int(text), cores)
    msg = (
        "maximum_cores must be 'none', 'quarter', 'half', 'all' or a positive number, "
        f"not {maximum_cores!r}"
    )
    raise ValueError(msg)


def keep_freed_memory() -> None:
    """Make the allocator keep pieces of up to 4 MiB that are freed, for the next ones.

    The C library of Linux gives large pieces back to the system at once, and the system
    clears each page of the next one: a quarter of the time of small images. It counts
    as large what is larger than anything that was freed before.
    """
    np.empty(KEPT_BYTES, dtype=np.uint8)


def share_freed_memory() -> None:
    """Make threads that are still to be started take their memory from one pool.

    The GNU C library gives each thread a pool of its own, and lets pools keep whole images
    that are freed, in pieces: with transforms of images on two threads that is five images.
    The settings are those of the process for as long as it lives, and cost what is allocated
    in small pieces a little time. They are left out where there is no such library, and in
    processes that are not a command of ours or of stpipe: these may do other things too.
    """
    if sys.platform == "linux" and Path("".join(sys.argv[:1])).name in COMMANDS:
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            for option, value in ALLOCATOR.items():
                mallopt(option, value)


def map_in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    n_threads: int = 1,
    pool: ThreadPoolExecutor | None = None,
) -> Iterator[Result]:
    """Apply a function to each item, on several threads, and give the results in order.

    Parameters
    ----------
    function : callable
        Takes one item.
    items : iterable
        The items, taken one by one by the calling thread.
    n_threads : int, optional
        Number of threads, and of results that may wait.
    pool : ThreadPoolExecutor, optional
        Threads for work that is done again and again; made for this one by default. What they
        do must not wait for other work in the same pool.

    Yields
    ------
    object
        One result per item, in order. The first exception is raised in its place.
    """
    if n_threads <= 1:
        yield from map(function, items)
        return
    with nullcontext(pool) if pool is not None else ThreadPoolExecutor(n_threads) as threads:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(threads.submit(function, item))
                if len(waiting) > n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
