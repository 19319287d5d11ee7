"""Cleaning of exposures of extended light: noise that is removed, and light that is eaten.

Run with ``python -m benchmarks.scenes``. Our methods run in this process. The step of jwst is
compared if ``--jwst-python`` names an environment that contains jwst, and snowblind's
stream cleaning if ``--snowblind-python`` names an environment with snowblind; both run from file to
file. With ``--held-out`` the scenes are those on which nothing was tuned. The last two columns are
the largest errors of what the cleaner itself says that it removes, for methods that say it.
With ``--true-powers`` the limit of the wiener method is shown: for the rate its last fit, but
with the true power spectrum of the light that is neither masked nor smooth, and for the
differences the Wiener filter for the true powers of their noise beside white and photon noise.
With ``--dithers`` sets of exposures of the scenes are cleaned, alone and with the mosaics of the
others, with the WCS or the unit of the mosaics wrong, and with the true light.
"""

import argparse
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import chain, product
from pathlib import Path
from statistics import median

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from benchmarks.dithered import dithered_rows
from deflicker import CleanOptions, clean_exposure
from deflicker.detector.dq import DO_NOT_USE
from deflicker.errors import NothingToClean
from deflicker.noise.wiener.light import Waves
from deflicker.noise.wiener.noise_fit import fit_noise
from deflicker.noise.wiener.records import Records
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.noise.wiener.weighted_image import WeightedImage
from deflicker.noise.wiener.wiener_fit import fit_wiener
from deflicker.simulation.exposures import DETECTORS, Scenario, SimulatedExposure, simulate
from deflicker.simulation.quality import LightQuality, measure_light
from deflicker.simulation.scenes import HELD_OUT, SCENES
from support.runs import (
    SNOWBLIND,
    Cleaner,
    cleaners,
    environment,
    exposure_of,
    run_step,
    write_ramp,
)

__all__ = ["METHODS", "Judged", "clean"]

METHODS = {
    "median": {"fit_method": "median"},
    "median by channel": {"fit_method": "median", "fit_by_channel": True},
    "median, model": {"fit_method": "median", "background_method": "model"},
    "fft": {"fit_method": "fft"},
    "wiener": {"fit_method": "wiener"},
}
EVERY = {**SCENES, **HELD_OUT}
# Scenes of a dithered set, unless others are named.
DITHERED = (
    "stars-640",
    "nebula-640",
    "shell",
    "held galaxies-640",
    "edge-on along",
    "disc-512",
    "comet",
)
BINS_PER_OCTAVE = 4
HEADER = (
    f"{'scene':24}{'method':20}{'seeds':>6}{'differences':>13}{'rate':>10}{'worst rate':>12}"
    f"{'eaten':>9}{'+-':>8}{'estimate wrong by':>20}"
)


@dataclass(frozen=True)
class Judged:
    """Quality of a cleaned exposure.

    Parameters
    ----------
    quality : LightQuality
        Noise that was removed, and light that was taken for noise.
    estimate : tuple of float or None
        What the cleaner says that it removed from the differences and from the rate, in percent.
    """

    quality: LightQuality
    estimate: tuple[float, float] | None = None

    @property
    def errors(self) -> tuple[float, float] | None:
        """Errors of the estimate in points; None without an estimate."""
        if self.estimate is None:
            return None
        differences, rate = self.estimate
        return differences - self.quality.removed_differences, rate - self.quality.removed_rate


def main() -> None:
    """Print the table."""
    options = _options()
    print("Percent of the correlated noise's variance that is removed from the differences and")
    print("from the rate, medians over the seeds, and the rate of the worst seed; percent of the")
    print("light that is taken for noise, and its error from the noise of the rate.")
    print(HEADER)
    if options.dithers:
        _print_dithers(options.scene or DITHERED, options)
    else:
        _print_scenes(HELD_OUT if options.held_out else SCENES, options)


