"""Threads over independent pieces of work; numpy's sorts and sums release the GIL."""

import ctypes
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
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
# malloc.h of the GNU C library: M_ARENA_MAX, M_MMAP_THRESHOLD (so that a full frame of float32 is
# returned to the system at once) and M_TRIM_THRESHOLD, which must be set again because setting the
# threshold before it makes it small.
ALLOCATOR = {-8: 1, -3: 1 << 24, -1: 1 << 25}
COMMANDS = ("deflicker", "strun")
FRACTIONS = {"none": 0.0, "quarter": 0.25, "half": 0.5, "all": 1.0}


def available_cores() -> int:
    """Return the number of cores that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux has the CPU affinity
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
    """Make the allocator keep freed pieces of up to 4 MiB for later use.

    The C library of Linux returns large pieces to the system at once, and the system
    clears each page of the next piece, which takes a quarter of the time of small images. A
    piece counts as large if it is larger than any piece that was freed before, so freeing one
    piece of 4 MiB is enough.
    """
    np.empty(KEPT_BYTES, dtype=np.uint8)


def share_freed_memory() -> None:
    """Make threads that are started later take their memory from one pool.

    The GNU C library gives each thread its own pool, and the pools keep the memory of whole
    images that were freed, in pieces: five images for transforms of images on two threads.
    The settings apply to the whole process until it ends, and make small allocations a little
    slower. They are not made without this library, nor in processes other than the commands of
    this package and of stpipe, because other processes may also do other work.
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
    """Apply a function to each item, on several threads, and return the results in order.

    Parameters
    ----------
    function : callable
        Takes one item.
    items : iterable
        The items, taken one by one by the calling thread.
    n_threads : int, optional
        Number of threads, and of results that may wait.
    pool : ThreadPoolExecutor, optional
        Threads to use; by default they are made for this call. The function must not wait for
        other work in the same pool.

    Yields
    ------
    object
        One result per item, in order. An exception is raised in place of the result of its item.
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
            wait(waiting)  # what has begun writes to arrays of the caller
