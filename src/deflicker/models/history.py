"""The entry about the cleaning in the HISTORY of a cleaned file."""

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

# Parameters that are not recorded, because they have no effect on the data.
WITHOUT_EFFECT: Final = ("memory_limit", "progress_bar")


def history_text(
    result: CleanResult, *, parameters: Mapping[str, Any], unit: str, options: CleanOptions
) -> str:
    """Describe the cleaning in one line.

    Parameters
    ----------
    result : CleanResult
        Result of the cleaning.
    parameters : mapping
        Parameters of the step, including those that ``autoparam`` chose.
    unit : str
        Unit of the data.
    options : CleanOptions
        Options that the user gave.

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
    if result.removed is not None:
        entry += (
            f", about {100 * result.removed.differences:.0f} % of its variance, and "
            f"{100 * result.removed.rate:.0f} % of that in the rate (from the powers of noise "
            "and light)"
        )
    if result.light_ratio > 0:
        entry += (
            f"; the differences share {result.light_ratio:.3g} times the power of noise, of which "
            f"{100 * result.light_kept:.0f} % were removed"
        )
    # FITS headers may contain only printable ASCII, but paths may contain any character.
    return entry.encode("ascii", "backslashreplace").decode().replace("\n", " ")


def record_history(model: datamodels.JwstDataModel, entry: str) -> None:
    """Record the cleaning in the history of a model, unless it is there already.

    Parameters
    ----------
    model : JwstDataModel
        The cleaned model, or one made from it; changed.
    entry : str
        Result of `history_text`; nothing is recorded if it is empty.
    """
    known = model.to_flat_dict(include_arrays=False).values()
    if entry and entry not in known:
        software = {"name": "deflicker", "version": __version__}
        model.add_history_entry(entry, software=software)


def expected_result(exposure: Exposure) -> CleanResult:
    """Make a result whose history probably has the same length as the real one will have.

    Parameters
    ----------
    exposure : Exposure
        Exposure that will be cleaned.

    Returns
    -------
    CleanResult
        With numbers that have as many digits as usual.
    """
    number = exposure.n_integrations * exposure.n_differences
    return CleanResult(
        data=exposure.data,
        mask=np.ones((1, 1), dtype=bool),
        n_used=[math.prod(exposure.image_shape) // 2] * number,
        noise_power=[1 / 9] * number,
    )
