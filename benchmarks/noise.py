"""Noise that remains in simulated exposures after cleaning.

Run with ``python -m benchmarks.noise``. The step of jwst is compared if
the jwst package is installed, here or in the environment that ``--jwst-python`` names,
and snowblind's stream cleaning if ``--snowblind-python`` names an environment with snowblind.
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from statistics import median

from astropy.io import fits

from deflicker.simulation.exposures import EXPOSURES, Scenario
from deflicker.simulation.quality import Quality, measure_quality
from support.runs import SNOWBLIND, Cleaner, cleaners, environment, run_step, write_case

__all__ = ["median_quality"]

MEDIAN = "--fit_method=median"
SETTINGS = {
    "median": (MEDIAN,),
    "median by channel": (MEDIAN, "--fit_by_channel=true"),
    "median, model": (MEDIAN, "--background_method=model"),
    "median by channel, model": (MEDIAN, "--fit_by_channel=true", "--background_method=model"),
    "median, fit_histogram": (MEDIAN, "--fit_histogram=true"),
    "fft": ("--fit_method=fft",),
    "wiener": ("--fit_method=wiener",),
    SNOWBLIND: (),
}
SOURCE = "exposure_ramp.fits"
HEADER = (
    f"{'exposure':18}{'settings':26}{'cleaner':11}{'seeds':>6}"
    f"{'differences':>13}{'rate':>10}{'level':>9}{'eaten':>9}{'new NaN':>9}"
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.noise", description=__doc__)
    parser.add_argument("--case", nargs="*", choices=EXPOSURES, default=list(EXPOSURES))
    parser.add_argument("--setting", nargs="*", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--seed", nargs="*", type=int, default=[1])
    parser.add_argument("--each", action="store_true", help="print the row of each seed too")
    parser.add_argument("--jwst-python", type=Path, help="interpreter that has jwst")
    parser.add_argument("--snowblind-python", type=Path, help="one that has jwst and snowblind")
    options = parser.parse_args()
    steps = cleaners(options.jwst_python, options.snowblind_python)
    print("Percent of the correlated noise's variance that is removed from the differences and")
    print("from the rate; shift of the sky in DN per group; percent of the light taken for noise.")
    print("Medians over the seeds; of new NaN the maximum.")
    print(HEADER)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = environment(folder)
        for case in options.case:
            runs = _runs(EXPOSURES[case], options.setting, steps)
            rows = defaultdict(list)
            for seed in options.seed:
                for run, quality in _qualities(case, seed, runs, folder, env):
                    rows[run].append(quality)
                    if options.each:
                        _print_row(case, run, f"#{seed}", quality)
            for run, qualities in rows.items():
                _print_row(case, run, str(len(qualities)), median_quality(qualities))


def median_quality(qualities: Sequence[Quality]) -> Quality:
    """Combine the figures of several cleanings.

    Parameters
    ----------
    qualities : sequence of Quality
        Figures of each cleaning.

    Returns
    -------
    Quality
        Medians; for new NaN, of which there must be none, the maximum.
    """
    values = {item.name: [getattr(q, item.name) for q in qualities] for item in fields(Quality)}
    new_nan = max(values.pop("new_nan"))
    return Quality(**{name: median(each) for name, each in values.items()}, new_nan=new_nan)


def _runs(
    scenario: Scenario, settings: list[str], steps: list[Cleaner]
) -> list[tuple[str, Cleaner]]:
    """Settings and steps that apply to an exposure."""
    return [
        (setting, step)
        for setting in settings
        for step in steps
        if _applies(setting, step, scenario)
    ]


def _applies(setting: str, step: Cleaner, scenario: Scenario) -> bool:
    if SNOWBLIND in (setting, step.name):
        full = scenario.instrument in ("NIRCAM", "NIRISS") and scenario.subarray == "FULL"
        return setting == step.name and full
    if setting == "wiener":
        return step.name == "deflicker" and scenario.instrument != "MIRI"
    if "channel" in setting:
        return scenario.n_outputs > 1
    return setting != "fft" or scenario.instrument == "NIRSPEC"


def _qualities(
    case: str, seed: int, runs: list[tuple[str, Cleaner]], folder: Path, env: dict[str, str]
) -> Iterator[tuple[tuple[str, Cleaner], Quality]]:
    """Simulate an exposure, and clean it with each setting and step."""
    truth = write_case(EXPOSURES[case], folder / SOURCE, seed=seed)
    target = folder / "exposure_cleaned.fits"
    for setting, step in runs:
        # The output of an earlier run must not be taken for the result of this one.
        target.unlink(missing_ok=True)
        run_step(step, folder / SOURCE, target, SETTINGS[setting], env)
        yield (setting, step), measure_quality(truth, fits.getdata(target, "SCI"))


def _print_row(case: str, run: tuple[str, Cleaner], seeds: str, quality: Quality) -> None:
    setting, step = run
    print(
        f"{case:18}{setting:26}{step.name:11}{seeds:>6}"
        f"{quality.removed_differences:z11.1f} %{quality.removed_rate:z8.1f} %"
        f"{quality.level:z9.3f}{quality.flux_eaten:z7.1f} %{quality.new_nan:9}",
        flush=True,
    )


if __name__ == "__main__":
    main()
