"""Check of an output: it must contain everything that the input had, and no new noise."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from stdatamodels.jwst import datamodels

from benchmarks.faults.contents import Content, has_more_extensions, read_content, same_values

__all__ = ["Damage", "find_damage"]

# A fit to few pixels has an error, which may increase the variance of a difference. Allowed are
# this fraction of the variance, plus so many of its standard errors for a sample of the rows.
SPARE = 0.1
N_ERRORS = 5.0
CORE = 30.0  # median deviations within which most pixels lie
ROUNDING = float(np.finfo(np.float32).eps)
# Keywords that each writer sets itself, or that this step changes.
WRITTEN = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|GROUPS|EXTEND|TFIELDS|T[A-Z]{3,4}\d+|EXTNAME|"
    r"EXTVER|BSCALE|BZERO|BLANK|DATE|FILENAME|S_CLNFNS|CHECKSUM|DATASUM|COMMENT|HISTORY|LONGSTRN|"
    r"CONTINUE|THEAP|INHERIT|EXTLEVEL|DATAMODL|"
)


@dataclass(frozen=True)
class Damage:
    """One kind of damage in an output.

    Parameters
    ----------
    kind : str
        Short text, the same for all damage of this kind.
    detail : str, optional
        Place and amount.
    """

    kind: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind} ({self.detail})" if self.detail else self.kind


def find_damage(
    path: Path, written: Path, model: datamodels.JwstDataModel, *, told: Sequence[str] = ()
) -> list[Damage]:
    """Compare an output with its input.

    Parameters
    ----------
    path : pathlib.Path
        Input of the run.
    written : pathlib.Path
        Its output.
    model : JwstDataModel
        Result of the step.
    told : sequence of str, optional
        Warnings of the run; a keyword may be lost if a warning shows its value.

    Returns
    -------
    list of Damage
        All damage, the worst first.
    """
    status = model.meta.cal_step.clean_flicker_noise
    try:
        after = read_content(written, strict=True)
    except Exception as error:  # noqa: BLE001 - any exception means an incomplete output
        return [Damage("the output cannot be read", f"{type(error).__name__}: {error}")]
    before = read_content(path)
    found = []
    if has_more_extensions(path, before):
        found.append(Damage("the reader does not reach all extensions"))
    if after.status != status:
        found.append(Damage("another status in the header", f"{after.status}, not {status}"))
    science = after.arrays.get(_SCIENCE)
    data = getattr(model, "data", None)
    if data is not None and science is not None and not same_values(np.asarray(data), science):
        found.append(Damage("model and file differ"))
    with np.errstate(all="ignore"):
        found += _new_noise(before, after)
    lost = _losses(before, after, told=told, but_science=status == "COMPLETE")
    return found + (_tell_readers(lost, path, before) if lost else [])


def _losses(
    before: Content, after: Content, *, told: Sequence[str], but_science: bool
) -> list[Damage]:
    """Arrays and keywords that are lost or changed."""
    with np.errstate(all="ignore"):
        arrays = _lost_arrays(before, after, but_science=but_science)
    return arrays + _lost_keywords(before, after, told)


def _tell_readers(lost: list[Damage], path: Path, before: Content) -> list[Damage]:
    """Mark losses that also occur when the data models only open and save the file."""
    copy = path.with_name("opened_and_saved.fits")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with datamodels.open(path) as model:
                model.save(str(copy))
        alone = {d.kind for d in _losses(before, read_content(copy), told=(), but_science=False)}
    except Exception:  # noqa: BLE001 - the data models cannot even save the file
        alone = set()
    return [
        Damage(d.kind, f"{d.detail}; stdatamodels alone too".lstrip("; ")) if d.kind in alone else d
        for d in lost
    ]


_SCIENCE = ("SCI", 0)


def _lost_arrays(before: Content, after: Content, *, but_science: bool) -> list[Damage]:
    """Arrays that are lost or changed."""
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


def _lost_keywords(before: Content, after: Content, told: Sequence[str]) -> list[Damage]:
    """Keywords that are lost, or have another value."""
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


def _new_noise(before: Content, after: Content) -> list[Damage]:
    """Values that are no longer finite, and differences that are noisier than before."""
    old, new = before.arrays.get(_SCIENCE), after.arrays.get(_SCIENCE)
    if old is None or new is None or old.dtype.kind not in "fiu" or old.shape != new.shape:
        return [] if old is None else [Damage("SCI: another shape or none")]
    if not old.size:
        return []
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
    """Describe a difference with more noise than before, in all usable pixels or in most."""
    was, now, rounding = was[use], now[use], rounding[use]
    if was.size < 2:
        return None
    allowed = 1 + SPARE + N_ERRORS * np.sqrt(2 / min(*use.shape, was.size))
    distance = np.abs(was - np.median(was))
    core = distance <= CORE * np.median(distance)
    parts = [("variance", slice(None)), ("variance of most pixels", core)]
    # If most values are equal, the variance of most pixels cannot be judged.
    for name, most in parts[: 2 if np.ptp(was[core]) > 0 else 1]:
        old, new = np.var(was[most]), np.var(now[most])
        if new > allowed * old + 4 * np.mean(rounding[most] ** 2):
            return f"more {name}", f"{old:.4g} became {new:.4g}"
    room = np.ptp(was)
    # Without a background, the level of a difference is subtracted too, but only from pixels that
    # were fitted.
    taken = was - now
    used = np.abs(taken) > 4 * rounding
    rounding, taken = rounding[used], taken[used]
    if not taken.size:
        return None
    taken = np.abs(taken - np.median(taken)) - 4 * rounding
    if taken.max() > room:
        return "more noise taken than there was", f"{taken.max():.4g} of {room:.4g}"
    return None


def _good(content: Content, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels without a flag."""
    good = np.ones(shape, dtype=bool)
    for name in ("PIXELDQ", "DQ", "GROUPDQ"):
        dq = content.arrays.get((name, 0))
        if dq is None or dq.dtype.kind not in "iu" or dq.shape != shape[len(shape) - dq.ndim :]:
            continue
        good &= dq == 0 if name == "GROUPDQ" else (dq.astype(np.int64) & 1) == 0
    return good
