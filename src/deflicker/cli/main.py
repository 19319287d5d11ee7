"""The ``deflicker`` command."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deflicker import __version__
from deflicker.cli.field import FIELD, clean_field
from deflicker.cli.field import FIXED_PARAMETERS as FIELD_FIXED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from deflicker.simulation.exposures import SimulatedExposure
    from deflicker.simulation.quality import Quality

__all__ = ["main"]

EXPOSURES = ("nircam", "niriss", "miri", "nirspec-ifu", "nirspec-bots")
# Parameters that determine the names of files: the demo sets these itself.
FIXED_PARAMETERS = ("--suffix", "--output_dir", "--output_ext", "--output_file", "--skip")
DEMO = "simulate an exposure, clean it, and show how good that was"
DEMO_PARAMETERS = (
    "All other options, written --name=value, are parameters of the step: "
    "`deflicker demo --fit_by_channel=true`; `strun deflicker --help` lists them."
)
FIELD_PARAMETERS = (
    "All other options, written --name=value, are parameters of the step. Files need a WCS, their "
    "own or that of x_cal.fits or x_rate.fits beside them, or deflicker[jwst]."
)
SPECTRUM = "draw the spectrum of the noise that a cleaning has measured"
SPECTRUM_FILE = (
    "`strun deflicker x_jump.fits --fit_method=wiener --save_spectrum=true` writes "
    "x_flicker_spectrum.ecsv."
)
STEP_CLASS = "deflicker.step.CleanFlickerNoiseStep"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Command-line arguments; those of the process by default.

    Returns
    -------
    int
        Exit status: 0 if all went well.
    """
    parser = argparse.ArgumentParser(
        prog="deflicker", description="Remove flicker (1/f) noise from JWST exposures."
    )
    parser.add_argument("--version", action="version", version=f"deflicker {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help=DEMO, epilog=DEMO_PARAMETERS)
    demo.add_argument("--exposure", choices=EXPOSURES, default="nircam", help="what to simulate")
    demo.add_argument("--seed", type=int, default=1, help="seed of the random numbers")
    demo.add_argument(
        "--output-dir", type=Path, default=Path("deflicker_demo"), help="folder for the files"
    )
    spectrum = commands.add_parser("spectrum", help=SPECTRUM, epilog=SPECTRUM_FILE)
    spectrum.add_argument("file", type=Path, metavar="FILE", help="x_flicker_spectrum.ecsv")
    spectrum.add_argument(
        "--output", type=Path, metavar="PNG", help="picture to write; FILE with .png by default"
    )
    field = commands.add_parser("field", help=FIELD, epilog=FIELD_PARAMETERS)
    field.add_argument("files", type=Path, nargs="+", metavar="FILE", help="exposures of a field")
    field.add_argument(
        "--output-dir", type=Path, default=Path(), help="folder for the cleaned files; here"
    )
    field.add_argument(
        "--save-mosaics", action="store_true", help="write the mosaics there too: x_others_i2d.fits"
    )
    options, others = parser.parse_known_args(arguments)
    try:
        if options.command == "field":
            _check_parameters(field, others, fixed=FIELD_FIXED)
            return clean_field(
                options.files,
                options.output_dir,
                keep_mosaics=options.save_mosaics,
                parameters=dict(word[2:].split("=", 1) for word in others),
            )
        if options.command == "spectrum":
            if others:
                spectrum.error(f"not understood: {' '.join(others)}")
            return _spectrum(options.file, options.output)
        _check_parameters(demo, others, fixed=FIXED_PARAMETERS)
        return _demo(options.exposure, options.seed, options.output_dir, others)
    except (OSError, TypeError, ValueError) as error:
        print(f"deflicker: {error}", file=sys.stderr)
        return 1


def _check_parameters(
    command: argparse.ArgumentParser, parameters: list[str], *, fixed: Sequence[str]
) -> None:
    """Stop if an argument is not a parameter of the step, or one that the command sets itself."""
    stray = [word for word in parameters if not word.startswith("--") or "=" not in word]
    own = [word for word in parameters if word.partition("=")[0] in fixed]
    if own:
        command.error(f"the command sets these itself: {' '.join(own)}")
    if stray:
        command.error(
            f"not understood: {' '.join(stray)} (parameters of the step are --name=value)"
        )


def _demo(name: str, seed: int, folder: Path, parameters: list[str]) -> int:
    from deflicker.models.exposure import model_from_simulation
    from deflicker.models.files import check_folder, write_whole
    from deflicker.simulation.exposures import EXPOSURES as SCENARIOS
    from deflicker.simulation.exposures import simulate
    from deflicker.simulation.quality import measure_quality

    check_folder(folder)
    scenario = SCENARIOS[name]
    source = folder / f"{name}_ramp.fits"
    _progress(1, f"simulating a {scenario.instrument} ramp of {scenario.n_groups} groups")
    truth = simulate(scenario, seed=seed)
    with model_from_simulation(truth) as model:
        write_whole(model, source)

    _progress(2, f"cleaning it: strun deflicker {source} {' '.join(parameters)}".rstrip())
    start = time.perf_counter()
    status, cleaned = _clean(source, folder, parameters)
    seconds = time.perf_counter() - start
    if status != "COMPLETE":
        print(f"The step ended {status}: its warning above says why.", file=sys.stderr)
        return 1

    _progress(3, "comparing with the truth")
    _print_table(measure_quality(truth, cleaned), seconds)
    _progress(4, "drawing")
    _draw(truth, cleaned, folder / f"{name}_before_after.png")
    print(f"\nFiles in {folder}:")
    for path in sorted(folder.glob(f"{name}_*")):
        print(f"  {path.name:36}{path.stat().st_size / 1e6:8.1f} MB")
    return 0


def _progress(part: int, text: str) -> None:
    print(f"[{part}/4] {text}", flush=True)


def _clean(source: Path, folder: Path, parameters: list[str]) -> tuple[str, "NDArray[np.float32]"]:
    """Clean a file in the same way as ``strun``; return the status and the cleaned data."""
    import numpy as np
    from stpipe import Step

    from deflicker.models.files import open_model

    Step.from_cmdline(
        [
            STEP_CLASS,
            str(source),
            f"--output_dir={folder}",
            "--save_mask=true",
            "--save_noise=true",
            *parameters,
        ]
    )
    target = source.with_name(source.name.replace("_ramp", "_clean_flicker_noise"))
    with open_model(target) as model:
        return model.meta.cal_step.clean_flicker_noise, np.array(model.data)


def _print_table(quality: "Quality", seconds: float) -> None:
    rows = {
        "removed, differences": f"{quality.removed_differences:.1f} % of the noise variance",
        "removed, rate": f"{quality.removed_rate:.1f} % of the noise variance",
        "shift of the sky": f"{quality.level:.3f} DN per group",
        "light taken for noise": f"{quality.flux_eaten:.1f} %",
        "new NaN": f"{quality.new_nan}",
        "time, file to file": f"{seconds:.1f} s",
    }
    for label, value in rows.items():
        print(f"  {label:24}{value}")


def _draw(truth: "SimulatedExposure", cleaned: "NDArray[np.float32]", path: Path) -> None:
    try:
        from deflicker.cli.figures import before_after
        from deflicker.simulation.quality import mean_difference
    except ImportError:
        print('No picture without matplotlib: python -m pip install "deflicker[plots]"')
        return
    steps = truth.scenario.n_groups - 1
    title = f"{truth.scenario.instrument}, simulated: mean of {steps} group differences"
    before_after(mean_difference(truth.data), mean_difference(cleaned), path, title=title)


def _spectrum(source: Path, picture: Path | None) -> int:
    try:
        from deflicker.cli.figures import spectrum_plot
    except ImportError:
        print(
            'deflicker: the picture needs matplotlib: python -m pip install "deflicker[plots]"',
            file=sys.stderr,
        )
        return 1
    from deflicker.models.spectra import read_spectrum

    table = read_spectrum(source)
    picture = picture or source.with_suffix(".png")
    spectrum_plot(table, picture)
    print(picture)
    return 0
