"""Cleaning of dithered sets: each exposure alone, and with the mosaic of the others.

``python -m benchmarks.scenes --dithers 2 4 9`` prints the table, and
``python -m benchmarks.dithered --picture nebula.png`` draws a nebula, and the noise in its rate
before and after.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from deflicker import CleanOptions, clean_exposure
from deflicker.errors import NothingToClean
from deflicker.mission.field import Field
from deflicker.mission.scene_image import known_light
from deflicker.models.exposure import exposure_from_model, model_from_simulation
from deflicker.models.mosaics import Mosaic, write_mosaic
from deflicker.simulation.dithers import DitheredExposure, DitheredSet, Pointing, dithered_set
from deflicker.simulation.exposures import Scenario, SimulatedExposure
from deflicker.simulation.quality import LightQuality, mean_difference, measure_light
from deflicker.simulation.scenes import SCENES

__all__ = ["dithered_rows"]

# Offsets in pixels and position angles in degrees: two visits, each with dithers of its own.
OFFSETS = (
    (0.0, 0.0),
    (7.3, -11.8),
    (-23.2, 31.6),
    (45.7, 12.4),
    (-50.3, -22.1),
    (3.5, 58.7),
    (17.2, -40.9),
    (-38.8, 9.1),
    (0.2, 26.3),
)
ROLLS = (0.0, 0.0, 23.0, 23.0)
BACKGROUND = 0.05  # electrons per second by which the sky of each exposure exceeds the last one's
WRONG_WCS = (0.1, 0.5, 3.0)  # pixels
WRONG_UNIT = 1.05
JUDGED = 2  # exposures of a set that are cleaned again


@dataclass(frozen=True)
class _Member:
    """An exposure of a set, and its name in the set."""

    exposure: DitheredExposure
    name: str

    def model(self) -> Any:
        """Open data model of the exposure, as it is before cleaning."""
        model = model_from_simulation(self.exposure.truth)
        model.meta.wcs, model.meta.filename = self.exposure.wcs, self.name
        model.meta.instrument.filter = "F200W"
        return model


def dithered_rows(
    scenario: Scenario, numbers: list[int], options: dict[str, object], *, seed: int
) -> Iterator[tuple[str, list[LightQuality]]]:
    """Clean the first exposures of a set in several ways.

    Parameters
    ----------
    scenario : Scenario
        Each exposure of the set.
    numbers : list of int
        Numbers of dithers.
    options : dict
        Options of `deflicker.CleanOptions`.
    seed : int
        Seed of the field.

    Yields
    ------
    label : str
        How they were cleaned.
    qualities : list of LightQuality
        One for each exposure that is judged.
    """
    whole = dithered_set(scenario, _pointings(max(numbers)), seed=seed)
    members = _members(whole)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        yield "alone", [_judge(one, options) for one in members[:JUDGED]]
        for number in numbers:
            field = _field(members[:number], options)
            yield f"{number} dithers", _with_mosaics(members, field, options, folder)
            if number == 4:
                scaled = _with_mosaics(members, field, options, folder, factor=WRONG_UNIT)
                yield "4, unit wrong by 5 %", scaled
                again = _field(members[:number], options, earlier=field, folder=folder)
                yield "4, a third pass", _with_mosaics(members, again, options, folder)
        for error in WRONG_WCS:
            # As many pointings as before, because the field depends on them.
            pointings = _pointings(max(numbers), error=error)
            wrong = _members(dithered_set(scenario, pointings, seed=seed))[:4]
            rows = _with_mosaics(wrong, _field(wrong, options), options, folder)
            yield f"4, WCS wrong by {error:g}", rows
        yield "true light", _with_truth(whole, members, options, folder)


def _pointings(number: int, *, error: float = 0.0) -> tuple[Pointing, ...]:
    angles = 2.4 * np.arange(number)  # in radians: each error has another direction
    return tuple(
        Pointing(
            offset=OFFSETS[k % len(OFFSETS)],
            roll=ROLLS[k % len(ROLLS)],
            background=BACKGROUND * k,
            error=(error * float(np.sin(angle)), error * float(np.cos(angle))),
        )
        for k, angle in enumerate(angles)
    )


def _members(whole: DitheredSet) -> list[_Member]:
    return [_Member(one, f"jw{k:03}_ramp.fits") for k, one in enumerate(whole.exposures)]


def _field(
    members: list[_Member],
    options: dict[str, object],
    *,
    earlier: Field | None = None,
    folder: Path | None = None,
) -> Field:
    """Rates of exposures cleaned alone, or with the mosaics of an earlier pass."""
    field = Field()
    for one in members:
        mosaic = None
        if earlier is not None and folder is not None:
            mosaic = folder / "earlier.fits"
            earlier.write_mosaic(one.name, mosaic)
        with one.model() as model:
            model.data = _cleaned(model, options, mosaic)
            field.add(model, one.name, n_threads=2)
    return field


def _with_mosaics(
    members: list[_Member],
    field: Field,
    options: dict[str, object],
    folder: Path,
    *,
    factor: float = 1.0,
) -> list[LightQuality]:
    """Second pass, with the mosaics of the others."""
    qualities = []
    for one in members[:JUDGED]:
        path = folder / "mosaic.fits"
        if not field.write_mosaic(one.name, path):
            qualities.append(_judge(one, options))
            continue
        if factor != 1:
            with fits.open(path, mode="update") as hdus:
                for name in ("SCI", "ERR"):
                    hdus[name].data *= factor
        qualities.append(_judge(one, options, path))
    return qualities


def _with_truth(
    whole: DitheredSet, members: list[_Member], options: dict[str, object], folder: Path
) -> list[LightQuality]:
    path = folder / "truth.fits"
    error = np.full_like(whole.sky, 1e-4)
    write_mosaic(Mosaic(image=whole.sky, error=error, wcs=whole.wcs, unit="DN/s"), path)
    return [_judge(one, options, path) for one in members[:JUDGED]]


def _judge(member: _Member, options: dict[str, object], mosaic: Path | None = None) -> LightQuality:
    """Clean an exposure and compare it with the truth."""
    with member.model() as model:
        return measure_light(member.exposure.truth, _cleaned(model, options, mosaic))


def _cleaned(model: Any, options: dict[str, object], mosaic: Path | None) -> NDArray:
    """Data of an exposure after cleaning; as they are if there is nothing to clean."""
    exposure = exposure_from_model(model)
    known = None
    if mosaic is not None:
        known = known_light(
            model, exposure, mosaic=mosaic, find_wcs=lambda: model.meta.wcs, n_threads=2
        )
    try:
        return clean_exposure(exposure, CleanOptions(**options), known=known).data
    except NothingToClean:
        return model.data


def main() -> None:
    """Draw the nebula."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dithered", description=__doc__)
    parser.add_argument("--picture", type=Path, required=True, metavar="PNG")
    parser.add_argument("--scene", choices=SCENES, default="nebula-640")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    scenario, cleaning = SCENES[options.scene], {"fit_method": "wiener", "n_threads": 2}
    members = _members(dithered_set(scenario, _pointings(4), seed=options.seed))
    first = members[0]
    truth = first.exposure.truth
    images = {"before": truth.data}
    with first.model() as model, tempfile.TemporaryDirectory() as place:
        exposure = exposure_from_model(model)
        mosaic = Path(place) / "mosaic.fits"
        _field(members, cleaning).write_mosaic(first.name, mosaic)
        known = known_light(model, exposure, mosaic=mosaic, find_wcs=lambda: model.meta.wcs)
        chosen = CleanOptions(**cleaning)
        images["cleaned alone"] = clean_exposure(exposure, chosen).data
        images["with dithers"] = clean_exposure(exposure, chosen, known=known).data
    _draw(truth.scene, images, truth, options.picture)


def _draw(scene: NDArray, images: dict[str, NDArray], truth: SimulatedExposure, path: Path) -> None:
    """Draw the light, and what each rate has beside it, smoothed by 3 pixels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.5), layout="constrained", dpi=110)
    axes = figure.subplots(1, 1 + len(images))
    low, high = np.percentile(scene, (1, 99.5))
    axes[0].imshow(scene, origin="lower", cmap="gray", vmin=low, vmax=high)
    axes[0].set_title("light", fontsize=9)
    for axis, (title, data) in zip(axes[1:], images.items(), strict=True):
        noise = mean_difference(data) - scene
        noise -= np.nanmedian(noise)
        smooth = uniform_filter(np.nan_to_num(noise), 3)
        removed = measure_light(truth, data).removed_rate
        axis.imshow(smooth, origin="lower", cmap="gray", vmin=-4, vmax=4)
        axis.set_title(f"noise, {title}: {removed:.0f} % removed", fontsize=9)
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.savefig(path)


if __name__ == "__main__":
    main()
