"""Whole runs of steps, from file to file, each in its own process."""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from astropy.io import fits
from numpy.typing import NDArray

from deflicker import Exposure
from deflicker.errors import CannotClean
from deflicker.models.exposure import may_hold_stars, model_from_simulation
from deflicker.simulation.exposures import Scenario, SimulatedExposure, simulate
from support.local_crds import write_ramp_references

__all__ = [
    "SNOWBLIND",
    "Cleaner",
    "Run",
    "clean_elsewhere",
    "cleaners",
    "environment",
    "exposure_of",
    "run_process",
    "run_step",
    "write_case",
    "write_case_elsewhere",
    "write_ramp",
]

SNOWBLIND = "snowblind"
DETECTORS = {
    "miri": (1024, 1032),
    "nircam": (2048, 2048),
    "niriss": (2048, 2048),
    "nirspec": (2048, 2048),
}


@dataclass(frozen=True)
class Run:
    """Cost of a process.

    Parameters
    ----------
    seconds : float
        Wall time.
    megabytes : float
        Peak resident memory.
    """

    seconds: float
    megabytes: float


@dataclass(frozen=True)
class Cleaner:
    """A step that can be compared.

    Parameters
    ----------
    name : str
        Package of the step.
    step : str
        Class of the step.
    python : pathlib.Path
        Interpreter of the environment in which the package is installed.
    """

    name: str
    step: str
    python: Path


def cleaners(jwst_python: Path | None, snowblind_python: Path | None = None) -> list[Cleaner]:
    """The step of this package, and those of other packages if they are installed.

    Parameters
    ----------
    jwst_python : pathlib.Path or None
        Interpreter of an environment with jwst; this one by default.
    snowblind_python : pathlib.Path, optional
        Interpreter of an environment with jwst and snowblind; none by default.

    Returns
    -------
    list of Cleaner
        The step of this package is the first.
    """
    here = Path(sys.executable)
    found = [Cleaner("deflicker", "deflicker.CleanFlickerNoiseStep", here)]
    if jwst_python or find_spec("jwst"):
        step = "jwst.clean_flicker_noise.CleanFlickerNoiseStep"
        found.append(Cleaner("jwst", step, jwst_python or here))
    if snowblind_python:
        found.append(Cleaner(SNOWBLIND, "snowblind.StreamCleanStep", snowblind_python))
    return found


def environment(folder: Path) -> dict[str, str]:
    """Environment of a run without a network, with the CRDS cache that jwst's step needs.

    Parameters
    ----------
    folder : pathlib.Path
        Folder for the cache.

    Returns
    -------
    dict
        Environment variables.
    """
    cache = write_ramp_references(folder / "crds", DETECTORS)
    return {**os.environ, **cache, "STPIPE_DISABLE_CRDS_STEPPARS": "true"}


def exposure_of(truth: SimulatedExposure) -> Exposure:
    """Convert a simulated exposure for `clean_exposure`.

    Parameters
    ----------
    truth : SimulatedExposure
        The exposure.

    Returns
    -------
    Exposure
        Views of the same arrays.
    """
    return Exposure(
        data=truth.data,
        pixel_dq=truth.pixel_dq,
        group_dq=truth.group_dq,
        readout=truth.scenario.readout,
        group_time=truth.scenario.group_time,
        has_stars=may_hold_stars(truth.scenario.exp_type),
    )


def write_case(scenario: Scenario, path: Path, *, seed: int) -> SimulatedExposure:
    """Simulate an exposure and write its ramp.

    Parameters
    ----------
    scenario : Scenario
        Scenario to simulate.
    path : pathlib.Path
        File to write.
    seed : int
        Seed of the random numbers.

    Returns
    -------
    SimulatedExposure
        The truth.
    """
    truth = simulate(scenario, seed=seed)
    write_ramp(truth, path)
    return truth


def write_ramp(truth: SimulatedExposure, path: Path) -> None:
    """Write the ramp of a simulated exposure.

    Parameters
    ----------
    truth : SimulatedExposure
        The exposure.
    path : pathlib.Path
        File to write.
    """
    with model_from_simulation(truth) as model:
        model.save(str(path))


