"""What the header of a cleaned file tells of the cleaning."""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from stdatamodels.jwst import datamodels

from deflicker import __version__
from deflicker.cleaning.backgrounds import divides_differences
from deflicker.cleaning.result import CleanResult
from deflicker.options import CleanOptions
from deflicker.ramps.exposure import Exposure

__all__ = ["expected_result", "history_text", "record_history"]

# Where a ramp was while it was cleaned, and who watched: no part of its history.
WITHOUT_EFFECT: Final = ("memory_limit", "progress_bar")


def history_text(
    result: CleanResult, *, parameters: Mapping[str, Any], unit: str, options: CleanOptions
) -> str:
    """Tell what was done, in one line.

    Parameters
    ----------
    result : CleanResult
        The cleaning.
    parameters : mapping
        The step's, with those that ``autoparam`` chose.
    unit : str
        Unit of the data.
    options : CleanOptions
        The user's.

    Returns
    -------
    str
        Printable ASCII.
    """
    settings = ", ".join(f"{k}={v}" for k, v in parameters.items() if k not in WITHOUT_EFFECT)
    divides = parameters["apply_flat_field"] and divides_differences(options)
    flat = " before the flat field" if divides else ""
    entry = (
        f"deflicker {__version__} clean_flicker_noise: {settings}; measured on "
        f"{100 * result.used_fraction:.1f} % of the pixels; rms of the noise removed from "
        f"{len(result.noise_power)} differences{flat} {result.noise_rms:.4g} {unit}"
    )
    # Headers hold printable ASCII alone, paths hold anything.
    return entry.encode("ascii", "backslashreplace").decode().replace("\n", " ")


def record_history(model: datamodels.JwstDataModel, entry: str) -> None:
    """Tell in the header of a model, once, what was done.

    Parameters
    ----------
    model : JwstDataModel
        The cleaned model, or one made from it; changed.
    entry : str
        What `history_text` made; nothing is told if it is empty.
    """
    known = model.to_flat_dict(include_arrays=False).values()
    if entry and entry not in known:
        software = {"name": "deflicker", "version": __version__}
        model.add_history_entry(entry, software=software)


def expected_result(exposure: Exposure) -> CleanResult:
    """Make a result whose history is as long as the real one will be, if all goes well.

    Parameters
    ----------
    exposure : Exposure
        What will be cleaned.

    Returns
    -------
    CleanResult
        Numbers with as many digits.
    """
    number = exposure.n_integrations * exposure.n_differences
    return CleanResult(
        data=exposure.data,
        mask=np.ones((1, 1), dtype=bool),
        n_used=[math.prod(exposure.image_shape) // 2] * number,
        noise_power=[1 / 9] * number,
    )
