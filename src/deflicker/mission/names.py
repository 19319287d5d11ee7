"""File names as the JWST pipeline forms them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["check_distinct", "given_path", "remove_suffix"]

# Suffixes that products and steps of the pipeline put after the last underscore of a name.
KNOWN_SUFFIXES: Final = (
    "uncal|ramp|fitopt|rate|rateints|cal|calints|dark|crf|crfints|bsub|bsubints|i2d|s2d|s3d|x1d|"
    "dq_init|saturation|ipc|superbias|refpix|reset|rscd|lastframe|firstframe|emicorr|linearity|"
    "dark_current|persistence|charge_migration|jump|picture_frame|clean_flicker_noise|"
    "cleanflickernoisestep|ramp_fit|gain_scale|group_scale|assign_wcs|msaflagopen|flat_field"
)


def remove_suffix(name: str) -> tuple[str, str]:
    """Remove a known suffix from a name.

    Parameters
    ----------
    name : str
        File name without extension.

    Returns
    -------
    name, separator : str
        Name without suffix, and the character before the suffix.

    Examples
    --------
    >>> from deflicker.mission.names import remove_suffix
    >>> remove_suffix("jw01234_nrca1_jump")
    ('jw01234_nrca1', '_')
    """
    name = name.removesuffix(".fits")  # what is left of a name in .fits.gz
    match = re.fullmatch(rf"(.+)([_-])(?:{KNOWN_SUFFIXES})", name)
    return (match[1], match[2]) if match else (name, "_")


def check_distinct(names: Sequence[str | None]) -> None:
    """Refuse outputs that would overwrite each other.

    Parameters
    ----------
    names : sequence of str or None
        Names of the inputs, from their headers.

    Raises
    ------
    OSError
        If two outputs would have the same name, or one has none.
    """
    stems = [name and remove_suffix(Path(name).stem)[0] for name in names]
    if None in stems or len(set(stems)) < len(stems):
        msg = (
            "the outputs of several inputs are named after meta.filename (FITS keyword "
            f"FILENAME), and would overwrite each other: {', '.join(map(str, stems))}; rename "
            "the inputs"
        )
        raise OSError(msg)


def given_path(text: str | None) -> str | None:
    """Path in the value of a parameter.

    Parameters
    ----------
    text : str or None
        Value of the parameter.

    Returns
    -------
    str or None
        The path; None also for empty text and for the word None in upper or lower case.
    """
    return None if text is None or text.strip().lower() in {"", "none"} else text