def write_case_elsewhere(scenario: Scenario, path: Path, *, seed: int) -> None:
    """Simulate an exposure and write its ramp in another process.

    A new process inherits the peak memory of the process that starts it, so a process that
    measures memory must never have held an exposure itself.

    Parameters
    ----------
    scenario : Scenario
        Scenario to simulate.
    path : pathlib.Path
        File to write.
    seed : int
        Seed of the random numbers.
    """
    process = multiprocessing.get_context("spawn").Process(
        target=write_case, args=(scenario, path), kwargs={"seed": seed}
    )
    process.start()
    process.join()
    if process.exitcode:
        msg = f"the simulation of {path.name} failed"
        raise RuntimeError(msg)


def run_process(
    command: Sequence[str], env: Mapping[str, str], *, address_space: float | None = None
) -> Run:
    """Run a command and measure it.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.
    env : mapping
        Environment variables.
    address_space : float, optional
        Hard limit of the address space in gigabytes.

    Returns
    -------
    Run
        Its cost.

    Raises
    ------
    RuntimeError
        If the command fails; with the end of its output.
    """
    if address_space is not None:
        command = ["prlimit", f"--as={int(address_space * 1e9)}", *command]
    start = time.perf_counter()
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        output = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        msg = f"{' '.join(command)} failed:\n{output[-2000:]}"
        raise RuntimeError(msg)
    # The unit of the peak memory is kibibytes on Linux and bytes on macOS.
    unit = 1e6 if sys.platform == "darwin" else 1e6 / 1024
    return Run(time.perf_counter() - start, usage.ru_maxrss / unit)


def run_step(
    cleaner: Cleaner,
    source: Path,
    target: Path,
    parameters: Sequence[str],
    env: Mapping[str, str],
    *,
    address_space: float | None = None,
) -> Run:
    """Clean a file in a separate process, with ``strun``.

    Parameters
    ----------
    cleaner : Cleaner
        The step.
    source, target : pathlib.Path
        Ramp and cleaned ramp; their names differ only in the suffix.
    parameters : sequence of str
        Parameters as on the command line of ``strun``.
    env : mapping
        Environment variables.
    address_space : float, optional
        Hard limit of the address space in gigabytes.

    Returns
    -------
    Run
        Its cost.
    """
    strun = cleaner.python.with_name("strun")
    suffix = target.stem.rpartition("_")[2]
    fixed = ["--skip=false", f"--output_dir={target.parent}", f"--suffix={suffix}"]
    command = [str(strun), cleaner.step, str(source), *fixed, *parameters]
    return run_process(command, env, address_space=address_space)


def clean_elsewhere(
    truth: SimulatedExposure,
    cleaner: Cleaner,
    parameters: Sequence[str],
    *,
    folder: Path,
    env: Mapping[str, str],
) -> NDArray:
    """Clean a simulated exposure with a step in a separate process.

    Parameters
    ----------
    truth : SimulatedExposure
        The exposure.
    cleaner : Cleaner
        The step.
    parameters : sequence of str
        Parameters as on the command line of ``strun``.
    folder : pathlib.Path
        Folder for temporary files.
    env : mapping
        Environment variables.

    Returns
    -------
    ndarray of float, shape (n_integrations, n_groups, ny, nx)
        Cleaned ramps in DN.

    Raises
    ------
    CannotClean
        If the status of the step is not COMPLETE.
    RuntimeError
        If the step fails; with the end of its output.
    """
    source, target = folder / "exposure_ramp.fits", folder / "exposure_cleaned.fits"
    write_ramp(truth, source)
    # The output of an earlier run must not be taken for the result of this one.
    target.unlink(missing_ok=True)
    run_step(cleaner, source, target, parameters, env)
    status = fits.getheader(target).get("S_CLNFNS", "COMPLETE")
    if status != "COMPLETE":
        msg = f"{cleaner.name} ended {status}"
        raise CannotClean(msg)
    return fits.getdata(target, "SCI")
