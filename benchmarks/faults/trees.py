"""Damage of ASDF trees: values of another type, references without a target, broken YAML."""

import re
from typing import Final

from numpy.random import Generator

from benchmarks.faults.raw import RawAsdf, RawFits

__all__ = ["damage_tree", "damage_tree_in_fits"]

VALUES: Final = (
    "5",
    "-1",
    "null",
    "''",
    "text",
    "[]",
    "{}",
    "[1, 2, 3]",
    "{a: 1}",
    ".nan",
    ".inf",
    "1e999",
    "true",
    "99999999999999999999999999",
    "&a [*a]",
    "&a {x: *a}",
    "*nothing",
    "2026-13-45",
    "'\\x00'",
    "!!python/object/apply:os.getcwd []",
    "!core/nothing-1.0.0 {a: 1}",
    "!core/ndarray-1.1.0 {source: 77, datatype: float32, byteorder: big, shape: [4, 4]}",
    "!core/ndarray-1.1.0 {source: 0, datatype: float32, byteorder: big, shape: [900000, 900000]}",
    "!core/ndarray-1.1.0 {source: 'fits:NOTHING,1', datatype: float32, byteorder: big, shape: [4]}",
    "!core/ndarray-1.1.0 {source: 'fits:SCI,7', datatype: float32, byteorder: big, shape: [4]}",
    "!core/ndarray-1.1.0 {source: 'nowhere.asdf', datatype: int8, byteorder: big, shape: [4]}",
    "!core/ndarray-1.1.0 [[1, 2], [3]]",
    "!core/integer-1.0.0 {words: 5, sign: 7}",
    "!core/history_entry-1.0.0 {description: 5}",
    "!transform/polynomial-1.2.0 {coefficients: 5}",
    "[unclosed",
    "{unclosed: ",
    '"unclosed',
    "\tTabbed",
    "%directive",
    "\u00e9\u2603",
    "[" * 3000 + "]" * 3000,
)
IMPORTANT: Final = ("history", "meta", "cal_step", "instrument", "exposure", "subarray", "data")
_KEY: Final = re.compile(rb"^( *)(?:- )?([A-Za-z_]+):", re.MULTILINE)
_INLINE: Final = re.compile(rb"([A-Za-z_]+): ([^,{}\[\]\n]+)(?=[,}])")


def damage_tree(rng: Generator, asdf: RawAsdf) -> str:
    """Damage one key of a tree, or its text.

    Parameters
    ----------
    rng : numpy.random.Generator
        Random numbers.
    asdf : RawAsdf
        The file; changed.

    Returns
    -------
    str
        What was done.
    """
    value = VALUES[rng.integers(len(VALUES))]
    shown = value if len(value) < 200 else f"{value[:9]}..."
    new = value.encode()
    if rng.random() < 0.2:
        name = str(rng.choice([*IMPORTANT, "extra", "asdf_library", "_fits_hash"]))
        asdf.tree += f"\n{name}: ".encode() + new
        return f"{name}: {shown} added"
    if rng.random() < 0.4:
        found = list(_INLINE.finditer(asdf.tree))
        match = found[rng.integers(len(found))]
        asdf.tree = asdf.tree[: match.start(2)] + new + asdf.tree[match.end(2) :]
        return f"{match[1].decode()}: {shown}"
    keys = list(_KEY.finditer(asdf.tree))
    important = [key for key in keys if key[2].decode() in IMPORTANT]
    match = _choice(rng, keys, important)
    end = _end_of_value(asdf.tree, match)
    keep = match.end() if rng.random() < 0.9 else match.start()
    asdf.tree = asdf.tree[:keep] + (b" " + new if keep == match.end() else b"") + asdf.tree[end:]
    return f"{match[2].decode()}: {shown if keep == match.end() else 'deleted'}"


def _choice(rng: Generator, keys: list, important: list) -> re.Match:
    few = important if important and rng.random() < 0.5 else keys
    return few[rng.integers(len(few))]


def _end_of_value(tree: bytes, key: re.Match) -> int:
    """End of the block of a key: the next line that is not indented more than the key."""
    indent = len(key[1])
    end = tree.find(b"\n", key.end())
    while end != -1:
        line = tree[end + 1 :].split(b"\n", 1)[0]
        depth = len(line) - len(line.lstrip(b" "))
        deeper = depth > indent or (depth == indent and line.lstrip().startswith(b"- "))
        if not deeper:
            return end
        end = tree.find(b"\n", end + 1)
    return len(tree)


def damage_tree_in_fits(rng: Generator, fits: RawFits) -> str:
    """Damage the tree in the ASDF extension.

    Parameters
    ----------
    rng : numpy.random.Generator
        Random numbers.
    fits : RawFits
        The file; changed.

    Returns
    -------
    str
        What was done.
    """
    part = fits["ASDF"]
    asdf = RawAsdf.read(part.data)
    what = damage_tree(rng, asdf)
    if rng.random() < 0.2:
        # The reader uses only the tree as long as the headers have the hash that is in the tree.
        fits.extensions[0].set("SUBSTRT1", 1)
        fits.extensions[0].set("S_JUMP", "COMPLETE")
        what += "; another header"
    part.data = asdf.to_bytes()
    part.set("NAXIS1", len(part.data))
    part.set("TFORM1", f"{len(part.data)}B")
    return what
