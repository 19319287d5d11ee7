"""One run of the step on a damaged input, and its outcome."""

import io
import logging
import os
import shutil
import tempfile
import traceback
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stdatamodels.jwst import datamodels

import deflicker
from benchmarks.faults.inputs import INPUTS
from benchmarks.faults.judge import find_damage
from benchmarks.faults.mutations import mutate
from benchmarks.faults.parameters import random_parameters
from deflicker import CleanFlickerNoiseStep

__all__ = ["Case", "Outcome", "Trials", "quiet"]

OURS = str(Path(deflicker.__file__).parent)
DOCUMENTED = (OSError, ValueError, TypeError)
CLEANED = "_clean_flicker_noise.fits"
SEGMENTS = ("jw01234001001", "jw01234001002")
SEVERAL = 0.4  # fraction of the trials of series that include the next segment


@dataclass(frozen=True, kw_only=True)
class Case:
    """Input and parameters of a trial.

    Parameters
    ----------
    number : int
        Number of the trial.
    source : str
        Name of the input.
    kind, what : str
        Kind of the damage, and what was done.
    content : bytes
        The damaged file.
    parameters : dict
        Parameters of the step.
    next_segment : bytes
        Another file of the series, which is not damaged; empty if there is only one input.
    """

    number: int
    source: str
    kind: str
    what: str
    content: bytes
    parameters: dict[str, Any]
    next_segment: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a trial ended.

    Parameters
    ----------
    number : int
        Number of the trial.
    kind : str
        Kind of the damage.
    result : str
        One of `benchmarks.faults.report.RESULTS`.
    group : str
        Text that outcomes with the same cause have in common; empty if there is no fault.
    detail : str
        Full description.
    """

    number: int
    kind: str
    result: str
    group: str = ""
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Trials:
    """All trials; calling it with a number runs the trial of that number.

    Parameters
    ----------
    seed : int
        Seed of the random numbers.
    room : pathlib.Path
        Folder for the folders of the trials.
    inputs : pathlib.Path
        Folder of the inputs.
    kinds : list of str or None
        Kinds of damage to choose from; None for all.
    """

    seed: int
    room: Path
    inputs: Path
    kinds: list[str] | None = None

    def __call__(self, number: int) -> Outcome:
        """Run a trial."""
        return self.run(self.case(number))

    def case(self, number: int) -> Case:
        """Make the case of a trial, which is determined by its number and the seed.

        Parameters
        ----------
        number : int
            Number of the trial.

        Returns
        -------
        Case
            Input and parameters.
        """
        rng = np.random.default_rng([self.seed, number])
        name = list(INPUTS)[rng.integers(len(INPUTS))]
        source = INPUTS[name]
        parameters = random_parameters(rng, instrument=source.scenario.instrument)
        original = (self.inputs / source.file_name(name)).read_bytes()
        content, kind, what = mutate(rng, original, source.extension, kinds=self.kinds)
        is_series = source.series and parameters["background_method"] == "median_image"
        segment = b""
        if is_series and parameters["fit_method"] != "wiener" and rng.random() < SEVERAL:
            segment = original.replace(*(part.encode() for part in SEGMENTS))
        return Case(
            number=number,
            source=name,
            kind=kind,
            what=what,
            content=content,
            parameters=parameters,
            next_segment=segment,
        )

    def run(self, case: Case) -> Outcome:
        """Run the step on a damaged file, and judge the outcome.

        Parameters
        ----------
        case : Case
            Input and parameters.

        Returns
        -------
        Outcome
            How the trial ended. Its folder is removed at the end.
        """
        folder = Path(tempfile.mkdtemp(dir=self.room))
        here = Path.cwd()
        try:
            os.chdir(folder)
            result, group, detail = _run(case, folder)
        except Exception as error:  # noqa: BLE001 - one trial must not end the others
            result, group = "exception", f"{type(error).__name__} in the harness"
            detail = traceback.format_exc()
        finally:
            os.chdir(here)
            shutil.rmtree(folder, ignore_errors=True)
        return Outcome(
            number=case.number, kind=case.kind, result=result, group=group, detail=detail
        )


def _run(case: Case, folder: Path) -> tuple[str, str, str]:
    """Run a case in a folder: result, group and detail."""
    name = INPUTS[case.source].file_name(case.source)
    inputs = {folder / "in" / name: case.content}
    if case.next_segment:
        inputs[folder / "in" / _next_name(name)] = case.next_segment
    (folder / "in").mkdir()
    for path, content in inputs.items():
        path.write_bytes(content)
    out, models, trouble = folder / "out", [], None
    files = [str(path) for path in inputs]
    with quiet(), _step_warnings() as said:
        try:
            models = CleanFlickerNoiseStep.call(
                files if len(files) > 1 else files[0],
                save_results=True,
                output_dir=str(out),
                configure_log=False,
                **case.parameters,
            )
        except (Exception, SystemExit) as error:  # noqa: BLE001 - its type is judged below
            trouble = error
    if any(path.read_bytes() != content for path, content in inputs.items()):
        return "damage", "an input file was changed", ""
    strays = _strays(folder, inputs)
    if strays:
        return "damage", f"left behind: {strays[0]}", str(strays)
    if trouble is not None:
        return _judge_error(trouble, name, out)
    models = models if isinstance(models, list) else [models]
    try:
        return _judge_outputs(list(inputs), out, models, said)
    finally:
        for model in models:
            model.close()


def _judge_outputs(
    inputs: list[Path],
    out: Path,
    models: list[datamodels.JwstDataModel],
    said: list[warnings.WarningMessage],
) -> tuple[str, str, str]:
    """Judge whether the output is damaged."""
    written = sorted(out.glob(f"*{CLEANED}"))
    # The damaged input may have any name in its header; that of the next segment is known.
    known = [file for file in written if file.name.startswith(SEGMENTS[1])]
    written = [file for file in written if file not in known] + known
    if len(written) != len(inputs):
        return "damage", f"{len(written)} output files of {len(inputs)}", ""
    statuses = [str(model.meta.cal_step.clean_flicker_noise) for model in models]
    told = [str(warning.message) for warning in said]
    for path, output, model, status in zip(inputs, written, models, statuses, strict=True):
        damage = find_damage(path, output, model, told=told)
        if damage:
            return "damage", f"{status}: {damage[0].kind}", "; ".join(map(str, damage))
    deep = [warning for warning in said if issubclass(warning.category, RuntimeWarning)]
    if deep:
        place = "/".join(Path(deep[0].filename).parts[-2:])
        return "warning", f"{place}:{deep[0].lineno}", str(deep[0].message)
    return statuses[0], "", ""


def _next_name(name: str) -> str:
    """Name of the next segment of a series."""
    return name.replace(*SEGMENTS)


def _strays(folder: Path, inputs: Collection[Path]) -> list[str]:
    """Files and folders that should not be there after a run."""
    found = [item.relative_to(folder) for item in folder.rglob("*") if item not in inputs]
    hidden = [item for item in found if any(part.startswith(".") for part in item.parts)]
    away = [item for item in found if item.parts[0] != "out" and item != Path("in")]
    return [str(item) for item in hidden + away]


def _judge_error(error: BaseException, name: str, out: Path) -> tuple[str, str, str]:
    """Distinguish a refusal whose message names the file from other exceptions."""
    detail = "".join(traceback.format_exception(error))
    if out.is_dir() and any(out.iterdir()):
        return "damage", "an output beside an exception", detail
    if isinstance(error, DOCUMENTED) and name in str(error):
        return "refused", "", str(error)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(OURS)]
    place = "outside"
    if frames:
        innermost = frames[-1]
        place = f"{Path(innermost.filename).relative_to(OURS)}:{innermost.name}"
    return "exception", f"{type(error).__name__} in {place}", detail


@contextmanager
def quiet() -> Iterator[None]:
    """Print nothing, and log nothing."""
    nowhere = io.StringIO()
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(nowhere), redirect_stderr(nowhere):
            yield
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def _step_warnings() -> Iterator[list[warnings.WarningMessage]]:
    """Collect all warnings in a list that is filled during the run."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield said
