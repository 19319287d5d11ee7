"""A small local CRDS cache with simulated reference files, for the real CRDS client."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from pprint import pformat

import numpy as np
from numpy.typing import NDArray
from stdatamodels.jwst import datamodels

__all__ = ["write_cache", "write_ramp_references", "write_references"]

CONTEXT = "jwst_9000.pmap"
SERVER_CONFIG = {
    "bad_files": "",
    "bad_files_list": [],
    "connected": False,
    "crds_version": {"str": "14.0.0"},
    "edit_context": CONTEXT,
    "effective_mode": "local",
    "force_remote_mode": False,
    "last_synced": "2026-01-01 00:00:00",
    "mapping_url": {},
    "mappings": [],
    "observatory": "jwst",
    "operational_context": CONTEXT,
    "reference_url": {},
    "status": "s3",
}
# Model of each reference type that can be written, and the name of its array.
KINDS = {
    "gain": (datamodels.GainModel, "data"),
    "linearity": (datamodels.LinearityModel, "coeffs"),
    "mask": (datamodels.MaskModel, "dq"),
    "readnoise": (datamodels.ReadnoiseModel, "data"),
    "saturation": (datamodels.SaturationModel, "data"),
}
# Types that steps of Detector1 ask for, but that have no file in this cache.
ABSENT = ("flat", "pastasoss", "superbias")


def write_cache(root: Path, references: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Write the mappings of a cache.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the cache; reference files go to ``references/jwst/<instrument>``.
    references : mapping
        For each instrument (lower case) the file name for each reference type;
        ``N/A`` for a type that CRDS knows but for which it has no file.

    Returns
    -------
    dict
        Environment variables that make CRDS use the cache, without a network.
    """
    config = root / "config" / "jwst"
    config.mkdir(parents=True, exist_ok=True)
    (config / "server_config").write_text(pformat(SERVER_CONFIG))
    mappings = root / "mappings" / "jwst"
    mappings.mkdir(parents=True, exist_ok=True)
    instruments = {}
    for instrument, files in references.items():
        (root / "references" / "jwst" / instrument).mkdir(parents=True, exist_ok=True)
        kinds = {}
        for kind, name in files.items():
            if name == "N/A":
                kinds[kind] = "N/A"
                continue
            stem = f"jwst_{instrument}_{kind}_9000.rmap"
            header = {
                "derived_from": "scratch",
                "filekind": kind.upper(),
                "instrument": instrument.upper(),
                "mapping": "REFERENCE",
                "name": stem,
                "observatory": "JWST",
                "parkey": (
                    ("META.INSTRUMENT.NAME",),
                    ("META.OBSERVATION.DATE", "META.OBSERVATION.TIME"),
                ),
            }
            when = f"UseAfter({{'2010-01-01 00:00:00': {name!r}}})"
            _write(mappings / stem, header, f"Match({{{instrument.upper()!r}: {when}}})")
            kinds[kind] = stem
        stem = f"jwst_{instrument}_9000.imap"
        header = {
            "derived_from": "scratch",
            "instrument": instrument.upper(),
            "mapping": "INSTRUMENT",
            "name": stem,
            "observatory": "JWST",
            "parkey": ("REFTYPE",),
        }
        _write(mappings / stem, header, pformat(kinds))
        instruments[instrument.upper()] = stem
    header = {
        "derived_from": "scratch",
        "mapping": "PIPELINE",
        "name": CONTEXT,
        "observatory": "JWST",
        "parkey": ("META.INSTRUMENT.NAME",),
    }
    _write(mappings / CONTEXT, header, pformat(instruments))
    return {
        "CRDS_PATH": str(root),
        "CRDS_CONTEXT": CONTEXT,
        "CRDS_SERVER_URL": "https://crds-serverless-mode.stsci.edu",
        "CRDS_OBSERVATORY": "jwst",
    }


def _write(path: Path, header: Mapping[str, object], selector: str) -> None:
    def text(checksum: str) -> str:
        lines = pformat({**header, "sha1sum": checksum}, width=100)
        return f"header = {lines}\n\nselector = {selector}\n"

    # The checksum is calculated without the line that contains it.
    kept = [line for line in text("X").splitlines(keepends=True) if "sha1sum" not in line]
    path.write_text(text(hashlib.sha1("".join(kept).encode()).hexdigest()))  # noqa: S324


def write_ramp_references(root: Path, instruments: Mapping[str, tuple[int, int]]) -> dict[str, str]:
    """Write a cache with the files for a ramp fit: gain and read noise of a whole detector.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the cache.
    instruments : mapping
        Detector size (ny, nx) for each instrument (lower case).

    Returns
    -------
    dict
        Environment variables that make CRDS use the cache.
    """
    environment = write_cache(
        root,
        {instrument: _file_names(instrument, ("gain", "readnoise")) for instrument in instruments},
    )
    for instrument, shape in instruments.items():
        for kind, value in (("gain", 1.0), ("readnoise", 7.0)):
            _save_reference(root, instrument, kind, np.full(shape, value, dtype=np.float32))
    return environment


def write_references(root: Path, instrument: str, arrays: Mapping[str, NDArray]) -> dict[str, str]:
    """Write a cache with the reference files of one instrument.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the cache.
    instrument : str
        Name in lower case.
    arrays : mapping
        For each reference type (gain, linearity, mask, readnoise or saturation) an array with
        the size of the exposures.

    Returns
    -------
    dict
        Environment variables that make CRDS use the cache.
    """
    environment = write_cache(root, {instrument: _file_names(instrument, arrays)})
    for kind, array in arrays.items():
        _save_reference(root, instrument, kind, array)
    return environment


def _file_names(instrument: str, kinds: Iterable[str]) -> dict[str, str]:
    # CRDS derives the folder of a reference file from its name.
    files = {kind: f"jwst_{instrument}_{kind}_9000.fits" for kind in kinds}
    return {**dict.fromkeys(ABSENT, "N/A"), **files}


def _save_reference(root: Path, instrument: str, kind: str, array: NDArray) -> None:
    model, name = KINDS[kind]
    reference = model(**{name: array})
    ny, nx = array.shape[-2:]
    reference.meta.instrument.name = instrument.upper()
    reference.meta.subarray.name = "FULL"
    reference.meta.subarray.xstart, reference.meta.subarray.ystart = 1, 1
    reference.meta.subarray.xsize, reference.meta.subarray.ysize = nx, ny
    if kind == "gain":
        reference.meta.exposure.gain_factor = 1.0
    if kind == "linearity":
        # By default it would have the shape of the coefficients.
        reference.dq = np.zeros((ny, nx), dtype=np.uint32)
    file = _file_names(instrument, (kind,))[kind]
    reference.save(str(root / "references" / "jwst" / instrument / file))
