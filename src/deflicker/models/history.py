"""What the header of a cleaned file tells of the cleaning."""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from deflicker import __version__
from deflicker.cleaning.result import CleanResult
from deflicker.ramps.exposure import Exposure

__all__ = ["expected_result", "history_text"]

# Where a ramp was while it was cleaned, and who watched: no part of its history.
WITHOUT_EFFECT: Final = ("memory_limit", "progress_bar")


def history_text(
    result: CleanResult, *, parameters: Mapping[str, Any], unit: str, flat_field: bool
) -> str:
    """Tell what was done, in one line.

    Parameters
    ----------
    result : CleanResult
        The cleaning.
    parameters : mapping
        The step's.
    unit : str
        Unit of the data.
    flat_field : bool
        Whether the noise was measured before the flat field.

    Returns
    -------
    str
        Printable ASCII.
    """
    told = ", ".join(f"{k}={v}" for k, v in parameters.items() if k not in WITHOUT_EFFECT)
    flat = " before the flat field" if flat_field else ""
    entry = (
        f"deflicker {__version__} clean_flicker_noise: {told}; measured on "
        f"{100 * result.used_fraction:.1f} % of the pixels; rms of the noise removed from "
        f"{len(result.noise_power)} differences{flat} {result.noise_rms:.4g} {unit}"
    )
    # Headers hold printable ASCII alone, paths hold anything.
    return entry.encode("ascii", "backslashreplace").decode().replace("\n", " ")


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
