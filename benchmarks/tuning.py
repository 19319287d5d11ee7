"""How much the chosen numbers of the methods matter for the noise that is removed.

Run with ``python -m benchmarks.tuning``. Each number of each method is made smaller and larger by
factors, while all others are unchanged, and small simulated exposures are cleaned. The printed
range contains the values for which no figure is worse, by two points or more, than with the
number that was chosen; it also stands beside each number in the code.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from deflicker import CleanOptions, NothingToClean, clean_exposure
from deflicker.noise.nsclean.tuning import NscleanTuning
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.series.tuning import SeriesTuning
from deflicker.simulation.exposures import EXPOSURES, SERIES, SimulatedExposure, simulate
from deflicker.simulation.quality import measure_quality
from deflicker.stats.shrinkage import ShrinkageTuning
from deflicker.utils.tunable import Tunable, tunables
from support.runs import exposure_of

__all__ = ["main"]

FACTORS: Final = (0.5, 0.7, 1.4, 2.0)
WORSE: Final = 2.0  # points of the figures, in percent


@dataclass(frozen=True)
class Case:
    """Exposures on which the numbers of a method are tried, and how they are cleaned."""

    truths: list[SimulatedExposure]
    options: CleanOptions


def main() -> None:
    """Print a line for each number."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning", description=__doc__)
    kinds = {kind.__name__: kind for kind in CASES}
    parser.add_argument("--tuning", nargs="*", choices=kinds, default=list(kinds))
    parser.add_argument("--field", nargs="*", help="only these numbers")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print("Removed from the differences and from the rate, and light that is eaten, in percent;")
    print("for each factor the change of the figure that loses most in any case, in points.")
    heads = "".join(f"{'x ' + format(factor, 'g'):>9}" for factor in FACTORS)
    print(f"{'number':40}{'value':>9}{heads}   hardly matters between")
    for name in options.tuning:
        cases = CASES[kinds[name]](options.seed)
        chosen = [_figures(case, None) for case in cases]
        for case, figures in zip(cases, chosen, strict=True):
            scenario = case.truths[0].scenario
            shown = " / ".join(format(figure, ".1f") for figure in figures)
            print(f"{name} on {scenario.exp_type} {scenario.shape}: {shown}")
        for one in tunables(kinds[name]()):
            if options.field and one.name not in options.field:
                continue
            changes = {
                factor: _worst(replace(kinds[name](), **_changed(one, factor)), cases, chosen)
                for factor in FACTORS
            }
            low, high = _range(one.default, changes)
            row = "".join(f"{change:9.1f}" for change in changes.values())
            print(f"{name + '.' + one.name:40}{one.default:9g}{row}   {low:g} {high:g}", flush=True)


def _changed(one: Tunable, factor: float) -> dict[str, float]:
    """Name and value of a number times a factor; percentiles end at 100."""
    value = one.default * factor
    return {one.name: min(value, 100.0) if one.unit == "%" else value}


def _worst(tuning: object, cases: list[Case], chosen: list[Any]) -> float:
    """Change of the figure that becomes worst."""
    changes = [
        float(np.min(_figures(case, tuning) - before))
        for case, before in zip(cases, chosen, strict=True)
    ]
    return min(changes)


def _figures(case: Case, tuning: object | None) -> Any:
    """Means over the exposures: noise removed from differences and rate, light that is kept."""
    found = []
    for truth in case.truths:
        exposure = exposure_of(truth)
        try:
            data = clean_exposure(exposure, case.options, tuning=tuning).data
        except NothingToClean:
            data = exposure.data
        quality = measure_quality(truth, data)
        found.append([quality.removed_differences, quality.removed_rate, -abs(quality.flux_eaten)])
    return np.mean(found, axis=0)


def _range(value: float, changes: dict[float, float]) -> tuple[float, float]:
    """Ends of the range around the number in which no figure is much worse."""
    low = high = value
    for factor in sorted((f for f in changes if f < 1), reverse=True):
        if changes[factor] <= -WORSE:
            break
        low = factor * value
    for factor in sorted(f for f in changes if f > 1):
        if changes[factor] <= -WORSE:
            break
        high = factor * value
    return low, high


def _exposures(seed: int, *names: str) -> Iterator[list[SimulatedExposure]]:
    """A quarter of a full frame of each exposure, with a quarter of its stars."""
    for name in names:
        scenario = EXPOSURES[name]
        small = replace(
            scenario, shape=(1024, 1024), n_stars=scenario.n_stars // 4, traces=scenario.traces // 2
        )
        yield [simulate(replace(small, n_groups=3), seed=seed)]


def _of_wiener(seed: int) -> list[Case]:
    options = CleanOptions(fit_method="wiener")
    names = ("nircam", "nircam-galaxy", "nirspec-ifu")
    return [Case(truths, options) for truths in _exposures(seed, *names)]


def _of_median(seed: int) -> list[Case]:
    options = CleanOptions(fit_by_channel=True)
    names = ("nircam", "nircam-galaxy", "niriss")
    return [Case(truths, options) for truths in _exposures(seed, *names)]


def _of_nsclean(seed: int) -> list[Case]:
    options = CleanOptions(fit_method="fft")
    full = replace(EXPOSURES["nirspec-ifu"], n_groups=3)
    window = {**EXPOSURES, **SERIES}["bots"]
    truths = [[simulate(full, seed=seed)]]
    truths += [[simulate(replace(window, n_integrations=1), seed=seed + k) for k in range(4)]]
    return [Case(some, options) for some in truths]


def _of_series(seed: int) -> list[Case]:
    options = CleanOptions(background_method="median_image")
    found = []
    for name, shape in (("bots", (32, 512)), ("grism", (64, 512)), ("soss", (256, 512))):
        scenario = replace(SERIES[name], shape=shape, n_integrations=12)
        found.append(Case([simulate(scenario, seed=seed)], options))
    return found


CASES: Final = {
    WienerTuning: _of_wiener,
    ShrinkageTuning: _of_median,
    NscleanTuning: _of_nsclean,
    SeriesTuning: _of_series,
}


if __name__ == "__main__":
    main()
