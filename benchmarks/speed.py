"""Time and memory of whole runs, file to file, each in its own process.

Run with ``python -m benchmarks.speed``. The step of jwst is compared if
the jwst package is installed, here or in the environment that ``--jwst-python``
names; *copy* only reads the file and writes it again.
"""

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from deflicker.simulation.exposures import EXPOSURES
from support.runs import (
    Cleaner,
    Run,
    cleaners,
    environment,
    run_process,
    run_step,
    write_case_elsewhere,
)

MEDIAN = "--fit_method=median"
CASES = {
    "NIRCam full, 5 groups": (EXPOSURES["nircam"], (MEDIAN,)),
    "NIRCam full, 10 groups": (replace(EXPOSURES["nircam"], n_groups=10), (MEDIAN,)),
    "NIRCam full, 20 groups": (replace(EXPOSURES["nircam"], n_groups=20), (MEDIAN,)),
    "NIRCam full, 40 groups": (replace(EXPOSURES["nircam"], n_groups=40), (MEDIAN,)),
    "NIRCam full, model": (EXPOSURES["nircam"], (MEDIAN, "--background_method=model")),
    "NIRISS full by channel": (EXPOSURES["niriss"], (MEDIAN, "--fit_by_channel=true")),
    "MIRI full, 8 groups": (EXPOSURES["miri"], (MEDIAN,)),
    "NIRSpec full, median": (EXPOSURES["nirspec-ifu"], (MEDIAN,)),
    "NIRSpec full, fft": (EXPOSURES["nirspec-ifu"], ("--fit_method=fft",)),
    "NIRCam stripe, 6 x 5": (
        replace(
            EXPOSURES["nircam"],
            exp_type="NRC_TSGRISM",
            detector="NRCALONG",
            subarray="SUBGRISM256",
            shape=(256, 2048),
            n_integrations=6,
            group_time=1.34666,
            n_stars=1900,
        ),
        (MEDIAN, "--fit_by_channel=true"),
    ),
    "SUB2048 20 x 6, fft": (EXPOSURES["nirspec-bots"], ("--fit_method=fft",)),
    "SUB2048 200 x 6, fft": (
        replace(EXPOSURES["nirspec-bots"], n_integrations=200),
        ("--fit_method=fft",),
    ),
    "ALLSLITS 2 x 5, fft": (EXPOSURES["nirspec-allslits"], ("--fit_method=fft",)),
    "NIRCam 5 groups, wiener": (EXPOSURES["nircam"], ("--fit_method=wiener",)),
    "NIRCam 20 groups, wiener": (
        replace(EXPOSURES["nircam"], n_groups=20),
        ("--fit_method=wiener",),
    ),
    "NIRSpec full, wiener": (EXPOSURES["nirspec-ifu"], ("--fit_method=wiener",)),
    "SUB2048 20 x 6, wiener": (EXPOSURES["nirspec-bots"], ("--fit_method=wiener",)),
}
COPY = """
import sys
from stdatamodels.jwst import datamodels
with datamodels.open(sys.argv[1]) as model:
    model.save(sys.argv[2])
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--case", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--repeat", type=int, default=3, help="interleaved runs of each")
    parser.add_argument("--cores", nargs="*", default=["1", "2"], help="maximum_cores of ours")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--jwst-python", type=Path, help="interpreter that has jwst")
    options = parser.parse_args()
    runs = _runs(cleaners(options.jwst_python), options.cores)
    rows = []
    print(
        f"{'exposure':26}{'run':18}{'median time':>13}{'peak memory':>13}{'time / copy':>13}"
        f"{'jwst / time':>13}"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = environment(folder)
        for case in options.case:
            rows += _one_case(case, runs, options.repeat, folder, env)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


def _runs(steps: list[Cleaner], cores: list[str]) -> dict[str, tuple[Cleaner, tuple[str, ...]]]:
    """Runs of each step; of this package's step one for each number of cores."""
    ours, *others = steps
    return {
        **{
            f"{ours.name}, {number} core{'s' * (number != '1')}": (
                ours,
                (f"--maximum_cores={number}",),
            )
            for number in cores
        },
        **{peer.name: (peer, ()) for peer in others},
    }


def _one_case(
    case: str,
    runs: dict[str, tuple[Cleaner, tuple[str, ...]]],
    repeat: int,
    folder: Path,
    env: dict[str, str],
) -> list[dict[str, object]]:
    scenario, parameters = CASES[case]
    source, target = folder / "exposure_ramp.fits", folder / "exposure_cleaned.fits"
    write_case_elsewhere(scenario, source, seed=1)
    copy = [sys.executable, "-c", COPY, str(source), str(target)]
    found: dict[str, list[Run]] = {"copy": [], **{name: [] for name in runs}}
    for _ in range(repeat):
        found["copy"].append(run_process(copy, env))
        for name, (cleaner, extra) in runs.items():
            # Each run writes a new file, because replacing a file safely takes additional time.
            target.unlink()
            # jwst's step has no Wiener filter: its default, the median, is run instead.
            known = parameters if cleaner.name == "deflicker" else _without_wiener(parameters)
            found[name].append(run_step(cleaner, source, target, (*known, *extra), env))
        target.unlink()
    times = {name: statistics.median(run.seconds for run in costs) for name, costs in found.items()}
    rows: list[dict[str, object]] = []
    for name, seconds in times.items():
        megabytes = statistics.median(run.megabytes for run in found[name])
        ratios = {"time / copy": seconds / times["copy"]}
        if "jwst" in times:
            ratios["jwst / time"] = times["jwst"] / seconds
        shown = "".join(f"{ratio:13.2f}" for ratio in ratios.values())
        print(f"{case:26}{name:18}{seconds:11.2f} s{megabytes:10.0f} MB{shown}", flush=True)
        row = {"case": case, "run": name, "seconds": seconds, "megabytes": megabytes}
        rows.append({**row, **ratios})
    return rows


def _without_wiener(parameters: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(p for p in parameters if p != "--fit_method=wiener")


if __name__ == "__main__":
    main()
