"""Cleaning of unusual noise: stronger, redder, not shared by outputs, or with few pixels.

Run with ``python -m benchmarks.robustness``. Everything runs in one process.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace

from deflicker import CleanOptions, clean_exposure
from deflicker.simulation.exposures import (
    DETECTORS,
    EXPOSURES,
    Scenario,
    SimulatedExposure,
    SimulatedNoise,
    simulate,
)
from deflicker.simulation.quality import Quality, measure_quality
from support.runs import exposure_of

__all__ = ["CASES", "METHODS", "VARIATIONS", "clean"]

CASES = {
    "nircam": EXPOSURES["nircam"],
    "nirspec-bots": replace(EXPOSURES["nirspec-bots"], n_integrations=4),
}
METHODS = {
    "median": {},
    "median by channel": {"fit_by_channel": True},
    "fft": {"fit_method": "fft"},
    "wiener": {"fit_method": "wiener"},
}
OURS = "wiener"
HEADER = f"{'exposure':14}{'variation':24}" + "".join(f"{name:>22}" for name in METHODS) + "  best"

Change = Callable[[Scenario], Scenario]


def _noise(change: Callable[[SimulatedNoise], SimulatedNoise]) -> Change:
    """Change of an exposure that changes only its noise."""
    return lambda scenario: replace(scenario, noise=change(DETECTORS[scenario.instrument]))


def _amplitude(factor: float) -> Change:
    return _noise(
        lambda noise: replace(
            noise,
            common=factor * noise.common,
            per_output=factor * noise.per_output,
            alternating=factor * noise.alternating,
        )
    )


def _nothing_shared(noise: SimulatedNoise) -> SimulatedNoise:
    return replace(noise, common=0.0, per_output=(noise.common**2 + noise.per_output**2) ** 0.5)


VARIATIONS: dict[str, Change] = {
    "as it is": lambda scenario: scenario,
    "amplitude x 0.5": _amplitude(0.5),
    "amplitude x 2": _amplitude(2.0),
    "slope 0.7": _noise(lambda noise: replace(noise, slope=0.7)),
    "slope 1.4": _noise(lambda noise: replace(noise, slope=1.4)),
    "none below 20 cycles": _noise(lambda noise: replace(noise, low_cut=20.0)),
    "outputs share nothing": _noise(_nothing_shared),
    "alternating columns x 5": _noise(
        lambda noise: replace(noise, alternating=5 * noise.alternating)
    ),
    "30 % bad pixels": lambda scenario: replace(scenario, bad_pixels=0.3),
    "60 % bad pixels": lambda scenario: replace(scenario, bad_pixels=0.6),
    "2 groups": lambda scenario: replace(scenario, n_groups=2),
    "3 groups": lambda scenario: replace(scenario, n_groups=3),
    "5 groups": lambda scenario: replace(scenario, n_groups=5),
    "20 groups": lambda scenario: replace(scenario, n_groups=20),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.robustness", description=__doc__)
    parser.add_argument("--case", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--variation", nargs="*", choices=VARIATIONS, default=list(VARIATIONS))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print("Percent of the correlated noise's variance that is removed from the differences / from")
    print(f"the rate; whether {OURS} is at least as good as the best of the others in both.")
    print(HEADER)
    for case in options.case:
        base = CASES[case]
        for variation in options.variation:
            scenario = VARIATIONS[variation](base)
            # A variation that changes nothing is already in the first row.
            if variation != "as it is" and (scenario == base or not _tells(variation, scenario)):
                continue
            _print_row(case, variation, _qualities(simulate(scenario, seed=options.seed)))


def clean(truth: SimulatedExposure, **options: object) -> Quality:
    """Clean a simulated exposure in this process and judge the result.

    Parameters
    ----------
    truth : SimulatedExposure
        The exposure.
    **options
        Options of `deflicker.CleanOptions`.

    Returns
    -------
    Quality
        Noise that was removed, and changes of the light.
    """
    exposure = exposure_of(truth)
    result = clean_exposure(exposure, CleanOptions(n_threads=2, **options))
    return measure_quality(truth, result.data)


def _tells(variation: str, scenario: Scenario) -> bool:
    """Whether a variation changes the exposure: a single output shares no noise in any case."""
    return scenario.n_outputs > 1 or variation != "outputs share nothing"


def _applies(method: str, scenario: Scenario) -> bool:
    if method == "fft":
        return scenario.instrument == "NIRSPEC"
    return scenario.n_outputs > 1 or "channel" not in method


def _qualities(truth: SimulatedExposure) -> dict[str, Quality]:
    """Figures of each method that applies to the exposure."""
    return {
        method: clean(truth, **options)
        for method, options in METHODS.items()
        if _applies(method, truth.scenario)
    }


def _print_row(case: str, variation: str, qualities: dict[str, Quality]) -> None:
    cells = ""
    for method in METHODS:
        quality = qualities.get(method)
        cells += f"{_figures(quality):>22}" if quality else f"{'-':>22}"
    print(f"{case:14}{variation:24}{cells}  {'yes' if _is_best(qualities) else 'NO'}", flush=True)


def _figures(quality: Quality) -> str:
    return f"{quality.removed_differences:z.1f} /{quality.removed_rate:z7.1f}"


def _is_best(qualities: dict[str, Quality]) -> bool:
    """Whether the method is at least as good as the others, to the digits that are printed."""
    ours = qualities[OURS]
    others = [quality for method, quality in qualities.items() if method != OURS]
    return all(
        round(getattr(ours, figure), 1) >= max(round(getattr(each, figure), 1) for each in others)
        for figure in ("removed_differences", "removed_rate")
    )


if __name__ == "__main__":
    main()
