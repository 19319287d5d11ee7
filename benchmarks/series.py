"""White light curves of cleaned time series, compared with the truth.

Run with ``python -m benchmarks.series``. The target of each simulated series has a transit. The
light in a box around the target is summed in every integration, and the depth of the transit is
fitted. The step of jwst is compared if the jwst package is installed, here or in the environment
that ``--jwst-python`` names. Its median image is scaled by the true light curve (see
``benchmarks.jwst_series``).
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deflicker import CleanOptions, clean_exposure
from deflicker.errors import CannotClean
from deflicker.simulation.exposures import SERIES, SimulatedExposure, simulate
from deflicker.simulation.quality import measure_quality
from support.light_curves import column_excess, fit_transit, noise_limit, white_light
from support.runs import Cleaner, clean_elsewhere, cleaners, environment, exposure_of

__all__ = ["METHODS", "PEER_METHODS"]

METHODS: dict[str, dict[str, object]] = {
    "median": {},
    "fft": {"fit_method": "fft"},
    "median_image": {"background_method": "median_image"},
    "median_image, fft": {"background_method": "median_image", "fit_method": "fft"},
    "wiener": {"fit_method": "wiener"},
}
MEDIAN_IMAGE = "--background_method=median_image"
PEER_METHODS = {
    "jwst median": (),
    "jwst fft": ("--fit_method=fft",),
    "jwst median_image": (MEDIAN_IMAGE,),
}
NONE, PERFECT = "none", "perfect"
HEADER = (
    f"{'series':9}{'method':19}{'seeds':>6}{'depth':>10}{'+-':>9}{'bias':>10}{'bias/error':>11}"
    f"{'bias - perfect':>16}{'scatter':>9}{'limit':>8}{'columns':>9}{'removed':>10}"
)

Clean = Callable[[SimulatedExposure], NDArray]


@dataclass(frozen=True)
class _Row:
    """Figures of one method on one series."""

    depth: float
    error: float
    scatter: float
    bias: float
    columns: float
    removed: float


def main() -> None:
    """Print the table."""
    names = [NONE, PERFECT, *METHODS, *PEER_METHODS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.series", description=__doc__)
    parser.add_argument("--case", nargs="*", choices=SERIES, default=list(SERIES))
    parser.add_argument("--method", nargs="*", choices=names, default=names)
    parser.add_argument("--seed", nargs="*", type=int, default=[1])
    parser.add_argument("--jwst-python", type=Path, help="interpreter that has jwst")
    parser.add_argument("--picture", type=Path, help="PNG file of light curves to draw instead")
    options = parser.parse_args()
    if options.picture:
        _draw(options.picture, options.case[0], options.seed[0])
        return
    print("Depth of the transit in percent with its error, and minus the truth: in percent, in")
    print("errors, and minus the bias of a cleaning that removes only the correlated noise.")
    print("Scatter of the residuals and its limit due to photon and white noise in ppm; scatter of")
    print("the columns of a spectrum divided by their limit; percent of the correlated noise's")
    print("variance that is removed from the rate of an integration.")
    print("Means over the seeds; the error is that of the mean.")
    print(HEADER)
    with tempfile.TemporaryDirectory() as name:
        methods = _methods(options.method, options.jwst_python, Path(name))
        for case in options.case:
            _print_case(case, methods, options.seed)


def _draw(path: Path, case: str, seed: int) -> None:
    """Draw white light curves before and after cleaning."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    truth = simulate(SERIES[case], seed=seed)
    curves = {
        "before": truth.data,
        "median_image": _clean(truth, METHODS["median_image"]),
        "wiener": _clean(truth, METHODS["wiener"]),
    }
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(curves), sharex=True, sharey=True)
    number = np.arange(1, truth.scenario.n_integrations + 1)
    for axes, (name, ramps) in zip(panels, curves.items(), strict=True):
        curve = white_light(truth, ramps)
        scale = fit_transit(curve).scatter
        axes.plot(number, truth.light_curve, color="0.6", label="truth")
        axes.plot(number, curve / np.mean(curve / truth.light_curve), "k.", label="measured")
        axes.set(title=f"{name}: {1e6 * scale:.0f} ppm", xlabel="integration")
    panels[0].set_ylabel("white light")
    panels[0].legend(loc="lower left")
    figure.savefig(path, dpi=100)


