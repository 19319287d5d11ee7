"""What is left of the noise: quality of the cleaning of simulated exposures.

Run with ``python -m benchmarks.noise``. The reference step stands beside ours where
the jwst package is installed, here or in the environment that ``--jwst-python`` names.
"""

import argparse
import tempfile
from pathlib import Path

from astropy.io import fits

from benchmarks.runs import Cleaner, cleaners, environment, run_step, write_case
from deflicker.quality import measure_quality
from deflicker.simulate import EXPOSURES, Recipe, SimulatedExposure

SETTINGS = {
    "median": (),
    "median by channel": ("--fit_by_channel=true",),
    "median, model": ("--background_method=model",),
    "median by channel, model": ("--fit_by_channel=true", "--background_method=model"),
    "median, fit_histogram": ("--fit_histogram=true",),
    "fft": ("--fit_method=fft",),
}
SOURCE = "exposure_ramp.fits"
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
    parser.add_argument("--jwst-python", type=Path, help="interpreter that has jwst")
    options = parser.parse_args()
    print("Percent of the correlated noise's variance that is removed from the differences and")
    print("from the rate; shift of the sky in DN per group; percent of the light taken for noise.")
    print(HEADER)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = environment(folder)
        for case in options.case:
            for seed in options.seed:
                truth = write_case(EXPOSURES[case], folder / SOURCE, seed=seed)
                for setting in options.setting:
                    if not _applies(setting, truth.recipe):
                        continue
                    for cleaner in cleaners(options.jwst_python):
                        print(f"{case:16}{seed:5}  ", end="")
                        _one_cleaning(cleaner, truth, setting, folder, env)


def _applies(setting: str, recipe: Recipe) -> bool:
    if "channel" in setting:
        return recipe.n_outputs > 1
    return setting != "fft" or recipe.instrument == "NIRSPEC"


def _one_cleaning(
    cleaner: Cleaner, truth: SimulatedExposure, setting: str, folder: Path, env: dict[str, str]
) -> None:
    target = folder / "exposure_cleaned.fits"
    run_step(cleaner, folder / SOURCE, target, SETTINGS[setting], env)
    quality = measure_quality(truth, fits.getdata(target, "SCI"))
    print(
        f"{setting:26}{cleaner.name:11}"
        f"{quality.removed_differences:10.1f} %{quality.removed_rate:8.1f} %"
        f"{quality.level:9.3f}{quality.flux_eaten:7.1f} %{quality.new_nan:9}",
        flush=True,
    )


if __name__ == "__main__":
    main()