def _options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scenes", description=__doc__)
    parser.add_argument("--scene", nargs="*", help="names; all by default")
    parser.add_argument("--method", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seed", nargs="*", type=int, default=[1, 2, 3])
    parser.add_argument("--held-out", action="store_true", help="scenes of which nothing was tuned")
    parser.add_argument("--true-powers", action="store_true", help="show the limit of wiener")
    parser.add_argument("--jwst-python", type=Path, help="interpreter that has jwst")
    parser.add_argument("--snowblind-python", type=Path, help="one that has jwst and snowblind")
    parser.add_argument("--dithers", nargs="*", type=int, help="numbers of dithered exposures")
    options = parser.parse_args()
    scenes = EVERY if options.dithers else HELD_OUT if options.held_out else SCENES
    unknown = set(options.scene or ()) - set(scenes)
    if unknown:
        parser.error(f"unknown scenes {sorted(unknown)}; they are {sorted(scenes)}")
    return options


def _print_scenes(scenes: Mapping[str, Scenario], options: argparse.Namespace) -> None:
    """Clean single exposures."""
    others = cleaners(options.jwst_python, options.snowblind_python)[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = environment(folder) if others else {}
        for scene in options.scene or scenes:
            rows: dict[str, list[Judged]] = {}
            for seed in options.seed:
                truth = simulate(scenes[scene], seed=seed)
                ours = _of_ours(truth, options.method, with_limit=options.true_powers)
                for label, judged in chain(ours, _of_others(truth, others, folder, env)):
                    rows.setdefault(label, []).append(judged)
            for label, all_seeds in rows.items():
                _print_row(scene, label, all_seeds)


def clean(truth: SimulatedExposure, **options: object) -> Judged:
    """Clean a simulated exposure in this process and judge the result.

    Parameters
    ----------
    truth : SimulatedExposure
        The exposure.
    **options
        Options of `deflicker.CleanOptions`.

    Returns
    -------
    Judged
        Its quality; that of the exposure itself if there was nothing to clean.
    """
    try:
        result = clean_exposure(exposure_of(truth), CleanOptions(n_threads=2, **options))
    except NothingToClean:
        return Judged(measure_light(truth, truth.data), (0.0, 0.0))
    removed = result.removed
    estimate = None if removed is None else (100 * removed.differences, 100 * removed.rate)
    return Judged(measure_light(truth, result.data), estimate)


def with_true_powers(truth: SimulatedExposure) -> LightQuality:
    """Fit the noise of the mean difference with the true power of the light beside it.

    Parameters
    ----------
    truth : SimulatedExposure
        The exposure.

    Returns
    -------
    LightQuality
        The better one of two fits of the rate: after subtraction of the sky that the method fits if
        it finds no other light, and of no sky.
    """
    blind = WienerTuning(significant_light=np.inf, significant_stripes=np.inf)
    options = CleanOptions(fit_method="wiener", n_threads=2, save_background=True)
    exposure = exposure_of(truth)
    fit = fit_wiener(exposure, options, flat=None, science=None, user_mask=None, tuning=blind)
    spectrum = fit.noise.spectrum.scaled(fit.mean.factor)
    variance = fit.mean.variance(
        spectrum.white, fit.noise.photon_variance_per_dn, incomplete=blind.incomplete
    )
    scene = exposure.readout.to_detector(truth.scene)
    records = Records(fit.records.clock, 2)
    qualities = []
    for sky in (fit.background, np.median(fit.mean.values[fit.mask])):
        noise, _ = fit_noise(
            WeightedImage(
                values=np.where(fit.mask, fit.mean.values - sky, 0).astype(np.float32),
                variance=variance,
                usable=fit.mask,
            ),
            spectrum,
            records,
            light=_power(scene - sky, fit.mask, records),
        )
        steps = np.arange(truth.data.shape[1], dtype=np.float32)[:, np.newaxis, np.newaxis]
        cleaned = truth.data - steps * exposure.readout.to_science(noise)
        qualities.append(measure_light(truth, cleaned))
    best = max(qualities, key=lambda quality: quality.removed_rate)
    return replace(best, removed_differences=_of_differences(truth, records, best.removed_rate))


def _of_differences(truth: SimulatedExposure, records: Records, rate: float) -> float:
    """Percentage of the noise of differences that a Wiener filter removes at best.

    The deviations from the mean contain no light but its photon noise.
    """
    scenario, n_outputs = truth.scenario, records.clock.n_outputs
    n = scenario.n_groups - 1
    if n < 2:
        return rate
    differences = np.diff(truth.correlated[0], axis=0)
    bins = np.rint(BINS_PER_OCTAVE * np.log2(np.arange(1, records.size // 2 + 2))).astype(int)
    powers = np.zeros((2, bins[-1] + 1))
    for one in differences - differences.mean(axis=0):
        image = np.ascontiguousarray(scenario.readout.to_detector(one), dtype=np.float32)
        spectra = records.spectra(records.filled(image - image.mean()))
        shared = np.square(np.abs(spectra.sum(axis=0))) / n_outputs
        others = np.square(np.abs(spectra)).sum(axis=0) - shared
        powers += [np.bincount(bins, shared), np.bincount(bins, others)]
    number = n * np.bincount(bins)
    modes = np.array([[1.0], [max(n_outputs - 1, 1)]])
    noise = powers / np.maximum(number * modes, 1)
    white = (scenario.noise or DETECTORS[scenario.instrument]).white
    variance = (2 * white**2 + np.maximum(truth.scene, 0)) * (1 - 1 / n)
    good = truth.pixel_dq & DO_NOT_USE == 0
    ticks = n_outputs * records.size
    rest = ticks / float(np.sum(1 / variance[good]))
    removed = np.sum(powers * noise / np.maximum(noise + rest, 1e-30)) / powers.sum()
    # The mean has this fraction of the variance.
    of_mean = 1 / n**2
    return float(100 * (1 - of_mean) * removed + of_mean * rate)


def _power(light: NDArray, mask: NDArray[np.bool_], records: Records) -> NDArray[np.float32]:
    """Mean power of the light in a mask at the spatial frequencies of records."""
    masked = np.where(mask, light - light[mask].mean(), 0).astype(np.float32)
    power = np.square(np.abs(records.spectra(records.filled(masked)))).mean(axis=0) / mask.mean()
    waves = Waves.of(records)
    octaves = np.log2(np.maximum(waves.frequency * max(light.shape), 1))
    bins = 2 * np.rint(BINS_PER_OCTAVE * octaves).astype(int) + waves.along_rows
    means = np.bincount(bins, power) / np.maximum(np.bincount(bins), 1)
    return means[bins].astype(np.float32)


def _applies(method: str, scenario: Scenario) -> bool:
    if method == "fft":
        return scenario.instrument == "NIRSPEC"
    return scenario.n_outputs > 1 or "channel" not in method


def _of_ours(
    truth: SimulatedExposure, methods: list[str], *, with_limit: bool
) -> Iterator[tuple[str, Judged]]:
    """Figures of our methods that apply, and of the limit of one of them."""
    for method in methods:
        if _applies(method, truth.scenario):
            yield method, clean(truth, **METHODS[method])
    if with_limit:
        yield "true powers", Judged(with_true_powers(truth))


def _of_others(
    truth: SimulatedExposure, others: list[Cleaner], folder: Path, env: dict[str, str]
) -> Iterator[tuple[str, Judged]]:
    """Figures of the steps of other packages, with their defaults."""
    source, target = folder / "exposure_ramp.fits", folder / "exposure_cleaned.fits"
    scenario = truth.scenario
    for step in others:
        full = scenario.instrument in ("NIRCAM", "NIRISS") and scenario.subarray == "FULL"
        if step.name == SNOWBLIND and not full:
            continue
        write_ramp(truth, source)
        target.unlink(missing_ok=True)
        run_step(step, source, target, (), env)
        yield step.name, Judged(measure_light(truth, fits.getdata(target, "SCI")))


def _print_dithers(scenes: Iterable[str], options: argparse.Namespace) -> None:
    """Clean dithered sets; a "seed" of a row is one exposure of one set."""
    for scene, method in product(scenes, options.method):
        if not _applies(method, EVERY[scene]):
            continue
        rows: dict[str, list[Judged]] = {}
        for seed in options.seed:
            chosen = {"n_threads": 2, **METHODS[method]}
            for label, found in dithered_rows(EVERY[scene], options.dithers, chosen, seed=seed):
                rows.setdefault(label, []).extend(Judged(quality) for quality in found)
        for label, judged in rows.items():
            _print_row(scene if method == "wiener" else f"{scene}, {method}", label, judged)


def _print_row(scene: str, label: str, judged: list[Judged]) -> None:
    middle = {
        item.name: median(getattr(one.quality, item.name) for one in judged)
        for item in fields(LightQuality)
    }
    worst = min(one.quality.removed_rate for one in judged)
    errors = [one.errors for one in judged if one.errors is not None]
    largest = "".join(f"{max(kind, key=abs):+10.1f}" for kind in zip(*errors, strict=True))
    print(
        f"{scene:23} {label:19} {len(judged):>6}{middle['removed_differences']:z11.1f} %"
        f"{middle['removed_rate']:z8.1f} %{worst:z10.1f} %{middle['eaten']:z7.2f} %"
        f"{middle['eaten_error']:7.2f}{largest}",
        flush=True,
    )


if __name__ == "__main__":
    main()
