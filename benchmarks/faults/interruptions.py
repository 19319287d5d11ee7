"""Runs that are killed while they write, or whose disk fills up."""

import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.faults.contents import read_content, same_values
from benchmarks.faults.pool import forkserver
from benchmarks.faults.trial import Outcome, quiet
from deflicker import CleanFlickerNoiseStep
from deflicker.models.exposure import model_from_simulation
from deflicker.simulation.exposures import EXPOSURES, simulate

__all__ = ["fill_disks", "kill_runs"]

SIGNALS: Final = ("SIGKILL", "SIGTERM", "SIGINT")
LIMITS: Final = {"memory": "none", "disk": "10 kB"}  # memory_limit
WHERE: Final = tuple(LIMITS)
PATIENCE = 60.0  # seconds
NAME: Final = "jw01234001001_ramp.fits"
CLEANED: Final = "jw01234001001_clean_flicker_noise.fits"
HIDDEN: Final = ".deflicker-*"
OLD: Final = b"a file that was there before"


@dataclass(frozen=True, kw_only=True)
class _Normal:
    """A run without interruption: its time, and arrays and size of its output."""

    seconds: float
    arrays: dict[Any, NDArray]
    size: int


class _Ground:
    """An input, and the outputs of runs without interruption.

    Parameters
    ----------
    folder : pathlib.Path
        Folder for the files; made here.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.source = folder / NAME
        scenario = replace(EXPOSURES["nircam"], shape=(512, 512), n_stars=500)
        with model_from_simulation(simulate(scenario, seed=5)) as model:
            model.zeroframe = model.data[:, 0].copy()
            model.save(str(self.source))
        self.content = self.source.read_bytes()
        self.normal = {where: self._measure(where) for where in LIMITS}

    def _measure(self, where: str) -> _Normal:
        out = self.output_folder(where)
        start = time.monotonic()
        if self.run(out, where) != "COMPLETE":
            msg = "a run that nobody interrupts has failed"
            raise RuntimeError(msg)
        seconds, written = time.monotonic() - start, out / CLEANED
        return _Normal(
            seconds=seconds,
            arrays=read_content(written, strict=True).arrays,
            size=written.stat().st_size,
        )

    def output_folder(self, name: str) -> Path:
        """Make a folder for the output of a run."""
        folder = self.folder / name
        folder.mkdir()
        return folder

    def start(
        self, out: Path, where: str, *, largest_file: int | None = None
    ) -> tuple[Any, Connection]:
        """Start a run in a process, which sends its status or its exception."""
        context = forkserver()
        ours, theirs = context.Pipe(duplex=False)
        arguments = (theirs, self.source, out, LIMITS[where], largest_file)
        process = context.Process(target=_clean, args=arguments)
        process.start()
        theirs.close()
        return process, ours

    def run(self, out: Path, where: str, *, largest_file: int | None = None) -> str:
        """Run, and return the status, the exception, or how the process ended."""
        process, answers = self.start(out, where, largest_file=largest_file)
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            return "hang"
        return f"crash {process.exitcode}" if process.exitcode else answers.recv()

    def trouble(self, out: Path, where: str) -> str:
        """What is wrong with the files: empty if the output is complete, old or absent."""
        if self.source.read_bytes() != self.content:
            return "the input file was changed"
        written = out / CLEANED
        if not written.is_file() or written.read_bytes() == OLD:
            return ""
        try:
            arrays = read_content(written, strict=True).arrays
        except Exception as error:  # noqa: BLE001 - any exception means an incomplete output
            return f"torn output: {type(error).__name__}"
        expected = self.normal[where].arrays
        same = arrays.keys() == expected.keys() and all(
            same_values(array, arrays[key]) for key, array in expected.items()
        )
        return "" if same else "an output that is not that of a run"


def kill_runs(number: int, *, seed: int, room: Path) -> Iterator[Outcome]:
    """Kill runs at random moments, and run again in the same folder.

    Parameters
    ----------
    number : int
        Number of runs, at least one.
    seed : int
        Seed of the random numbers.
    room : pathlib.Path
        Where folders may be made.

    Yields
    ------
    Outcome
        One for each run.
    """
    rng = np.random.default_rng([seed, 1])
    ground = _Ground(room / "killed")
    for count in range(number):
        where = WHERE[count % 2]
        name = SIGNALS[count // 2 % len(SIGNALS)]
        out = ground.output_folder(str(count))
        if rng.random() < 0.5:
            (out / CLEANED).write_bytes(OLD)
        trouble = _kill(rng, ground, out, where, name)
        result = "damage" if trouble else "whole" if _is_new(out) else "absent"
        if not trouble:
            trouble = _run_again(ground, out, where)
            result = "damage" if trouble else result
        yield Outcome(number=count, kind=f"{name[3:]}, {where}", result=result, group=trouble)


def fill_disks(number: int, *, seed: int, room: Path) -> Iterator[Outcome]:
    """Run with a limit of the file size that is smaller than the output needs.

    Parameters
    ----------
    number : int
        Number of runs, at least one.
    seed : int
        Seed of the random numbers.
    room : pathlib.Path
        Where folders may be made.

    Yields
    ------
    Outcome
        One for each run.
    """
    rng = np.random.default_rng([seed, 2])
    ground = _Ground(room / "full")
    for count in range(number):
        where = WHERE[count % 2]
        out = ground.output_folder(str(count))
        size = int(ground.normal[where].size * rng.uniform(0.0, 1.0))
        answer = ground.run(out, where, largest_file=size)
        trouble = "" if answer == "OSError" else f"no OSError that names a file: {answer}"
        trouble = trouble or ground.trouble(out, where)
        if any(out.glob(HIDDEN)):
            trouble = trouble or "leftovers"
        result = "damage" if trouble else "whole" if _is_new(out) else "absent"
        yield Outcome(number=count, kind=f"full, {where}", result=result, group=trouble)


def _kill(rng: Generator, ground: _Ground, out: Path, where: str, name: str) -> str:
    """Kill a run, mostly while it writes; returns what is wrong afterwards."""
    process, _ = ground.start(out, where)
    seconds = ground.normal[where].seconds
    if rng.random() < 0.3:
        time.sleep(rng.uniform(0, seconds))
    else:
        while process.is_alive() and not any(out.glob(HIDDEN)):
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.3 * seconds))
    if process.is_alive():
        os.kill(process.pid, getattr(signal, name))
    process.join(PATIENCE)
    if process.is_alive():
        process.kill()
        return "the signal does not end it"
    if name == "SIGINT" and any(out.glob(HIDDEN)):
        return "leftovers of an interruption"
    return ground.trouble(out, where)


def _run_again(ground: _Ground, out: Path, where: str) -> str:
    """Run again where a run was killed; returns what is wrong afterwards."""
    answer = ground.run(out, where)
    if answer != "COMPLETE":
        return f"the next run ends with {answer}"
    if any(out.glob(HIDDEN)):
        return "leftovers that the next run does not remove"
    return ground.trouble(out, where)


def _is_new(out: Path) -> bool:
    written = out / CLEANED
    return written.is_file() and written.read_bytes() != OLD


def _clean(
    answers: Connection, source: Path, out: Path, limit: str, largest_file: int | None
) -> None:
    """Run the step; called in a separate process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    with quiet():
        try:
            model = CleanFlickerNoiseStep.call(
                str(source),
                save_results=True,
                output_dir=str(out),
                memory_limit=limit,
                configure_log=False,
            )
            answers.send(model.meta.cal_step.clean_flicker_noise)
        except KeyboardInterrupt:
            sys.exit(130)
        except OSError as error:
            answers.send("OSError" if str(out) in str(error) else f"OSError: {error}")
        except Exception as error:  # noqa: BLE001 - its class is sent as the result
            answers.send(f"{type(error).__name__}: {error}")
