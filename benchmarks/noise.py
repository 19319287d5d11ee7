"""What is left of the noise: quality of the cleaning of simulated exposures.

Run with ``python -m benchmarks.noise``. The reference step stands beside ours where
the jwst package is installed.
"""

import argparse
import tempfile
from pathlib import Path

from astropy.io import fits

from benchmarks.runs import OURS, environment, peers, run_step, write_case
from deflicker.quality import measure_quality
from deflicker.simulate import EXPOSURES

SETTINGS = {
    "median": (),
    "median by channel": ("--fit_by_channel=true",),
    "median, model": ("--background_method=model",),
    "median by channel, model": ("--fit_by_channel=true", "--background_method=model"),
    "median, fit_histogram": ("--fit_histogram=true",),
}
HEADER = (
    f"{'exposure':16}{'seed':>5}  {'settings':26}{'cleaner':11}"
    f"{'differences':>12}{'rate':>10}{'level':>9}{'eaten':>9}{'new NaN':>9}"
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.noise", description=__doc__)
    parser.add_argument("--case", nargs="*", choices=EXPOSURES, default=list(EXPOSURES))
    parser.add_argument("--setting", nargs="*", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--seed", nargs="*", type=int, default=[1])
    options = parser.parse_args()
    print("Percent of the correlated noise's variance that is removed from the differences and")
    print("from the rate; shift of the sky in DN per group; percent of the light taken for noise.")
    print(HEADER)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = environment(folder)
        for case in options.case:
            for seed in options.seed:
                _one_exposure(case, seed, options.setting, folder, env)


def _one_exposure(
    case: str, seed: int, settings: list[str], folder: Path, env: dict[str, str]
) -> None:
    source, target = folder / "exposure_ramp.fits", folder / "exposure_cleaned.fits"
    truth = write_case(EXPOSURES[case], source, seed=seed)
    for setting in settings:
        if "channel" in setting and truth.recipe.n_outputs == 1:
            continue
        for cleaner, step in {"deflicker": OURS, **peers()}.items():
            run_step(step, source, target, SETTINGS[setting], env)
            quality = measure_quality(truth, fits.getdata(target, "SCI"))
            print(
                f"{case:16}{seed:5}  {setting:26}{cleaner:11}"
                f"{quality.removed_differences:10.1f} %{quality.removed_rate:8.1f} %"
                f"{quality.level:9.3f}{quality.flux_eaten:7.1f} %{quality.new_nan:9}",
                flush=True,
            )


if __name__ == "__main__":
    main()
