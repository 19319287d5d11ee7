"""Parameters chosen from the data, compared with all fixed settings, for scenes of known noise.

Run with ``python -m benchmarks.autoparam``. Everything runs in one process. Each scene is
cleaned with every fixed setting and with the chosen one. They are compared by the variance of the
correlated noise that is left in the rate, in percent of the variance before cleaning.
"""

import argparse
import logging
import time
from itertools import product

import numpy as np
from numpy.typing import NDArray

from deflicker import CleanOptions, clean_exposure
from deflicker.autoparam.choice import resolve_options
from deflicker.simulation.exposures import SimulatedExposure
from deflicker.simulation.quality import measure_quality
from support.runs import exposure_of
from support.scenes import SCENES, Setting, observe, settings

TOLERANCE = 1.10


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.autoparam", description=__doc__)
    parser.add_argument("--scene", nargs="*", choices=SCENES, default=list(SCENES))
    parser.add_argument("--size", type=int, default=2048, help="rows and columns")
    parser.add_argument("--seed", nargs="*", type=int, default=[1])
    parser.add_argument("--verbose", action="store_true", help="show the numbers of the choice")
    options = parser.parse_args()
    if options.verbose:
        logging.basicConfig(format="%(message)s")
        logging.getLogger("deflicker.autoparam.choice").setLevel(logging.INFO)
    names = [_name(setting) for setting in settings(flat=True)]
    print("Percent of the variance of the correlated noise that is left in the rate.")
    print(f"{'scene':24}{'seed':>5}" + "".join(f"{name:>11}" for name in names), end="")
    print(f"{'chosen':>11}{'left':>8}{'best':>8}{'seconds':>9}")
    passed = []
    for name, seed in product(options.scene, options.seed):
        scene = SCENES[name]
        truth, flat = observe(scene, size=options.size, seed=seed)
        left = {
            setting: _left(truth, setting, flat=flat) for setting in settings(flat=flat is not None)
        }
        start = time.perf_counter()
        chosen = _choose(truth, flat)
        seconds = time.perf_counter() - start
        good = left[chosen] <= TOLERANCE * min(left.values())
        passed.append(good)
        cells = "".join(
            f"{left[each]:11.1f}" if each in left else f"{'-':>11}" for each in settings(flat=True)
        )
        print(
            f"{name:24}{seed:5}{cells}{_name(chosen):>11}{left[chosen]:8.1f}"
            f"{min(left.values()):8.1f}{seconds:9.1f}  {'yes' if good else 'NO'}",
            flush=True,
        )
    print(f"At most {100 * (TOLERANCE - 1):.0f} % more than the best: {sum(passed)}/{len(passed)}")


def _left(truth: SimulatedExposure, setting: Setting, *, flat: NDArray[np.float32] | None) -> float:
    """Percent of the noise's variance that a fixed setting leaves in the rate."""
    background, by_channel, divides = setting
    options = CleanOptions(
        background_method=background, fit_by_channel=by_channel, guard_light=False, n_threads=2
    )
    cleaned = clean_exposure(exposure_of(truth), options, flat=flat if divides else None).data
    return 100 - measure_quality(truth, cleaned).removed_rate


def _choose(truth: SimulatedExposure, flat: NDArray[np.float32] | None) -> Setting:
    given = CleanOptions(n_threads=2)
    used = resolve_options(exposure_of(truth), given, flat=flat)[1]
    return used["background_method"], used["fit_by_channel"], used["apply_flat_field"]


def _name(setting: Setting) -> str:
    background, by_channel, flat = setting
    return f"{background}{' C' if by_channel else ''}{' F' if flat else ''}"


if __name__ == "__main__":
    main()
