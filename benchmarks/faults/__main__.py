"""Run the step on damaged inputs, and count the outcomes.

Run with ``python -m benchmarks.faults``. The exit status is 1 if a run hangs, crashes or raises
an exception that is not documented, or if an output is damaged without a message.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.faults.inputs import write_inputs
from benchmarks.faults.interruptions import fill_disks, kill_runs
from benchmarks.faults.mutations import KINDS
from benchmarks.faults.parameters import as_words
from benchmarks.faults.pool import run_all
from benchmarks.faults.report import BAD, print_groups, print_table
from benchmarks.faults.trial import Outcome, Trials

WITHOUT_CRDS = ("CRDS_PATH", "CRDS_SERVER_URL", "CRDS_CONTEXT")


def main() -> int:
    """Run the trials that the command line asks for.

    Returns
    -------
    int
        Exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--kinds",
        nargs="*",
        choices=KINDS,
        metavar="KIND",
        help=f"kinds of damage: {', '.join(KINDS)}",
    )
    parser.add_argument("--kill", type=int, default=0, help="runs to kill while they write")
    parser.add_argument("--full-disk", type=int, default=0, help="runs on a disk that fills up")
    parser.add_argument("--jobs", type=int, default=2, help="trials at a time")
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds of a trial")
    parser.add_argument("--show", type=int, default=2, help="commands of each cause")
    parser.add_argument("--only", type=int, help="run only this trial, with all details")
    parser.add_argument("--keep", type=Path, help="with --only: write the damaged file there")
    options = parser.parse_args()
    for name in WITHOUT_CRDS:
        os.environ.pop(name, None)
    os.environ["STPIPE_DISABLE_CRDS_STEPPARS"] = "true"
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        inputs = Path(folder) / "inputs"
        inputs.mkdir()
        write_inputs(inputs)
        trials = Trials(seed=options.seed, room=Path(folder), inputs=inputs, kinds=options.kinds)
        if options.only is not None:
            return _run_one(trials, options.only, options.keep)
        return _run_many(trials, options)


def _run_one(trials: Trials, number: int, keep: Path | None) -> int:
    """Run one trial in this process."""
    case = trials.case(number)
    if keep is not None:
        keep.write_bytes(case.content)
    print(f"{case.source}, {case.kind}: {case.what}\n{as_words(case.parameters)}")
    outcome = trials.run(case)
    print(f"{outcome.result} {outcome.group}\n{outcome.detail}")
    return int(outcome.result in BAD)


def _as_outcome(answer: Outcome | str, number: int, trials: Trials) -> Outcome:
    """Outcome of a trial, also if its process did not answer."""
    if isinstance(answer, Outcome):
        return answer
    result, _, group = answer.partition(" ")
    return Outcome(number=number, kind=trials.case(number).kind, result=result, group=group)


def _run_many(trials: Trials, options: argparse.Namespace) -> int:
    """Run all trials, and print their outcomes."""
    start = time.monotonic()
    outcomes = []
    answers = run_all(
        trials, range(options.trials), jobs=options.jobs, time_limit=options.time_limit
    )
    with contextlib.suppress(KeyboardInterrupt):  # print the outcomes up to then
        for number, answer in answers:
            outcome = _as_outcome(answer, number, trials)
            outcomes.append(outcome)
            if outcome.result in BAD:
                print(
                    f"trial {number}: {outcome.result} {outcome.group}", file=sys.stderr, flush=True
                )
            if len(outcomes) % 500 == 0:
                bad = sum(each.result in BAD for each in outcomes)
                print(f"{len(outcomes)} trials, {bad} bad", file=sys.stderr, flush=True)
    if options.kill:
        outcomes += kill_runs(options.kill, seed=options.seed, room=trials.room)
    if options.full_disk:
        outcomes += fill_disks(options.full_disk, seed=options.seed, room=trials.room)
    chosen = f" --kinds {' '.join(options.kinds)}" if options.kinds else ""
    again = f"python -m benchmarks.faults --seed {options.seed}{chosen}"
    print_groups(outcomes, show=options.show, command=again)
    print(f"\n{len(outcomes)} trials in {time.monotonic() - start:.0f} s, seed {options.seed}")
    print_table(outcomes)
    return int(any(outcome.result in BAD for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
