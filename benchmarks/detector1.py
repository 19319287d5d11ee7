"""Whole runs of Detector1, from raw exposure to rate, with and without this package.

Run with ``python -m benchmarks.detector1`` where the jwst package is installed. The
pipeline finds jumps and saturation itself, and reads its reference files from a local
CRDS cache; steps are skipped if no realistic reference files can be made for them.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from stdatamodels.jwst import datamodels

from deflicker.detector.dq import DO_NOT_USE
from deflicker.models.exposure import model_from_simulation
from deflicker.simulation.exposures import (
    DETECTORS,
    EXPOSURES,
    Scenario,
    SimulatedExposure,
    simulate,
)
from support.local_crds import write_references
from support.runs import run_process

__all__ = ["CASES", "RUNS", "Row", "failures", "raw_model", "references", "run_case"]

_WINDOW = {"n_outputs": 1, "border": 0}
CASES: dict[str, tuple[Scenario, dict[str, str]]] = {
    "nircam": (
        replace(
            EXPOSURES["nircam"],
            subarray="SUB640",
            shape=(640, 640),
            group_time=4.18584,
            n_stars=1465,
            **_WINDOW,
        ),
        {},
    ),
    "niriss": (
        replace(
            EXPOSURES["niriss"],
            subarray="SUB256",
            shape=(256, 256),
            group_time=0.7441,
            n_stars=234,
            **_WINDOW,
        ),
        {},
    ),
    "nirspec": (replace(EXPOSURES["nirspec-bots"], n_integrations=4), {"fit_method": "fft"}),
    "miri": (
        replace(
            EXPOSURES["miri"],
            subarray="SUB256",
            shape=(256, 256),
            group_time=0.29952,
            n_stars=248,
        ),
        {},
    ),
}
# For each run the pipeline, and the settings of its step clean_flicker_noise.
RUNS = {
    "hook": ("jwst.pipeline", {"skip": True, "hook": True}),
    "pipeline": ("deflicker.pipeline", {"skip": False}),
    "jwst": ("jwst.pipeline", {"skip": False}),
    "none": ("jwst.pipeline", {"skip": True}),
}
OURS = ("hook", "pipeline")
REAL_STEPS = ("dq_init", "saturation", "linearity", "jump", "ramp_fit", "gain_scale")
SLOT = "clean_flicker_noise"
CODE = f"""
import json, sys
from importlib import import_module
from deflicker import CleanFlickerNoiseStep
source, target, module, slot, parameters, real = sys.argv[1:]
slot, parameters = json.loads(slot), json.loads(parameters)
pipeline = import_module(module).Detector1Pipeline
steps = {{name: {{"skip": name not in real.split()}} for name in pipeline.step_defs}}
if slot.pop("hook", False):
    slot["post_hooks"] = [CleanFlickerNoiseStep(**parameters)]
else:
    slot.update(parameters)
