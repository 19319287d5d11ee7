"""Conversion between JWST data models and the arrays that the library works on."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from stdatamodels.jwst import datamodels

from deflicker.detector.dq import DO_NOT_USE
from deflicker.detector.facts import NEAR_INFRARED
from deflicker.detector.readout import Readout, count_outputs
from deflicker.errors import CannotClean, NothingToClean
from deflicker.noise.registry import METHODS
from deflicker.ramps.exposure import Exposure, Ramps
from deflicker.simulation.exposures import SimulatedExposure
from deflicker.storage.stored_array import as_array, as_ramps

__all__ = [
    "check_method",
    "describe",
    "exposure_from_model",
    "mask_model",
    "may_hold_stars",
    "model_from_simulation",
    "product_model",
    "series_keywords",
    "template_model",
    "unit_of",
]

# Index that reshapes the data of each model to (integrations, groups, rows, columns).
_NEW_AXES: Final[Mapping[type, tuple[Any, ...]]] = MappingProxyType(
    {
        datamodels.RampModel: (...,),
        datamodels.CubeModel: (slice(None), np.newaxis),
        datamodels.ImageModel: (np.newaxis, np.newaxis),
        datamodels.IFUImageModel: (np.newaxis, np.newaxis),
    }
)
_NIRSPEC_DETECTORS: Final = ("NRS1", "NRS2")
_EVEN: Final = 1e-6  # of the mean step: groups that differ by less are evenly spaced
_FEW_SPECTRA: Final = ("NRS_BRIGHTOBJ", "NRS_FIXEDSLIT")  # and no other light
# Keywords that are equal in all segments of a series, so that each pixel sees the same light and
# is read in the same way.
_SERIES_KEYWORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "INSTRUME": "instrument.name",
        "DETECTOR": "instrument.detector",
        "FILTER": "instrument.filter",
        "PUPIL": "instrument.pupil",
        "GRATING": "instrument.grating",
        "EXP_TYPE": "exposure.type",
        "SUBARRAY": "subarray.name",
        "SUBSTRT1": "subarray.xstart",
        "SUBSTRT2": "subarray.ystart",
        "READPATT": "exposure.readpatt",
        "NOUTPUTS": "exposure.noutputs",
        "NFRAMES": "exposure.nframes",
        "GROUPGAP": "exposure.groupgap",
        "TGROUP": "exposure.group_time",
        "TARGPROP": "target.proposer_name",
        "TARGNAME": "target.catalog_name",
        "PROGRAM": "observation.program_number",
        "OBSERVTN": "observation.observation_number",
        "VISIT": "observation.visit_number",
        "VISITGRP": "observation.visit_group",
        "SEQ_ID": "observation.sequence_id",
        "ACT_ID": "observation.activity_id",
        "EXPOSURE": "observation.exposure_number",
    }
)


def exposure_from_model(model: datamodels.JwstDataModel) -> Exposure:
    """View a data model as arrays.

    Parameters
    ----------
    model : RampModel, CubeModel, ImageModel or IFUImageModel
        Ramp, rates of the integrations, or rate image.

    Returns
    -------
    Exposure
        Views of the model's arrays.

    Raises
    ------
    NothingToClean
        If the step does not clean this kind of model or this exposure type.
    CannotClean
        If a keyword is missing, or arrays contradict each other.
    """
    axes = next((new for kind, new in _NEW_AXES.items() if isinstance(model, kind)), None)
    if axes is None:
        msg = f"a {type(model).__name__} is not a RampModel, CubeModel or ImageModel"
        raise NothingToClean(msg)
    exp_type = str(_required(model, "exposure.type", "EXP_TYPE")).upper()
    instrument = str(_required(model, "instrument.name", "INSTRUME")).upper()
    detector = str(_required(model, "instrument.detector", "DETECTOR")).upper()
    if instrument not in NEAR_INFRARED and exp_type != "MIR_IMAGE":
        msg = f"flicker noise of {instrument} exposures of type {exp_type} is not cleaned"
        raise NothingToClean(msg)
    if instrument == "NIRSPEC" and detector not in _NIRSPEC_DETECTORS:
        msg = f"meta.instrument.detector (DETECTOR) of NIRSpec must be NRS1 or NRS2, not {detector}"
        raise CannotClean(msg)
    if model.data is None:
        msg = "the model holds no science data (extension SCI)"
        raise NothingToClean(msg)
    is_ramp = isinstance(model, datamodels.RampModel)
    data = as_ramps(model.data)
    if not is_ramp:
        data = data[axes]
    if data.ndim != 4:
        msg = f"a {type(model).__name__} cannot hold data of shape {np.shape(model.data)}"
        raise CannotClean(msg)
    readout = _readout(model, instrument, data.shape[-2:])
    try:
        return Exposure(
            data=data,
            pixel_dq=_or_zeros(model.pixeldq if is_ramp else model.dq, data.shape[-2:]),
            group_dq=_or_zeros(model.groupdq, data.shape) if is_ramp else None,
            readout=readout,
            group_time=_group_time(model),
            group_times=_group_times(model, data.shape[1]) if is_ramp else None,
            has_stars=may_hold_stars(exp_type),
        )
    except ValueError as error:
        msg = f"the data quality arrays do not fit: {error}"
        raise CannotClean(msg) from error


def check_method(model: datamodels.JwstDataModel, fit_method: str) -> None:
    """Refuse a noise method for an instrument that it does not support.

    Parameters
    ----------
    model : JwstDataModel
        The exposure.
    fit_method : str
        The noise method.

    Raises
    ------
    NothingToClean
        If the method is not for the instrument of the exposure.
    """
    method = METHODS[fit_method]
    if model.meta.instrument.name.upper() not in method.instruments:
        msg = f"fit_method={fit_method!r} is for {method.detectors}; use 'median'"
        raise NothingToClean(msg)


def may_hold_stars(exp_type: str) -> bool:
    """Whether stars may be anywhere in an exposure.

    Parameters
    ----------
    exp_type : str
        ``meta.exposure.type``.

    Returns
    -------
    bool
        False if all light comes from the spectra of a few slits.
    """
    return exp_type.upper() not in _FEW_SPECTRA


def unit_of(model: datamodels.JwstDataModel) -> str:
    """Unit of a model's data.

    Parameters
    ----------
    model : JwstDataModel
        Ramp or rate.

    Returns
    -------
    str
        DN or DN/s.
    """
    return "DN" if isinstance(model, datamodels.RampModel) else "DN/s"


def describe(model: datamodels.JwstDataModel) -> dict[str, str]:
    """Description of the observation, for tables that are not data models.

    Parameters
    ----------
    model : JwstDataModel
        The exposure.

    Returns
    -------
    dict
        Values by name; values that the model does not have are left out.
    """
    values = {
        "filename": model.meta.filename,
        "instrument": model.meta.instrument.name,
        "detector": model.meta.instrument.detector,
        "exp_type": model.meta.exposure.type,
        "subarray": model.meta.subarray.name,
        "readpatt": model.meta.exposure.readpatt,
        "date_obs": model.meta.observation.date,
    }
    return {name: value for name, value in values.items() if value is not None}


def series_keywords(model: datamodels.JwstDataModel) -> dict[str, Any]:
    """Keywords of the series to which a model belongs.

    Parameters
    ----------
    model : JwstDataModel
        An exposure, a segment of one, or the template of a series.

    Returns
    -------
    dict
        Values by FITS keyword, text in upper case; values that the model does not have are left
        out.
    """
    values = {}
    for keyword, attribute in _SERIES_KEYWORDS.items():
        value = model.meta
        for name in attribute.split("."):
            value = getattr(value, name, None)
        if isinstance(value, str):
            value = value.strip().upper()
        if value is not None and value != "":
            values[keyword] = value
    return values


def _required(model: datamodels.JwstDataModel, attribute: str, keyword: str) -> Any:
    value = model.meta
    for name in attribute.split("."):
        value = getattr(value, name, None)
    if value is None or value == "":
        msg = f"meta.{attribute} is missing; set it (FITS keyword {keyword}) in the input"
        raise CannotClean(msg)
    return value


def _group_time(model: datamodels.JwstDataModel) -> float:
    """Time between two groups; 1 if unknown, because it only scales the draft rate."""
    time = model.meta.exposure.group_time
    return time if time and math.isfinite(time) and time > 0 else 1.0


def _group_times(model: datamodels.JwstDataModel, n_groups: int) -> NDArray[np.float64] | None:
    """Times of the groups in seconds, each the mean of its reads; None if evenly spaced."""
    reads = model.meta.exposure.read_times
    if not reads:
        return None
    try:
        groups = [np.atleast_1d(np.asarray(group, dtype=np.float64)) for group in reads]
        times = np.array([g.sum() / g.size if g.size else np.nan for g in groups])
    except (TypeError, ValueError):
        times = np.array([])
    steps = np.diff(times)
    if len(times) != n_groups or not (np.isfinite(times).all() and (steps > 0).all()):
        msg = (
            f"meta.exposure.read_times must be an ascending time in seconds for each of the "
            f"{n_groups} groups, or the list of those of its reads; correct or remove it"
        )
        raise CannotClean(msg)
    even = n_groups < 3 or np.ptp(steps) <= _EVEN * steps.mean()
    return None if even else times


def _or_zeros(array: NDArray | None, shape: tuple[int, ...]) -> NDArray:
    return np.zeros(shape, dtype=np.uint8) if array is None else as_ramps(array)


def _readout(model: datamodels.JwstDataModel, instrument: str, image: tuple[int, ...]) -> Readout:
    if instrument == "MIRI":
        # The stripes of MIRI are vertical, whatever the clocking keywords say.
        return Readout(fast_axis=2, slow_axis=1)
    fast = _required(model, "subarray.fastaxis", "FASTAXIS")
    slow = _required(model, "subarray.slowaxis", "SLOWAXIS")
    n_slow, n_fast = image if abs(fast) == 1 else image[::-1]
    n_outputs = count_outputs(
        instrument=instrument,
        n_slow=n_slow,
        n_fast=n_fast,
        declared=model.meta.exposure.noutputs,
    )
    try:
        return Readout(
            fast_axis=fast,
            slow_axis=slow,
            n_outputs=n_outputs,
            interleaved="IRS2" in str(model.meta.exposure.readpatt or "").upper(),
        )
    except ValueError as error:
        msg = f"meta.subarray.fastaxis and slowaxis (FASTAXIS, SLOWAXIS) are wrong: {error}"
        raise CannotClean(msg) from error


def product_model(model: datamodels.JwstDataModel, data: Ramps) -> datamodels.JwstDataModel:
    """Make a model of the same type and with the same metadata, but other data.

    Parameters
    ----------
    model : JwstDataModel
        The cleaned model.
    data : Ramps of float32, shape (n_integrations, n_groups, ny, nx)
        The other data.

    Returns
    -------
    JwstDataModel
        With ``data`` in the shape of the model's data, and the DQ arrays of the model.
    """
    names = ("pixeldq", "groupdq") if isinstance(model, datamodels.RampModel) else ("dq",)
    quality = {name: getattr(model, name) for name in names}
    product = type(model)(data=as_array(data, model.data.shape), **quality)
    product.update(model)
    return product


def template_model(
    model: datamodels.JwstDataModel, groups: NDArray[np.float32]
) -> datamodels.JwstDataModel:
    """Make a model of the template of a series.

    Parameters
    ----------
    model : JwstDataModel
        A segment of the series.
    groups : ndarray of float32, shape (n_groups, ny, nx)
        Median of each group, NaN where there is none.

    Returns
    -------
    RampModel or ImageModel
        With one integration; values that are missing are flagged DO_NOT_USE.
    """
    missing = np.where(np.isfinite(groups), 0, DO_NOT_USE)
    product: datamodels.JwstDataModel
    if isinstance(model, datamodels.RampModel):
        product = datamodels.RampModel(
            data=groups[np.newaxis], groupdq=missing[np.newaxis].astype(np.uint8)
        )
    else:
        product = datamodels.ImageModel(data=groups[0], dq=missing[0].astype(np.uint32))
    product.update(model)
    product.meta.exposure.nints = 1
    return product


def mask_model(
    model: datamodels.JwstDataModel, mask: NDArray[np.float32]
) -> datamodels.JwstDataModel:
    """Make a model of a scene mask.

    Parameters
    ----------
    model : JwstDataModel
        The cleaned model.
    mask : ndarray of float32, shape (ny, nx) or (n_integrations, ny, nx)
        1 where the pixel may be used and 0 elsewhere.

    Returns
    -------
    ImageModel or CubeModel
        With the mask as its data.
    """
    kind = datamodels.ImageModel if mask.ndim == 2 else datamodels.CubeModel
    product = kind(data=mask)
    product.update(model)
    return product


def model_from_simulation(simulated: SimulatedExposure) -> datamodels.RampModel:
    """Put a simulated exposure into a data model.

    Parameters
    ----------
    simulated : SimulatedExposure
        Arrays, and the scenario they were made from.

    Returns
    -------
    RampModel
        With the keywords that the pipeline needs. The arrays are not copied.
    """
    scenario = simulated.scenario
    ny, nx = scenario.shape
    model = datamodels.RampModel(
        data=simulated.data, pixeldq=simulated.pixel_dq, groupdq=simulated.group_dq
    )
    model.meta.telescope = "JWST"
    model.meta.bunit_data = "DN"
    model.meta.instrument.name = scenario.instrument
    model.meta.instrument.detector = scenario.detector
    model.meta.exposure.type = scenario.exp_type
    model.meta.exposure.noutputs = scenario.n_outputs
    model.meta.exposure.nints = scenario.n_integrations
    model.meta.exposure.ngroups = scenario.n_groups
    model.meta.exposure.group_time = scenario.group_time
    model.meta.exposure.frame_time = scenario.group_time
    model.meta.exposure.nframes = 1
    model.meta.exposure.groupgap = 0
    model.meta.observation.date = "2026-01-01"
    model.meta.observation.time = "00:00:00"
    model.meta.subarray.name = scenario.subarray
    model.meta.subarray.xstart, model.meta.subarray.ystart = 1, 1
    model.meta.subarray.xsize, model.meta.subarray.ysize = nx, ny
    model.meta.subarray.fastaxis = scenario.fast_axis
    model.meta.subarray.slowaxis = scenario.slow_axis
    return model
