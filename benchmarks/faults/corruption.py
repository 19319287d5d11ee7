"""Damage of bytes: files that end too early, flipped bits, runs of zeros, lost blocks."""

import numpy as np
from numpy.random import Generator

from benchmarks.faults.raw import BLOCK, RawFits

__all__ = ["cut", "flip_bits", "overwrite", "shift"]

FILLERS = (b"\0", b"\xff", b" ", b"9")


def cut(rng: Generator, content: bytes) -> tuple[bytes, str]:
    """End a file too early: anywhere, at a block, or near one.

    Parameters
    ----------
    rng : numpy.random.Generator
        Random numbers.
    content : bytes
        The file.

    Returns
    -------
    content, what : bytes, str
        The damaged file, and what was done.
    """
    size = int(rng.integers(0, len(content)))
    if rng.random() < 0.6:
        size = max(size - size % BLOCK + int(rng.choice([0, 0, 0, -1, 1, 80])), 0)
    return content[:size], f"{size} of {len(content)} bytes are left"


def flip_bits(rng: Generator, content: bytes) -> tuple[bytes, str]:
    """Flip some bits, mostly of headers, tables and ASDF.

    Parameters
    ----------
    rng : numpy.random.Generator
        Random numbers.
    content : bytes
        The file.

    Returns
    -------
    content, what : bytes, str
        The damaged file, and what was done.
    """
    start, stop, where = _region(rng, content)
    damaged = np.frombuffer(content, np.uint8).copy()
    number = int(rng.choice([1, 1, 2, 5, 20, 100]))
    at = rng.integers(start, stop, number)
    np.bitwise_xor.at(damaged, at, np.left_shift(1, rng.integers(0, 8, number)).astype(np.uint8))
    return damaged.tobytes(), f"{number} bits flipped in {where}"


def overwrite(rng: Generator, content: bytes) -> tuple[bytes, str]:
    """Overwrite a run of bytes by one value, or by noise.

    Parameters
    ----------
    rng : numpy.random.Generator
        Random numbers.
    content : bytes
        The file.

    Returns
    -------
    content, what : bytes, str
        The damaged file, and what was done.
    """
    start, stop, where = _region(rng, content)
    at = int(rng.integers(start, stop))
    length = min(int(rng.choice([1, 4, 80, 512, BLOCK])), len(content) - at)
    filler = FILLERS[rng.integers(len(FILLERS))] * length if rng.random() < 0.7 else None
    new = rng.bytes(length) if filler is None else filler
    what = "noise" if filler is None else repr(filler[:1])
    return content[:at] + new + content[at + length :], f"{length} bytes of {where} became {what}"


def shift(rng: Generator, content: bytes) -> tuple[bytes, str]:
    """Remove or duplicate a few bytes or blocks, or add some at the end.

    Parameters
    ----------
    rng : numpy.random.Generator
        Random numbers.
    content : bytes
        The file.

    Returns
    -------
    content, what : bytes, str
        The damaged file, and what was done.
    """
    length = int(rng.choice([1, 7, 80, BLOCK, 2 * BLOCK]))
    at = int(rng.integers(0, len(content)))
    if length >= BLOCK:
        at -= at % BLOCK
    how = rng.integers(3)
    if how == 0:
        return content[:at] + content[at + length :], f"{length} bytes lost at {at}"
    if how == 1:
        return content[: at + length] + content[at:], f"{length} bytes doubled at {at}"
    return content + rng.bytes(length), f"{length} bytes of noise added"


def _region(rng: Generator, content: bytes) -> tuple[int, int, str]:
    """Region to damage: its beginning, its end and its name."""
    if not content.startswith(b"SIMPLE"):
        tree = content.find(b"\n...\n")
        regions = [(0, tree, "the tree"), (tree, len(content), "the blocks")]
        block = content.find(b"\xd3BLK")
        regions.append((block, block + 54, "the header of a block"))
        return regions[rng.integers(len(regions))]
    regions, at = [], 0
    for extension in RawFits.read(content).extensions:
        header = BLOCK * -(-(len(extension.cards) + 1) * 80 // BLOCK)
        regions.append((at, at + 80 * len(extension.cards), f"the header of {extension.name}"))
        at += header
        size = len(extension.data)
        # Pixels are rarely chosen, because a flipped bit only makes another valid number.
        if size and (not extension.is_image or rng.random() < 0.15):
            regions.append((at, at + size, f"the data of {extension.name}"))
        at += size + -size % BLOCK
    return regions[rng.integers(len(regions))]
