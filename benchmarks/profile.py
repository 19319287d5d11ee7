"""Time of each stage of a cleaning, within one process.

Run with ``python -m benchmarks.profile CASE``; the cases are those of
``benchmarks.speed``. Stages are functions of the library; times of stages that run in threads
are summed over the threads. Profiling itself takes time: compare stages, not programs.
"""

import argparse
import cProfile
import pstats
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import deflicker
from benchmarks.speed import CASES
from deflicker import CleanFlickerNoiseStep
from support.runs import write_case

__all__ = ["main"]

# For each stage, the file and the function.
STAGES: Final = {
    "read": ("models/files.py", "open_model"),
    "draft rate": ("ramps/rates.py", "draft_rate"),
    "scene mask": ("scene/mask.py", "scene_mask"),
    "differences": ("ramps/exposure.py", "difference"),
    "flags": ("ramps/exposure.py", "good_differences"),
    "fit of a difference": ("noise/rowwise/difference.py", "fit_difference_in_place"),
    "  sort": ("stats/clipping.py", "of"),
    "  clips": ("stats/clipping.py", "background_limits"),
    "  stripes for the clip": ("stats/row_medians.py", "row_stripes"),
    "  background model": ("scene/background.py", "model_background"),
    "  median noise": ("noise/median.py", "median_noise"),
    "  Fourier noise": ("noise/nsclean/fourier.py", "fourier_noise"),
    "subtraction": ("cleaning/groups.py", "_subtract"),
    "write": ("models/files.py", "write_whole"),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--cores", default="1", help="maximum_cores")
    options = parser.parse_args()
    _check_stages()
    scenario, parameters = CASES[options.case]
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "exposure_ramp.fits"
        write_case(scenario, source, seed=1)
        words = dict(word.removeprefix("--").split("=") for word in parameters)
        step = CleanFlickerNoiseStep(
            **{
                key: value == "true" if value in {"true", "false"} else value
                for key, value in words.items()
            },
            maximum_cores=options.cores,
            save_results=True,
            output_dir=name,
        )
        with _profiled_threads() as profiles:
            step.run(str(source)).close()
    statistics = pstats.Stats(*profiles)
    print(f"{'stage':28}{'calls':>8}{'seconds':>10}")
    for stage, (file, function) in STAGES.items():
        calls, seconds = _cost(statistics, file, function)
        if calls:
            print(f"{stage:28}{calls:8d}{seconds:10.3f}")


def _check_stages() -> None:
    """Stop if a stage names a function that does not exist: its time would be missing."""
    package = Path(deflicker.__file__).parent
    for stage, (file, function) in STAGES.items():
        if f"def {function}(" not in (package / file).read_text():
            msg = f"stage {stage!r}: {file} has no function {function}"
            raise LookupError(msg)


@contextmanager
def _profiled_threads() -> Iterator[list[cProfile.Profile]]:
    """Profile this thread and all threads that are started during the run."""
    profiles = [cProfile.Profile()]

    def start(*_: Any) -> None:
        profile = cProfile.Profile()
        profiles.append(profile)
        profile.enable()

    threading.setprofile(start)
    profiles[0].enable()
    try:
        yield profiles
    finally:
        profiles[0].disable()
        threading.setprofile(None)


def _cost(statistics: pstats.Stats, file: str, function: str) -> tuple[int, float]:
    """Number of calls and cumulative seconds of a function of this package."""
    calls, seconds = 0, 0.0
    for (path, _, name), (_, number, _, cumulated, _) in statistics.stats.items():
        if name == function and path.endswith(f"deflicker/{file}"):
            calls += number
            seconds += cumulated
    return calls, seconds


if __name__ == "__main__":
    main()