def _methods(
    names: Sequence[str], jwst_python: Path | None, folder: Path
) -> dict[str, Clean | None]:
    """Functions that clean, by name of the method; None for no cleaning."""
    _, *peers = cleaners(jwst_python)
    env = environment(folder) if peers else {}
    methods: dict[str, Clean | None] = {}
    for name in names:
        if name == NONE:
            methods[name] = None
        elif name == PERFECT:
            methods[name] = _without_correlated
        elif name in METHODS:
            methods[name] = partial(_clean, options=METHODS[name])
        elif peers:
            methods[name] = partial(
                _clean_by_peer,
                peer=peers[0],
                parameters=PEER_METHODS[name],
                folder=folder,
                env=env,
            )
    return methods


def _without_correlated(truth: SimulatedExposure) -> NDArray:
    return truth.data - truth.correlated


def _clean(truth: SimulatedExposure, options: Mapping[str, object]) -> NDArray:
    """Ramps cleaned by the library."""
    return clean_exposure(exposure_of(truth), CleanOptions(n_threads=2, **options)).data


def _clean_by_peer(
    truth: SimulatedExposure,
    *,
    peer: Cleaner,
    parameters: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
) -> NDArray:
    """Ramps cleaned by another package."""
    if MEDIAN_IMAGE in parameters:
        root = str(Path(__file__).parents[1])
        env = {**env, "PYTHONPATH": os.pathsep.join(filter(None, [root, env.get("PYTHONPATH")]))}
        peer = replace(peer, step="benchmarks.jwst_series.KnownCurveStep")
        curve = ",".join(f"{light:.8f}" for light in truth.light_curve)
        parameters = (*parameters, f"--curve={curve}")
    try:
        return clean_elsewhere(truth, peer, parameters, folder=folder, env=env)
    except RuntimeError as error:
        raise CannotClean(str(error).strip().splitlines()[-1]) from error


def _print_case(case: str, methods: Mapping[str, Clean | None], seeds: Sequence[int]) -> None:
    """Print the rows of one series."""
    rows: dict[str, list[_Row]] = {}
    reasons: dict[str, str] = {}
    limits, perfect = [], []
    for seed in seeds:
        truth = simulate(SERIES[case], seed=seed)
        limits.append(noise_limit(truth))
        perfect.append(_measure(truth, _without_correlated).bias)
        for name, clean in _suitable(methods, truth.scenario.instrument):
            try:
                row = _measure(truth, clean)
            except CannotClean as reason:
                reasons[name] = str(reason)
            else:
                rows.setdefault(name, []).append(row)
    for name, _ in _suitable(methods, SERIES[case].instrument):
        if name in reasons:
            print(f"{case:9}{name:19}  skipped: {reasons[name]}", flush=True)
        else:
            _print_row(case, name, rows[name], perfect=np.mean(perfect), limit=np.mean(limits))


def _suitable(
    methods: Mapping[str, Clean | None], instrument: str
) -> Iterator[tuple[str, Clean | None]]:
    for name, clean in methods.items():
        if "fft" not in name or instrument == "NIRSPEC":
            yield name, clean


def _measure(truth: SimulatedExposure, clean: Clean | None) -> _Row:
    """Clean a series and measure it."""
    cleaned = truth.data if clean is None else clean(truth)
    fit = fit_transit(white_light(truth, cleaned))
    return _Row(
        depth=fit.depth,
        error=fit.error,
        scatter=fit.scatter,
        bias=fit.depth - truth.scenario.transit_depth,
        columns=np.nan if truth.scenario.target == "star" else column_excess(truth, cleaned),
        removed=measure_quality(truth, cleaned).removed_integration,
    )


def _print_row(case: str, name: str, rows: Sequence[_Row], *, perfect: float, limit: float) -> None:
    mean = _Row(*np.mean([astuple(row) for row in rows], axis=0))
    error = mean.error / len(rows) ** 0.5
    columns = "-" if np.isnan(mean.columns) else f"{mean.columns:.3f}"
    print(
        f"{case:9}{name:19}{len(rows):6}{100 * mean.depth:8.4f} %{100 * error:9.4f}"
        f"{100 * mean.bias:z10.4f}{mean.bias / error:z11.2f}{100 * (mean.bias - perfect):z16.4f}"
        f"{1e6 * mean.scatter:9.0f}{1e6 * limit:8.0f}{columns:>9}{mean.removed:z8.1f} %",
        flush=True,
    )


if __name__ == "__main__":
    main()
