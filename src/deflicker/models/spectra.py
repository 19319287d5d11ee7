"""Files of noise spectra: tables in ECSV, a text format with units and metadata."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from deflicker.detector.facts import PIXEL_SECONDS
from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.storage.unfinished import written_whole

__all__ = ["read_spectrum", "write_spectrum"]

POWERS: Final = ("common", "per_output", "white")
COLUMNS: Final = ("frequency", *POWERS)
NUMBERS: Final = ("knee", "coherence")
# The first line of every ECSV file begins with this.
MAGIC: Final = b"# %ECSV "
NOTE: Final = (
    "Noise of one read, or of one rate image. A power is the variance for each frequency of a "
    "record, so that white noise has its variance at every frequency. The knee is in Hz: above "
    "it white noise is stronger than correlated noise. The coherence is the fraction of the "
    "correlated variance that all outputs share."
)


def write_spectrum(
    spectrum: NoiseSpectrum, path: Path, *, meta: Mapping[str, Any], unit: str = "DN"
) -> None:
    """Write a spectrum as an ECSV table, completely or not at all.

    Parameters
    ----------
    spectrum : NoiseSpectrum
        Noise of one read.
    path : pathlib.Path
        File to write. An existing file stays until the new one is complete.
    meta : mapping
        Other metadata for the table, by name; text and numbers.
    unit : str, optional
        Unit of the data; powers are in the square of this unit.

    Raises
    ------
    OSError
        If the file cannot be written.

    Notes
    -----
    The columns are ``frequency`` in Hz, ``common``, ``per_output`` and ``white``, which is
    the same at all frequencies; ``knee`` (Hz), ``coherence`` and a note on the
    unit are in the metadata.
    """
    from astropy import units
    from astropy.table import Table

    square = units.Unit(unit) ** 2
    table = Table(
        {
            "frequency": spectrum.frequency / PIXEL_SECONDS * units.Hz,
            "common": spectrum.common * square,
            "per_output": spectrum.per_output * square,
            "white": np.full(len(spectrum.frequency), spectrum.white) * square,
        },
        meta={
            **meta,
            "knee": float(spectrum.knee),
            "coherence": float(spectrum.shared_fraction),
            "note": NOTE,
        },
    )
    with written_whole(path) as unfinished:
        table.write(unfinished, format="ascii.ecsv")


def read_spectrum(path: str | Path) -> Any:
    """Read a table that `write_spectrum` wrote.

    Parameters
    ----------
    path : str or pathlib.Path
        ECSV file.

    Returns
    -------
    astropy.table.QTable
        With the columns and the metadata that `write_spectrum` describes.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If the file is not a table of a noise spectrum.
    """
    from astropy.table import QTable

    path = Path(path)
    if not path.is_file():
        msg = f"spectrum file {path} does not exist"
        raise FileNotFoundError(msg)
    try:
        # A large file of another kind may be given by mistake, and must not be read as a table.
        with path.open("rb") as stream:
            _check(stream.read(len(MAGIC)) == MAGIC, "it is not in ECSV format")
        table = QTable.read(path, format="ascii.ecsv")
        _check_columns(table)
    except OSError:
        raise
    except Exception as error:
        msg = (
            f"{path} is not a noise spectrum: {error}; save_spectrum=true with "
            "fit_method=wiener writes one, with the suffix flicker_spectrum"
        )
        raise ValueError(msg) from error
    return table


def _check_columns(table: Any) -> None:
    """Refuse a table that is not a noise spectrum."""
    from astropy import units

    missing = [name for name in COLUMNS if name not in table.colnames]
    missing += [name for name in NUMBERS if not isinstance(table.meta.get(name), float)]
    _check(not missing, f"it has no {', '.join(missing)}")
    _check(len(table) > 0, "it has no rows")
    given = {name: units.Quantity(table[name]) for name in COLUMNS}
    given["frequency"].to(units.Hz)
    for name in POWERS:
        given[name].to(given["white"].unit)


def _check(true: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not true:
        raise ValueError(otherwise)