steps["{SLOT}"] = slot
pipeline.call(source, steps=steps).save(target)
"""
OFFSET = 1000
TOLERANCE = 1.001
HEADER = (
    f"{'exposure':10}{'run':10}{'scatter':>10}{'level':>10}{'of jwst':>9}"
    f"  {'status':10}{'seconds':>8}"
)


@dataclass(frozen=True)
class Row:
    """How far the rate image of a run is from the truth.

    Parameters
    ----------
    case, run : str
        Names from `CASES` and `RUNS`.
    scatter, level : float
        Robust scatter (1.4826 times the median absolute deviation) and median of rate
        minus truth, in DN/s.
    status : str
        ``S_CLNFNS`` of the rate image.
    seconds : float
        Wall time of the process.
    """

    case: str
    run: str
    scatter: float
    level: float
    status: str
    seconds: float


def main() -> None:
    """Print the table; exit with 1 if a run with this package's step fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detector1", description=__doc__)
    parser.add_argument("--case", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print("Scatter and median of rate minus truth in DN/s, over pixels that see mostly sky.")
    print(HEADER)
    rows = []
    for case in options.case:
        with tempfile.TemporaryDirectory() as name:
            found = run_case(case, Path(name), options.seed)
        stock = next(row.scatter for row in found if row.run == "jwst")
        for row in found:
            print(
                f"{row.case:10}{row.run:10}{row.scatter:10.4f}{row.level:10.4f}"
                f"{row.scatter / stock:9.4f}  {row.status:10}{row.seconds:8.1f}",
                flush=True,
            )
        rows += found
    problems = failures(rows)
    print(*problems, sep="\n", end="\n" if problems else "")
    sys.exit(bool(problems))


def run_case(name: str, folder: Path, seed: int) -> list[Row]:
    """Simulate an exposure, run the pipelines on it and compare their rates with the truth.

    Parameters
    ----------
    name : str
        Key of `CASES`.
    folder : pathlib.Path
        Folder for temporary files.
    seed : int
        Seed of the random numbers.

    Returns
    -------
    list of Row
        One for each of `RUNS`, all measured on the same pixels.
    """
    scenario, parameters = CASES[name]
    truth = simulate(scenario, seed=seed)
    cache = write_references(folder / "crds", scenario.instrument.lower(), references(truth))
    env = {**os.environ, **cache, "STPIPE_DISABLE_CRDS_STEPPARS": "true"}
    source = folder / "exposure_uncal.fits"
    with raw_model(truth) as model:
        model.save(str(source))
    rates, seconds = {}, {}
    for run, (module, slot) in RUNS.items():
        target = folder / f"{run}_rate.fits"
        chosen = {} if run == "none" else parameters
        words = [str(source), str(target), module, json.dumps(slot), json.dumps(chosen)]
        command = [sys.executable, "-c", CODE, *words, " ".join(REAL_STEPS)]
        seconds[run] = run_process(command, env).seconds
        rates[run] = target
    return _compare(name, truth, rates, seconds)


def raw_model(truth: SimulatedExposure) -> datamodels.Level1bModel:
    """Put a simulated exposure into a raw data model, as it comes from the telescope.

    Parameters
    ----------
    truth : SimulatedExposure
        The exposure; its flags are left out.

    Returns
    -------
    Level1bModel
        Values in whole DN, `OFFSET` higher than the simulated ones.
    """
    scenario = truth.scenario
    counts = np.rint(np.nan_to_num(truth.data) + OFFSET)
    model = datamodels.Level1bModel(data=np.clip(counts, 0, 65535).astype(np.uint16))
    with model_from_simulation(truth) as ramp:
        model.update(ramp)
    exposure = model.meta.exposure
    exposure.readpatt = "FASTR1" if scenario.instrument == "MIRI" else "RAPID"
    exposure.frame_divisor = 1
    exposure.drop_frames1 = 0
    exposure.nresets_at_start = 1
    exposure.integration_time = scenario.n_groups * scenario.group_time
    exposure.exposure_time = scenario.n_integrations * exposure.integration_time
    model.meta.filename = "exposure_uncal.fits"
    model.meta.observation.time_series = scenario.exp_type == "NRS_BRIGHTOBJ"
    return model


def references(truth: SimulatedExposure) -> dict[str, NDArray]:
    """Reference files of the simulated detector.

    Parameters
    ----------
    truth : SimulatedExposure
        The exposure.

    Returns
    -------
    dict
        For each reference type an array with the shape of the exposure.
    """
    scenario = truth.scenario
    shape = scenario.shape
    # Read-noise files in CRDS give the noise of the difference of two reads, including flicker.
    one_read = np.hypot.reduce(astuple(scenario.noise or DETECTORS[scenario.instrument]))
    return {
        "gain": np.ones(shape, dtype=np.float32),
        "linearity": np.stack([np.zeros(shape), np.ones(shape)]).astype(np.float32),
        "mask": truth.pixel_dq & np.uint32(DO_NOT_USE),
        "readnoise": np.full(shape, np.sqrt(2) * one_read, dtype=np.float32),
        "saturation": np.full(shape, scenario.saturation + OFFSET, dtype=np.float32),
    }


def _compare(
    case: str, truth: SimulatedExposure, rates: Mapping[str, Path], seconds: Mapping[str, float]
) -> list[Row]:
    scenario = truth.scenario
    noise = scenario.noise or DETECTORS[scenario.instrument]
    # Pixels whose photon noise is smaller than the read noise of a difference.
    some = (truth.scene < 2 * noise.white**2) & ((truth.pixel_dq & DO_NOT_USE) == 0)
    residuals = {}
    for run, path in rates.items():
        residuals[run] = fits.getdata(path, "SCI") - truth.scene / scenario.group_time
        some &= np.isfinite(residuals[run]) & ((fits.getdata(path, "DQ") & DO_NOT_USE) == 0)
    rows = []
    for run, path in rates.items():
        values = residuals[run][some].astype(np.float64)
        level = float(np.median(values))
        scatter = 1.4826 * float(np.median(np.abs(values - level)))
        status = fits.getheader(path).get("S_CLNFNS", "")
        rows.append(Row(case, run, scatter, level, status, seconds[run]))
    return rows


def failures(rows: list[Row]) -> list[str]:
    """Find out what is wrong with the runs with this package's step.

    Parameters
    ----------
    rows : list of Row
        From `run_case`.

    Returns
    -------
    list of str
        One line for each run that is not COMPLETE, or farther from the truth than the stock
        pipeline's own cleaning.
    """
    stock = {row.case: row.scatter for row in rows if row.run == "jwst"}
    problems = []
    for row in rows:
        if row.run not in OURS:
            continue
        if row.status != "COMPLETE":
            problems.append(f"{row.case}, {row.run}: the status is {row.status or 'missing'}")
        if not row.scatter <= TOLERANCE * stock[row.case]:
            problems.append(f"{row.case}, {row.run}: farther from the truth than jwst")
    return problems


if __name__ == "__main__":
    main()
