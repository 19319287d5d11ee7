"""A series several times as large as the address space, cleaned on disk.

Run with ``python -m benchmarks.large``. The series is cleaned with ``strun`` twice: under
a hard limit of the address space, and in memory without a limit. The exit code is 1 if the two
files differ in anything but the times recorded in them.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from astropy.io import fits

from deflicker.models.exposure import model_from_simulation
from deflicker.models.files import write_whole
from deflicker.simulation.exposures import EXPOSURES, SimulatedExposure, simulate
from deflicker.storage.stored_array import Placeholder, StoredArray
from support.runs import cleaners, environment, run_step

CASES = {
    "nircam": ("nircam", ("--fit_method=median",)),
    "nirspec-bots": ("nirspec-bots", ("--fit_method=fft",)),
}
VARIABLE = ("DATE", "FILENAME")
CHUNK = 1 << 24


def main() -> None:
    """Print time and memory of both runs, and whether their files are identical."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description=__doc__)
    parser.add_argument("--case", choices=CASES, default="nircam")
    parser.add_argument("--gigabytes", type=float, default=6.0, help="size of the file")
    parser.add_argument("--limit", type=float, default=1.0, help="address space in gigabytes")
    parser.add_argument("--folder", type=Path, help="where to write; needs three times the size")
    options = parser.parse_args()
    name, parameters = CASES[options.case]
    ours = cleaners(None)[0]
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        folder = Path(place)
        source = folder / "series_ramp.fits"
        _write_series(simulate(EXPOSURES[name], seed=1), source, size=options.gigabytes * 1e9)
        env = environment(folder)
        print(f"series of {source.stat().st_size / 1e9:.2f} GB")
        runs = {
            f"on disk, address space {options.limit:g} GB": (options.limit, "disk"),
            "in memory, no limit": (None, "memory"),
        }
        for title, (limit, kind) in runs.items():
            target = folder / f"series_{kind}.fits"
            extra = (f"--memory_limit={'none' if limit is None else 'half'}",)
            run = run_step(ours, source, target, (*parameters, *extra), env, address_space=limit)
            print(f"{title:32}{run.seconds:8.1f} s{run.megabytes:10.0f} MB", flush=True)
        same = _same(folder / "series_disk.fits", folder / "series_memory.fits")
    print("the two files are identical" if same else "THE TWO FILES DIFFER")
    sys.exit(0 if same else 1)


def _write_series(simulated: SimulatedExposure, path: Path, *, size: float) -> None:
    """Write a long series that repeats the integrations of a simulation."""
    repeats = max(1, round(size / (simulated.data.nbytes + simulated.group_dq.nbytes)))
    stored = {}
    for name in ("data", "group_dq"):
        given = getattr(simulated, name)
        dtype = given.dtype.newbyteorder(">")
        shape = (repeats * len(given), *given.shape[1:])
        array = StoredArray(path.with_name(name), offset=0, shape=shape, dtype=dtype)
        with array.path.open("wb") as stream:
            for _ in range(repeats):
                stream.write(given.astype(dtype).data)
        stored[name] = array
    few = replace(simulated, scenario=replace(simulated.scenario, n_integrations=shape[0]))
    with model_from_simulation(few) as model:
        model.data = Placeholder.of(stored["data"])
        model.groupdq = Placeholder.of(stored["group_dq"])
        write_whole(model, path)
    for array in stored.values():
        array.path.unlink()


def _same(first: Path, second: Path) -> bool:
    """Compare cards and bytes of two files, except the ASDF extension, which contains times."""
    with fits.open(first) as one, fits.open(second) as other:
        if [hdu.name for hdu in one] != [hdu.name for hdu in other]:
            return False
        return all(
            _cards(mine) == _cards(theirs) and _same_data(first, mine, second, theirs)
            for mine, theirs in zip(one, other, strict=True)
            if mine.name != "ASDF"
        )


def _cards(hdu: Any) -> list[str]:
    return [card.image for card in hdu.header.cards if card.keyword not in VARIABLE]


def _same_data(first: Path, mine: Any, second: Path, theirs: Any) -> bool:
    """Compare the bytes of two extensions, a few at a time."""
    left, size = mine.fileinfo()["datLoc"], mine.fileinfo()["datSpan"]
    right = theirs.fileinfo()["datLoc"]
    with first.open("rb") as one, second.open("rb") as other:
        one.seek(left)
        other.seek(right)
        for start in range(0, size, CHUNK):
            number = min(CHUNK, size - start)
            if one.read(number) != other.read(number):
                return False
    return True


if __name__ == "__main__":
    main()
