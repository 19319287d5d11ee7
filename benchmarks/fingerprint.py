"""Hashes of everything that the step writes, to show that a change of code changes no number.

Run with ``python -m benchmarks.fingerprint --save before.json``, change the code, and run with
``--compare before.json``. The exit status is 1 if anything differs. Bits may differ
between processors and between versions of other packages, so both runs must be made on
one machine and in one environment.
"""

import argparse
import hashlib
import io
import itertools
import json
import logging
import os
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from astropy.io import fits
from stdatamodels.jwst import datamodels

from benchmarks.faults.inputs import write_inputs
from deflicker import CleanFlickerNoiseStep
from deflicker.simulation.exposures import EXPOSURES, SERIES
from support.runs import write_case

METHODS: Final = ("median", "median by channel", "fft", "wiener")
BACKGROUNDS: Final = ("median", "model", "None", "median_image")
# Settings on which the bits must not depend: where arrays are kept, and the number of threads.
PLACES: Final = (("memory", "none"), ("disk", "1 kB"))
THREADS: Final = ("1", "3")
LARGER: Final = {
    "stripe": replace(
        EXPOSURES["nircam-stripe"], shape=(96, 1024), n_groups=4, n_integrations=2, n_stars=150
    ),
    "grism": replace(SERIES["grism"], shape=(64, 512), n_groups=3, n_integrations=5, n_stars=9),
    "full": replace(EXPOSURES["nircam"], shape=(256, 512), n_groups=5, n_stars=400),
}
# Keywords that contain, or depend on, the time of writing.
TIMES: Final = re.compile(r"DATE|CHECKSUM|DATASUM")


def main() -> int:
    """Print the table, and save or compare it.

    Returns
    -------
    int
        Exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fingerprint", description=__doc__)
    parser.add_argument("--save", type=Path, help="write all fingerprints to this file (JSON)")
    parser.add_argument("--compare", type=Path, help="print differences from that file")
    parser.add_argument("--case", nargs="*", help="only these scenarios")
    options = parser.parse_args()
    os.environ["STPIPE_DISABLE_CRDS_STEPPARS"] = "true"
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    known = json.loads(options.compare.read_text()) if options.compare else None
    start, found = time.monotonic(), {}
    with tempfile.TemporaryDirectory(prefix="fingerprint-") as name:
        for path in _write_scenarios(Path(name)):
            scenario = path.stem.split("_")[1]
            if not options.case or scenario in options.case:
                found.update(_of_scenario(scenario, path, known))
    whole = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
    print(f"\n{len(found)} runs in {time.monotonic() - start:.0f} s: {whole[:16]}")
    if options.save:
        options.save.write_text(json.dumps(found, indent=1, sort_keys=True))
    if known is None:
        return 0
    changed = [key for key in found if found[key] != known.get(key)]
    print(f"{len(changed)} of {len(found)} runs are not as in {options.compare}")
    return int(bool(changed))


def _write_scenarios(folder: Path) -> list[Path]:
    """Write the inputs; each is named ``jw_scenario_kind``."""
    write_inputs(folder)
    for name, scenario in LARGER.items():
        write_case(scenario, folder / f"jw01234001001_{name}_ramp.fits", seed=7)
    return sorted(folder.iterdir())


def _of_scenario(
    scenario: str, path: Path, known: dict[str, dict[str, str]] | None
) -> dict[str, dict[str, str]]:
    """Fingerprints of all runs on an input, by the name of the run; prints a line for each."""
    found = {}
    for method, background in itertools.product(METHODS, BACKGROUNDS):
        row = {}
        for (place, limit), threads in itertools.product(PLACES, THREADS):
            key = f"{scenario}, {method}, {background}, {place}, {threads}"
            row[key] = _of_run(path, method, background, limit=limit, threads=threads)
        found |= row
        first, *others = row.values()
        # Headers contain the parameters, and so the number of threads.
        same = "alike" if all(_data(one) == _data(first) for one in others) else "not alike"
        kept = "" if known is None else _verdict(row, known)
        name = f"{scenario:17}{method:19}{background:14}"
        print(f"{name}{first['status']:10}{_digest(first)[:12]:14}{same:11}{kept}", flush=True)
    return found


def _data(parts: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in parts.items() if not name.endswith("header")}


def _verdict(row: dict[str, dict[str, str]], known: dict[str, dict[str, str]]) -> str:
    """Describe the differences from the saved fingerprints."""
    parts = {
        part
        for key in row
        for part in row[key] | known.get(key, {})
        if row[key].get(part) != known.get(key, {}).get(part)
    }
    return "changed: " + ", ".join(sorted(parts)) if parts else "as before"


def _digest(parts: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _of_run(
    path: Path, method: str, background: str, *, limit: str, threads: str
) -> dict[str, str]:
    """Status of a run, and the hashes of everything that it writes."""
    with tempfile.TemporaryDirectory(prefix="fingerprint-") as folder:
        try:
            model = CleanFlickerNoiseStep.call(
                str(path),
                fit_method=method.split(maxsplit=1)[0],
                fit_by_channel=method.endswith("by channel"),
                background_method=None if background == "None" else background,
                memory_limit=limit,
                maximum_cores=threads,
                progress_bar=False,
                save_results=True,
                save_mask=True,
                save_background=True,
                save_noise=True,
                save_spectrum=method == "wiener",
                save_template=background == "median_image",
                output_dir=folder,
            )
        except Exception as error:  # noqa: BLE001 - an exception is compared like other results
            return {"status": type(error).__name__}
        parts = {"status": str(model.meta.cal_step.clean_flicker_noise)}
        model.close()
        for written in sorted(Path(folder).iterdir()):
            for name, text in _parts_of(written):
                parts[f"{written.name.split('_', 2)[2]} {name}"] = text
    return parts


def _parts_of(path: Path) -> Iterator[tuple[str, str]]:
    """Name and hash of each header and array of a file."""
    if path.suffix == ".asdf":
        with datamodels.open(path) as model:
            tree = model.to_flat_dict(include_arrays=False)
            yield "tree", _hash(repr([item for item in tree.items() if "date" not in item[0]]))
            for name, array in model.items():
                if isinstance(array, np.ndarray):
                    yield name, _hash(np.ascontiguousarray(array).tobytes())
        return
    if path.suffix != ".fits":
        lines = path.read_text().splitlines()
        rows = [line for line in lines if not line.startswith("#")]
        yield "rows", _hash("\n".join(rows))
        yield "header", _hash("\n".join(line for line in lines if "date" not in line.lower()))
        return
    with fits.open(io.BytesIO(path.read_bytes())) as hdulist:
        for hdu in hdulist:
            if hdu.name == "ASDF":
                continue
            cards = [str(card) for card in hdu.header.cards if not TIMES.match(card.keyword)]
            yield f"{hdu.name} header", _hash("\n".join(cards))
            if hdu.data is not None:
                yield f"{hdu.name} data", _hash(np.ascontiguousarray(hdu.data).tobytes())


def _hash(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
