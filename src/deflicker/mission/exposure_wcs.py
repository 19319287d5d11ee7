"""WCS of an exposure: its own, that of a file of the same exposure, or one made for it."""

import logging
from pathlib import Path
from typing import Any, Final

from stdatamodels.jwst import datamodels

from deflicker.errors import CannotClean
from deflicker.mission.names import remove_suffix
from deflicker.mission.other_steps import find_step, run_step
from deflicker.mission.science_regions import draft_image
from deflicker.models.mosaics import read_wcs

__all__ = ["exposure_wcs"]

log = logging.getLogger(__name__)

# Suffixes of files that have a WCS, the best aligned first.
WITH_WCS: Final = ("tweakreg", "crf", "cal", "assign_wcs", "rate")


def exposure_wcs(
    model: datamodels.JwstDataModel, path: str | Path | None, *, input_dir: str = ""
) -> Any:
    """WCS of an exposure from its pixels to the sky.

    Parameters
    ----------
    model : JwstDataModel
        The exposure.
    path : str, pathlib.Path or None
        File of the same exposure that has a WCS.
    input_dir : str, optional
        Folder of the exposure, in which such files are looked for.

    Returns
    -------
    gwcs.WCS
        That of the file; else of the exposure; else of a file of the same root beside it; else of
        the step assign_wcs, if a package has it.

    Raises
    ------
    CannotClean
        If there is none.
    """
    shape = model.data.shape[-2:]
    if path is not None:
        wcs = read_wcs(path, shape)
        if wcs is None:
            msg = f"scene_wcs {path} has no WCS: {_ways(model)}"
            raise CannotClean(msg)
        return wcs
    if callable(model.meta.wcs):
        return model.meta.wcs
    for beside in _files_beside(model, Path(input_dir)):
        wcs = read_wcs(beside, shape)
        if wcs is not None:
            log.info("The WCS is that of %s", beside.name)
            return wcs
    wcs = _assigned(model, input_dir)
    if callable(wcs):
        return wcs
    msg = f"scene_image needs a WCS, and the exposure has none: {_ways(model)}"
    raise CannotClean(msg)


def _assigned(model: datamodels.JwstDataModel, input_dir: str) -> Any:
    """WCS that assign_wcs makes; None if no package has that step."""
    assign_wcs = find_step("assign_wcs")
    if assign_wcs is None:
        return None
    log.info("The input has no WCS: one is assigned for the scene image")
    try:
        return run_step(assign_wcs, draft_image(model), input_dir=input_dir).meta.wcs
    except CannotClean as reason:
        msg = f"scene_image needs a WCS, and assign_wcs failed ({reason.__cause__}): {_ways(model)}"
        raise CannotClean(msg) from reason


def _files_beside(model: datamodels.JwstDataModel, folder: Path) -> list[Path]:
    """Files of the same exposure that may have a WCS."""
    name = model.meta.filename
    if not name:
        return []
    root = remove_suffix(Path(name).stem)[0]
    found = (folder / f"{root}_{suffix}.fits" for suffix in WITH_WCS)
    return [path for path in found if path.is_file() and path.name != name]


def _ways(model: datamodels.JwstDataModel) -> str:
    root = remove_suffix(Path(model.meta.filename or "x").stem)[0]
    return (
        "give scene_wcs, a file of the same exposure that has one (_cal, _crf or _tweakreg), put "
        f"{root}_cal.fits beside the input, install deflicker[jwst], or run assign_wcs first"
    )
