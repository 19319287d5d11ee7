"""A dithered set of exposures: the mosaic of all of them but one shows the light of that one."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray
from stdatamodels.jwst import datamodels

from deflicker.detector.pixel_map import pixel_map
from deflicker.errors import CannotClean
from deflicker.mission.exposure_wcs import exposure_wcs
from deflicker.models.exposure import exposure_from_model
from deflicker.models.mosaics import Mosaic, write_mosaic
from deflicker.ramps.rates import combine_rates
from deflicker.scene.coadd import GridRate, box_of, coadd, resample
from deflicker.scene.draft_masks import integration_rate
from deflicker.scene.registration import register
from deflicker.scene.scene_image import SceneImage

__all__ = ["Field"]

log = logging.getLogger(__name__)

# Size of the pixels of a mosaic relative to those of the detector: stars stay sharp when it is
# interpolated.
SCALE: Final = 0.75
# An exposure is moved to the others if its shift is known so well, in pixels of the grid.
MOST_SHIFT_ERROR: Final = 0.2
# Exposures are put together if these are equal.
SAME: Final = (
    "instrument.name",
    "instrument.filter",
    "instrument.pupil",
    "instrument.channel",
    "exposure.type",
)


@dataclass(frozen=True, kw_only=True)
class _Member:
    """An exposure of a set, on the common grid."""

    name: str
    rate: GridRate


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Exposures in one filter, and their common grid."""

    wcs: Any
    members: list[_Member]


class Field:
    """Rates of a dithered set, in groups of the same filter and detector set.

    Exposures are moved to the first one of their group, because pointings differ by more than a
    pixel before they are aligned. The rates of all exposures are in memory.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[str, ...], _Group] = {}
        self._group_of: dict[str, tuple[str, ...]] = {}

    def add(
        self, model: datamodels.JwstDataModel, name: str, *, input_dir: str = "", n_threads: int = 1
    ) -> None:
        """Add an exposure.

        Parameters
        ----------
        model : RampModel, CubeModel or ImageModel
            The exposure, cleaned as well as it can be alone.
        name : str
            Name of its file, different from those of the others.
        input_dir : str, optional
            Folder in which a file with its WCS may be.
        n_threads : int, optional
            Threads to use.

        Raises
        ------
        CannotClean
            If it has no WCS, or one that cannot be evaluated.
        """
        exposure = exposure_from_model(model)
        wcs = exposure_wcs(model, None, input_dir=input_dir)
        key = tuple(_text(model, keyword) for keyword in SAME)
        try:
            if key not in self._groups:
                grid = _grid(wcs, exposure.image_shape)
                self._groups[key] = _Group(wcs=grid, members=[])
            group = self._groups[key]
            y, x = pixel_map(exposure.image_shape, wcs, group.wcs.world_to_pixel_values)
        except Exception as error:
            msg = f"the WCS of {name} cannot be evaluated ({error}): assign it anew"
            raise CannotClean(msg) from error
        drafts = [
            integration_rate(exposure, i, n_threads=n_threads)
            for i in range(exposure.n_integrations)
        ]
        number = np.stack([one.n_differences for one in drafts]).sum(axis=0, dtype=np.uint32)
        rate = combine_rates(drafts)
        stripes = 1 if abs(exposure.readout.fast_axis) == 1 else 0
        dy, dx = _shift([one.rate for one in group.members], rate, y, x, stripes=stripes)
        y += dy
        x += dx
        group.members.append(_Member(name=name, rate=resample(rate, number, y=y, x=x)))
        self._group_of[name] = key

    def write_mosaic(self, name: str, path: Path) -> bool:
        """Write the mosaic of all exposures of a group but one.

        Parameters
        ----------
        name : str
            Name of that exposure.
        path : pathlib.Path
            FITS file.

        Returns
        -------
        bool
            Whether it was written: not if no other exposure shows light of that one.
        """
        key = self._group_of.get(name)
        if key is None:
            return False
        group = self._groups[key]
        own = next(one for one in group.members if one.name == name)
        box = own.rate.box
        others = [one for one in group.members if one is not own and one.rate.touches(box)]
        if not others:
            return False
        image, error = coadd([one.rate for one in others], box)
        if not np.isfinite(image).any():
            return False
        wcs = group.wcs.deepcopy()
        wcs.wcs.crpix = [wcs.wcs.crpix[0] - box[1].start, wcs.wcs.crpix[1] - box[0].start]
        mosaic = Mosaic(
            image=image,
            error=error,
            wcs=wcs,
            filter=key[SAME.index("instrument.filter")],
            unit="DN/s",
            members=tuple(one.name for one in others),
        )
        write_mosaic(mosaic, path)
        return True


def _shift(
    others: list[GridRate],
    rate: NDArray[np.float32],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    *,
    stripes: int,
) -> tuple[float, float]:
    """Pixels of the grid by which a rate lies beside the others; 0 where they do not show it."""
    box = box_of(y, x)
    near = [one for one in others if one.touches(box)]
    if not near:
        return 0.0, 0.0
    image, error = coadd(near, box)
    scene = SceneImage(image, error, y=y - box[0].start, x=x - box[1].start)
    found = register(rate, np.isfinite(rate), scene, stripes=stripes)
    return found.shift if found.shift_error < MOST_SHIFT_ERROR else (0.0, 0.0)


def _text(model: datamodels.JwstDataModel, keyword: str) -> str:
    part, name = keyword.split(".")
    return str(getattr(getattr(model.meta, part), name, None) or "")


def _grid(wcs: Any, shape: tuple[int, int]) -> Any:
    """Celestial WCS of the common grid, around the middle of an exposure, with north up."""
    middle = [(n - 1) / 2 for n in shape[::-1]]
    places = np.array([middle, [middle[0] + 1, middle[1]], [middle[0], middle[1] + 1]])
    ra, dec = (np.asarray(side, dtype=np.float64) for side in wcs(*places.T))
    grid = WCS(naxis=2)
    grid.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    grid.wcs.crval = [ra[0], dec[0]]
    size = SCALE * _pixel_size(ra, dec)
    grid.wcs.cdelt = [-size, size]
    grid.wcs.crpix = [1.0, 1.0]
    grid.wcs.set()
    return grid


def _pixel_size(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> float:
    """Square root of the area of a pixel, in degrees, from the sky at it and two neighbours."""
    east = (np.remainder(ra[1:] - ra[0] + 180, 360) - 180) * np.cos(np.deg2rad(dec[0]))
    north = dec[1:] - dec[0]
    size = float(np.sqrt(abs(east[0] * north[1] - east[1] * north[0])))
    if not 0 < size < 1:
        msg = f"a pixel of {size} degrees"
        raise ValueError(msg)
    return size
