"""Science regions of an exposure, from its type and its WCS, or from a WCS made for the mask."""

import logging
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from stdatamodels.jwst import datamodels

from deflicker.errors import CannotClean
from deflicker.mission.other_steps import find_step, run_step
from deflicker.models.soss import soss_region
from deflicker.scene import regions

__all__ = ["draft_image", "science_regions"]

log = logging.getLogger(__name__)

SLITS: Final = ("NRS_MSASPEC", "NRS_FIXEDSLIT", "NRS_BRIGHTOBJ")
BEHIND_SHUTTERS: Final = ("NRS_IFU", "NRS_MSASPEC")


def science_regions(
    model: datamodels.JwstDataModel,
    *,
    non_science: NDArray[np.bool_] | None = None,
    pastasoss: str | Path | datamodels.PastasossModel | None = None,
    input_dir: str = "",
) -> NDArray[np.bool_] | None:
    """Pixels to mask whatever their brightness.

    Parameters
    ----------
    model : RampModel, CubeModel, ImageModel or IFUImageModel
        The exposure.
    non_science : ndarray of bool, shape (ny, nx), optional
        Pixels that the flat field of MIRI flags as non-science.
    pastasoss : str, pathlib.Path or PastasossModel, optional
        Reference file of the traces, required for NIRISS SOSS.
    input_dir : str, optional
        Folder in which assign_wcs looks for an MSA metadata file.

    Returns
    -------
    ndarray of bool, shape (ny, nx), or None
        True in a science region; None if the exposure type has none.

    Raises
    ------
    CannotClean
        If the regions cannot be found.
    """
    exp_type = model.meta.exposure.type.upper()
    if exp_type == "MIR_IMAGE":
        return non_science
    if exp_type == "NIS_SOSS":
        if pastasoss is None:
            msg = "mask_science_regions needs a PASTASOSS reference file; give override_pastasoss"
            raise CannotClean(msg)
        return _reported(soss_region(model, pastasoss))
    if exp_type != "NRS_IFU" and exp_type not in SLITS:
        log.warning("%s has no science regions: mask_science_regions is ignored", exp_type)
        return None
    from gwcs import WCS

    wcs, flags = _geometry(model, input_dir=input_dir)
    if not isinstance(wcs, WCS):
        msg = (
            f"meta.wcs is no gwcs object but a {type(wcs).__name__}: assign it anew with "
            "assign_wcs, or give user_mask"
        )
        raise CannotClean(msg)
    try:
        inside = _nirspec_regions(wcs, flags, exp_type)
    except CannotClean:
        raise
    except Exception as error:
        msg = f"the WCS cannot be evaluated ({error}): assign it anew, or give user_mask"
        raise CannotClean(msg) from error
    return _reported(inside)


def _reported(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    log.info("Science regions: %.1f %% of the pixels", 100 * inside.mean())
    return inside


def draft_image(model: datamodels.JwstDataModel) -> datamodels.JwstDataModel:
    """Make a blank image with the metadata and data quality of an exposure.

    It replaces the draft rate where only the geometry matters.

    Parameters
    ----------
    model : RampModel, CubeModel, ImageModel or IFUImageModel
        The exposure.

    Returns
    -------
    ImageModel or IFUImageModel
        With its own arrays; each pixel has the flags of all integrations.
    """
    ifu = model.meta.exposure.type.upper() == "NRS_IFU"
    kind = datamodels.IFUImageModel if ifu else datamodels.ImageModel
    flags = _flags(model)
    if flags.ndim == 3:
        flags = np.bitwise_or.reduce(flags, axis=0)
    image = kind(data=np.zeros(flags.shape, np.float32), dq=flags.astype(np.uint32))
    image.update(model)
    return image


def _flags(model: datamodels.JwstDataModel) -> NDArray[np.uint32]:
    flags = model.pixeldq if isinstance(model, datamodels.RampModel) else model.dq
    return np.zeros(model.data.shape[-2:], np.uint32) if flags is None else np.asarray(flags)


def _geometry(model: datamodels.JwstDataModel, *, input_dir: str) -> tuple[Any, NDArray[np.uint32]]:
    """WCS of an exposure, and its DQ with failed-open shutters flagged."""
    wcs = getattr(model.meta, "wcs", None)
    behind_shutters = model.meta.exposure.type.upper() in BEHIND_SHUTTERS
    if wcs is not None:
        if behind_shutters and model.meta.cal_step.msa_flagging != "COMPLETE":
            log.info("msaflagopen was not run: failed-open shutters are masked where DQ has them")
        return wcs, _flags(model)
    assign_wcs = find_step("assign_wcs")
    flag_open = find_step("msaflagopen", "msa_flagging")  # jwst registers it as the latter
    if assign_wcs is None or flag_open is None:
        msg = (
            "mask_science_regions needs a WCS, and the input has none: install deflicker[jwst], "
            "which can assign one, give user_mask, or run without mask_science_regions"
        )
        raise CannotClean(msg)
    log.info("The input has no WCS: one is assigned for the mask")
    image = run_step(assign_wcs, draft_image(model), input_dir=input_dir)
    if getattr(image.meta, "wcs", None) is None:
        msg = "assign_wcs gave no WCS; give user_mask, or run without mask_science_regions"
        raise CannotClean(msg)
    if behind_shutters:
        image = run_step(flag_open, image, input_dir=input_dir)
    return image.meta.wcs, image.dq


def _nirspec_regions(wcs: Any, flags: NDArray[np.uint32], exp_type: str) -> NDArray[np.bool_]:
    """Slices or slits; for IFU and MOS also failed-open shutters and the fixed slits."""
    shape = flags.shape[-2:]
    if exp_type == "NRS_IFU":
        inside = regions.ifu_slices(wcs, shape)
    else:
        inside = regions.slit_footprints(wcs, shape)
    if exp_type in BEHIND_SHUTTERS:
        inside |= regions.failed_open(flags)
        if exp_type == "NRS_IFU" or not regions.has_fixed_slits(wcs):
            inside |= regions.fixed_slit_region(shape)
    return inside
