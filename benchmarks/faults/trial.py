"""One damaged input through the step, and what came of it."""

import io
import logging
import os
import shlex
import shutil
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import deflicker
from benchmarks.faults.inputs import INPUTS
from benchmarks.faults.judge import find_damage
from benchmarks.faults.mutations import mutate
from benchmarks.faults.parameters import random_parameters
from deflicker import CleanFlickerNoiseStep

__all__ = ["Case", "Outcome", "Trials", "command", "quiet"]

OURS = str(Path(deflicker.__file__).parent)
DOCUMENTED = (OSError, ValueError, TypeError)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a trial runs.

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
        Of the step.
    """

    number: int
    source: str
    kind: str
    what: str
    content: bytes
    parameters: dict[str, Any]


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
        What outcomes of one cause have in common; empty where all is well.
    detail : str
        What happened, in full.
    """

    number: int
    kind: str
    result: str
    group: str = ""
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Trials:
    """All trials of a run; called with a number, it runs one.

    Parameters
    ----------
    seed : int
        Seed of the run.
    room : pathlib.Path
        Where the trials have their folders.
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
        """Make the case of a trial, which its number and the seed decide.

        Parameters
        ----------
        number : int
            Number of the trial.

        Returns
        -------
        Case
            What to run.
        """
        rng = np.random.default_rng([self.seed, number])
        name = list(INPUTS)[rng.integers(len(INPUTS))]
        source = INPUTS[name]
        parameters = random_parameters(rng, instrument=source.recipe.instrument)
        original = (self.inputs / source.file_name(name)).read_bytes()
        content, kind, what = mutate(rng, original, source.extension, kinds=self.kinds)
        return Case(
            number=number, source=name, kind=kind, what=what, content=content, parameters=parameters
        )

    def run(self, case: Case) -> Outcome:
        """Run the step on a damaged file, and judge what came of it.

        Parameters
        ----------
        case : Case
            What to run.

        Returns
        -------
        Outcome
            How it ended. The folder of the trial is gone then.
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
    path = folder / "in" / INPUTS[case.source].file_name(case.source)
    path.parent.mkdir()
    path.write_bytes(case.content)
    out = folder / "out"
    model, trouble = None, None
    with quiet(), _step_warnings() as said:
        try:
            model = CleanFlickerNoiseStep.call(
                str(path),
                save_results=True,
                output_dir=str(out),
                configure_log=False,
                **case.parameters,
            )
        except (Exception, SystemExit) as error:  # noqa: BLE001 - what it is, is the question
            trouble = error
    if path.read_bytes() != case.content:
        return "damage", "the input file was changed", ""
    strays = _strays(folder, path)
    if strays:
        return "damage", f"left behind: {strays[0]}", str(strays)
    if trouble is not None:
        return _judge_error(trouble, path, out)
    status = model.meta.cal_step.clean_flicker_noise
    damage = find_damage(path, out, model, told=[str(warning.message) for warning in said])
    model.close()
    if damage:
        return "damage", f"{status}: {damage[0].kind}", "; ".join(map(str, damage))
    deep = [warning for warning in said if issubclass(warning.category, RuntimeWarning)]
    if deep:
        first = deep[0]
        place = "/".join(Path(first.filename).parts[-2:])
        return "warning", f"{place}:{first.lineno}", str(first.message)
    return str(status), "", ""


def _strays(folder: Path, path: Path) -> list[str]:
    """Files and folders that should not be there after a run."""
    found = [item.relative_to(folder) for item in folder.rglob("*") if item != path]
    hidden = [item for item in found if any(part.startswith(".") for part in item.parts)]
    away = [item for item in found if item.parts[0] != "out" and item != Path("in")]
    return [str(item) for item in hidden + away]


def _judge_error(error: BaseException, path: Path, out: Path) -> tuple[str, str, str]:
    """Tell a refusal, which names the file, from what should not happen."""
    detail = "".join(traceback.format_exception(error))
    if out.is_dir() and any(out.iterdir()):
        return "damage", "an output beside an exception", detail
    if isinstance(error, DOCUMENTED) and path.name in str(error):
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
    """Collect all warnings; the list is filled meanwhile."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield said


def command(case: Case) -> str:
    """Parameters as the command line has them.

    Parameters
    ----------
    case : Case
        A case.

    Returns
    -------
    str
        For ``strun deflicker FILE``.
    """
    words = []
    for name, value in case.parameters.items():
        shown = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        words.append(f"--{name}={shlex.quote(shown)}")
    return " ".join(words)
