"""What a run did to the data: whether the output holds all that came in, and no new noise."""

import re
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from stdatamodels.jwst import datamodels

from benchmarks.faults.raw import BLOCK

__all__ = ["Damage", "find_damage", "read_arrays", "same_values"]

STATUS = "S_CLNFNS"
# A fit to few pixels has an error of its own: how much of the variance that was there a
# difference may gain, and by how many of its standard errors for a sample of the rows.
SPARE = 0.1
N_ERRORS = 5.0
CORE = 30.0  # most pixels are within so many median deviations
ROUNDING = float(np.finfo(np.float32).eps)
# Keywords that each writer sets itself, or that this step changes.
WRITTEN = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|GROUPS|EXTEND|TFIELDS|T[A-Z]{3,4}\d+|EXTNAME|"
    r"EXTVER|BSCALE|BZERO|BLANK|DATE|FILENAME|S_CLNFNS|CHECKSUM|DATASUM|COMMENT|HISTORY|LONGSTRN|"
    r"CONTINUE|THEAP|INHERIT|EXTLEVEL|"
)


@dataclass(frozen=True)
class Damage:
    """Something that should not be.

    Parameters
    ----------
    kind : str
        The same for all of its kind.
    detail : str, optional
        Where, and how much.
    """

    kind: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind} ({self.detail})" if self.detail else self.kind


