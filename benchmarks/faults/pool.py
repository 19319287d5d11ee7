"""Trials in separate processes, which may hang or die."""

import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

__all__ = ["forkserver", "run_all"]

ADDRESS_SPACE = 12e9  # bytes; a worker must fail before a damaged size fills the memory
TRIALS_OF_A_WORKER = 250  # then a new worker replaces it, so that leaks do not add up


def forkserver() -> Any:
    """Context for processes in which the step is already imported.

    Returns
    -------
    multiprocessing.context.ForkServerContext
        Its processes are copies of a process without threads.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.faults.warm"])
    return context


class _Worker:
    """A process that runs one trial after another."""

    def __init__(self, context: Any, work: Callable[[int], Any]) -> None:
        self.connection, child = context.Pipe()
        self.process = context.Process(target=_serve, args=(child, work), daemon=True)
        self.process.start()
        child.close()
        self.done = 0
        self.number: int | None = None
        self.deadline = 0.0

    def begin(self, number: int, seconds: float) -> None:
        """Send a trial to the process."""
        self.number, self.deadline = number, time.monotonic() + seconds
        self.done += 1
        self.connection.send(number)

    def stop(self) -> None:
        """End the process in any state."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def _serve(connection: Connection, work: Callable[[int], Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    resource.setrlimit(resource.RLIMIT_AS, (int(ADDRESS_SPACE), resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        try:
            number = connection.recv()
        except EOFError:
            os._exit(0)
        connection.send(work(number))


def run_all(
    work: Callable[[int], Any], numbers: Iterable[int], *, jobs: int, time_limit: float
) -> Iterator[tuple[int, Any]]:
    """Run trials, several at a time.

    Parameters
    ----------
    work : callable
        Takes the number of a trial and returns its outcome; can be pickled.
    numbers : iterable of int
        Numbers of the trials.
    jobs : int
        Number of trials that run at the same time.
    time_limit : float
        Seconds after which a trial is stopped.

    Yields
    ------
    number, outcome : int, object
        Number of the trial and result of ``work``; or as outcome the text ``hang``, or ``crash``
        with a signal or an exit status.
    """
    pool = _Pool(work, numbers, time_limit=time_limit)
    try:
        for _ in range(jobs):
            pool.begin_next(None)
        while pool.busy:
            for worker in pool.finished():
                number, outcome = worker.number, _outcome(worker)
                yield number, outcome
                pool.begin_next(None if isinstance(outcome, str) else worker)
    finally:
        for worker in pool.busy:
            worker.stop()


class _Pool:
    """Workers that are busy, and the trials that remain."""

    def __init__(
        self, work: Callable[[int], Any], numbers: Iterable[int], *, time_limit: float
    ) -> None:
        self.context = forkserver()
        self.work = work
        self.left = iter(numbers)
        self.time_limit = time_limit
        self.busy: list[_Worker] = []

    def begin_next(self, worker: _Worker | None) -> None:
        """Give the next trial to a worker, or to a new one."""
        number = next(self.left, None)
        if worker is not None and (number is None or worker.done >= TRIALS_OF_A_WORKER):
            worker.stop()
            worker = None
        if number is not None:
            worker = worker or _Worker(self.context, self.work)
            worker.begin(number, self.time_limit)
            self.busy.append(worker)

    def finished(self) -> list[_Worker]:
        """Remove and return workers that answered, died or are late; waits if there are none."""
        ready = wait([worker.connection for worker in self.busy], timeout=0.5)
        found = [
            worker
            for worker in self.busy
            if worker.connection in ready or time.monotonic() > worker.deadline
        ]
        self.busy = [worker for worker in self.busy if worker not in found]
        return found


def _outcome(worker: _Worker) -> Any:
    """Answer of a worker, or the reason why there is none."""
    try:
        if worker.connection.poll():
            return worker.connection.recv()
    except (EOFError, ConnectionError):
        worker.process.join()
        code = worker.process.exitcode or 0
        worker.stop()
        # A status that is not negative means that the harness itself failed.
        return f"crash {signal.Signals(-code).name if code < 0 else f'exit status {code}'}"
    worker.stop()
    return "hang"
