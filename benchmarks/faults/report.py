"""Counts of outcomes, by kind of damage and by result."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from benchmarks.faults.mutations import KINDS
from benchmarks.faults.trial import Outcome

__all__ = ["BAD", "RESULTS", "print_groups", "print_table"]

GOOD = ("COMPLETE", "SKIPPED", "FAILED", "refused", "whole", "absent")
BAD = ("hang", "crash", "exception", "damage", "warning")
RESULTS = (*GOOD, *BAD)


def print_table(outcomes: Iterable[Outcome]) -> None:
    """Print a row for each kind of damage.

    Parameters
    ----------
    outcomes : iterable of Outcome
        Outcomes of all trials.
    """
    counts = Counter((outcome.kind, outcome.result) for outcome in outcomes)
    kinds = sorted({kind for kind, _ in counts})
    seen = {result for _, result in counts}
    shown = [result for result in RESULTS if result in BAD or result in seen]
    print(f"{'':14}" + "".join(f"{result:>11}" for result in shown))
    for kind in kinds:
        print(f"{kind:14}" + "".join(f"{counts[kind, result]:11}" for result in shown))
    sums = [sum(counts[kind, result] for kind in kinds) for result in shown]
    print(f"{'all':14}" + "".join(f"{number:11}" for number in sums))


def print_groups(outcomes: Iterable[Outcome], *, show: int, command: str) -> None:
    """Print the failures, by cause, with commands that repeat them.

    Parameters
    ----------
    outcomes : iterable of Outcome
        Outcomes of all trials.
    show : int
        Number of commands to print for each cause.
    command : str
        The command, without the number of the trial.
    """
    groups: defaultdict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.result in BAD:
            groups[outcome.result, outcome.group].append(outcome)
    for (result, group), members in sorted(groups.items(), key=lambda item: -len(item[1])):
        print(f"\n{len(members)} x {result}: {group}")
        for outcome in members[:show]:
            if outcome.kind not in KINDS:
                print(f"    {outcome.kind}, number {outcome.number}")
                continue
            last = outcome.detail.strip().splitlines()[-1:] or [""]
            print(f"    {command} --only {outcome.number}   [{outcome.kind}] {last[0][:160]}")