def find_damage(
    path: Path, out: Path, model: datamodels.JwstDataModel, *, told: Sequence[str] = ()
) -> list[Damage]:
    """Compare an output with its input.

    Parameters
    ----------
    path : pathlib.Path
        Input of the run.
    out : pathlib.Path
        Folder of the output.
    model : JwstDataModel
        What the step returned.
    told : sequence of str, optional
        Warnings: a keyword whose value they show may be lost.

    Returns
    -------
    list of Damage
        What is wrong; the worst first.
    """
    status = model.meta.cal_step.clean_flicker_noise
    written = [file for file in out.glob("*_clean_flicker_noise.fits") if file.is_file()]
    if len(written) != 1:
        return [Damage(f"{len(written)} output files")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            after = _read_fits(written[0], strict=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, the output is torn
            return [Damage("the output cannot be read", f"{type(error).__name__}: {error}")]
        before = _read_fits(path) if path.suffix == ".fits" else _read_asdf(path)
    found = []
    if _count_extensions(path) > before.number:
        found.append(Damage("the reader does not reach all extensions"))
    if after.status != status:
        found.append(Damage("another status in the header", f"{after.status}, not {status}"))
    science = after.arrays.get(_SCIENCE)
    data = getattr(model, "data", None)
    if data is not None and science is not None and not same_values(np.asarray(data), science):
        found.append(Damage("model and file differ"))
    with np.errstate(all="ignore"):
        found += _lost_arrays(before, after, but_science=status == "COMPLETE")
        found += _new_noise(before, after)
    found += _lost_keywords(before, after, told)
    return found


_SCIENCE = ("SCI", 0)


def _count_extensions(path: Path) -> int:
    """How many headers begin at a block of a FITS file; none in other files."""
    content = path.read_bytes()
    starts = range(0, len(content), BLOCK)
    found = sum(content[at : at + 9] in {b"SIMPLE  =", b"XTENSION="} for at in starts)
    return found if path.suffix == ".fits" else 0


def read_arrays(path: Path) -> dict[tuple[str, int], NDArray]:
    """Read all arrays and tables of a FITS file.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    dict
        By name of the extension, and number among those of the name; without ASDF.

    Raises
    ------
    Exception
        Of any kind, if something cannot be read.
    """
    return _read_fits(path, strict=True).arrays


@dataclass(frozen=True)
class _Content:
    """Arrays and keywords of a file by name and number, and the status in it."""

    arrays: dict[tuple[str, int], NDArray]
    keywords: dict[tuple[str, int], dict[str, object]]
    number: int  # of extensions, with ASDF
    status: str | None


def _read_fits(path: Path, *, strict: bool = False) -> _Content:
    """Read all arrays and tables; those that astropy can read, unless it is strict."""
    arrays: dict[tuple[str, int], NDArray] = {}
    keywords = {}
    numbers: defaultdict[str, int] = defaultdict(int)
    with warnings.catch_warnings():
        if strict:
            warnings.filterwarnings("error", "File may have been truncated")
        with fits.open(path, memmap=False) as extensions:
            len(extensions)
            for extension in extensions:
                if extension.name == "ASDF":
                    continue
                name = extension.name.upper()
                key = (name, numbers[name])
                numbers[name] += 1
                try:
                    keywords[key] = _keywords(extension.header)
                    if extension.data is not None:
                        arrays[key] = np.array(extension.data)
                except Exception:
                    if strict:
                        raise
            status = keywords["PRIMARY", 0].get(STATUS)
            return _Content(arrays, keywords, len(extensions), status)


def _keywords(header: fits.Header) -> dict[str, object]:
    """Values that the header holds; without those that it leaves undefined or cannot read."""
    found: dict[str, object] = {}
    for card in header.cards:
        try:
            keyword, value = card.keyword, card.value
        except Exception:  # noqa: BLE001, S112 - no reader knows what it says
            continue
        if value is not None and not isinstance(value, fits.card.Undefined):
            found.setdefault(keyword, value)
    return found


def _read_asdf(path: Path) -> _Content:
    """Read the arrays that a model knows by the names of their extensions."""
    with datamodels.open(path) as model:
        arrays = {}
        for name, value in model.instance.items():
            part = model.schema["properties"].get(name, {})
            if isinstance(value, np.ndarray) and "fits_hdu" in part:
                arrays[part["fits_hdu"], 0] = np.array(value)
        return _Content(arrays, {}, 0, model.meta.cal_step.clean_flicker_noise)


def _lost_arrays(before: _Content, after: _Content, *, but_science: bool) -> list[Damage]:
    """Arrays that are gone, or not what they were."""
    found = []
    for key, array in before.arrays.items():
        name = key[0] or "without a name"
        shown = name if key[1] == 0 else f"{name} twice"
        if key not in after.arrays:
            found.append(Damage(f"{shown}: lost"))
        elif not (key == _SCIENCE and but_science) and not same_values(array, after.arrays[key]):
            now = after.arrays[key]
            detail = f"{array.dtype} {array.shape}, now {now.dtype} {now.shape}"
            found.append(Damage(f"{shown}: changed", detail))
    return found


def _lost_keywords(before: _Content, after: _Content, told: Sequence[str]) -> list[Damage]:
    """Keywords that are gone, or have another value."""
    found = []
    for key, values in before.keywords.items():
        now = after.keywords.get(key, {})
        for keyword, value in values.items():
            if WRITTEN.fullmatch(keyword) or repr(now.get(keyword)) == repr(value):
                continue
            if any(str(value) in text for text in told):
                continue
            what = "changed" if keyword in now else "lost"
            detail = f"{keyword} of {key[0]}: {value!r}, now {now.get(keyword)!r}"
            found.append(Damage(f"keyword {what}", detail))
    return found


def same_values(before: NDArray, after: NDArray) -> bool:
    """Tell whether values are the same, bit for bit where the type is.

    Parameters
    ----------
    before, after : ndarray
        Arrays or tables; ``after`` may be of a type that holds fewer values.

    Returns
    -------
    bool
        False too where values do not fit into the type of ``after``.
    """
    if before.shape != after.shape:
        return False
    if before.dtype.names:
        return before.dtype.names == after.dtype.names and all(
            same_values(np.asarray(before[name]), np.asarray(after[name]))
            for name in before.dtype.names
        )
    if before.dtype.newbyteorder("=") == after.dtype.newbyteorder("="):
        native = before.dtype.newbyteorder("=")
        return before.astype(native).tobytes() == after.astype(native).tobytes()
    if before.dtype.kind not in "fiub" or after.dtype.kind not in "fiub":
        return bool(np.all(before == after))
    with np.errstate(all="ignore"):
        narrowed = before.astype(after.dtype)
        kept = np.isfinite(narrowed) if after.dtype.kind == "f" else narrowed == before
        lost = np.isfinite(before) if before.dtype.kind == "f" else np.ones(before.shape, bool)
        return bool(np.array_equal(narrowed, after, equal_nan=after.dtype.kind == "f")) and bool(
            np.all(kept | ~lost)
        )


def _new_noise(before: _Content, after: _Content) -> list[Damage]:
    """Values that are finite no more, and differences that are noisier than they were."""
    old, new = before.arrays.get(_SCIENCE), after.arrays.get(_SCIENCE)
    if old is None or new is None or old.dtype.kind not in "fiu" or old.shape != new.shape:
        return [] if old is None else [Damage("SCI: another shape or none")]
    old, new = old.astype(np.float64), new.astype(np.float64)
    finite = np.isfinite(old)
    if not np.array_equal(finite, np.isfinite(new)):
        lost = int(np.sum(finite & ~np.isfinite(new)))
        return [Damage("finite no more" if lost else "finite now", f"{lost} pixels")]
    if not np.array_equal(old[~finite], new[~finite], equal_nan=True):
        return [Damage("NaN and inf exchanged")]
    usable, level = finite & _good(before, old.shape), np.abs(old)
    if old.ndim == 4:
        usable = usable[:, 1:] & usable[:, :-1]
        level = np.maximum(level[:, 1:], level[:, :-1])
        old, new = np.diff(old, axis=1), np.diff(new, axis=1)
    rounding = ROUNDING * level
    images = (array.reshape(-1, *array.shape[-2:]) for array in (old, new, usable, rounding))
    for number, (was, now, use, error) in enumerate(zip(*images, strict=True)):
        trouble = _noisier(was, now, use=use, rounding=error)
        if trouble:
            return [Damage(trouble[0], f"difference {number}: {trouble[1]}")]
    return []


def _noisier(
    was: NDArray, now: NDArray, *, use: NDArray[np.bool_], rounding: NDArray
) -> tuple[str, str] | None:
    """Tell a difference that has more noise than before, of all usable pixels or of most."""
    allowed = 1 + SPARE + N_ERRORS * np.sqrt(2 / min(use.shape))
    was, now, rounding = was[use], now[use], rounding[use]
    if was.size < 2:
        return None
    distance = np.abs(was - np.median(was))
    core = distance <= CORE * np.median(distance)
    for name, most in (("variance", slice(None)), ("variance of most pixels", core)):
        old, new = np.var(was[most]), np.var(now[most])
        if new > allowed * old + 4 * np.mean(rounding[most] ** 2):
            return f"more {name}", f"{old:.4g} became {new:.4g}"
    room = np.ptp(was)
    taken = np.abs(was - now) - 4 * rounding
    if taken.max() > room:
        return "more noise taken than there was", f"{taken.max():.4g} of {room:.4g}"
    return None


def _good(content: _Content, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Where no flag says otherwise."""
    good = np.ones(shape, dtype=bool)
    for name in ("PIXELDQ", "DQ", "GROUPDQ"):
        dq = content.arrays.get((name, 0))
        if dq is None or dq.dtype.kind not in "iu" or dq.shape != shape[len(shape) - dq.ndim :]:
            continue
        good &= dq == 0 if name == "GROUPDQ" else (dq.astype(np.int64) & 1) == 0
    return good
