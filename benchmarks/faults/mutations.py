"""All kinds of damage, and which of them apply to each format."""

from collections.abc import Callable
from typing import Final

from numpy.random import Generator

from benchmarks.faults import corruption, extensions, headers, trees, values
from benchmarks.faults.raw import RawAsdf, RawFits

__all__ = ["KINDS", "MUTATIONS", "mutate"]

Damage = Callable[[Generator, bytes], tuple[bytes, str]]


def _leave(_rng: Generator, original: bytes) -> tuple[bytes, str]:
    """Change nothing."""
    return original, "as it is"


def _in_fits(change: Callable[[Generator, RawFits], str]) -> Damage:
    def damage(rng: Generator, original: bytes) -> tuple[bytes, str]:
        fits = RawFits.read(original)
        what = change(rng, fits)
        return fits.to_bytes(), what

    return damage


def _in_asdf(change: Callable[[Generator, RawAsdf], str]) -> Damage:
    def damage(rng: Generator, original: bytes) -> tuple[bytes, str]:
        asdf = RawAsdf.read(original)
        what = change(rng, asdf)
        return asdf.to_bytes(), what

    return damage


_OF_BYTES: Final = {
    "nothing": (0.02, _leave),
    "cut": (0.08, corruption.cut),
    "bits": (0.16, corruption.flip_bits),
    "overwritten": (0.06, corruption.overwrite),
    "shifted": (0.03, corruption.shift),
}
# For each file extension and kind of damage: its relative frequency, and the function.
MUTATIONS: Final[dict[str, dict[str, tuple[float, Damage]]]] = {
    ".fits": {
        **_OF_BYTES,
        "header": (0.19, _in_fits(headers.damage_header)),
        "extensions": (0.07, _in_fits(extensions.rearrange)),
        "renamed": (0.04, _in_fits(extensions.rename)),
        "dtype": (0.05, _in_fits(extensions.change_dtype)),
        "shape": (0.08, _in_fits(extensions.change_shape)),
        "tree": (0.10, _in_fits(trees.damage_tree_in_fits)),
        "values": (0.14, _in_fits(values.change_values)),
        "quality": (0.04, _in_fits(values.change_quality)),
    },
    ".asdf": {**_OF_BYTES, "tree": (0.35, _in_asdf(trees.damage_tree))},
}
KINDS: Final = sorted({kind for known in MUTATIONS.values() for kind in known})


def mutate(
    rng: Generator, original: bytes, extension: str, *, kinds: list[str] | None = None
) -> tuple[bytes, str, str]:
    """Damage a file.

    Parameters
    ----------
    rng : numpy.random.Generator
        Random numbers, which determine the damage.
    original : bytes
        The file.
    extension : {".fits", ".asdf"}
        Its format.
    kinds : list of str, optional
        Kinds of damage to choose from; all by default.

    Returns
    -------
    content, kind, what : bytes, str, str
        The damaged file, the kind of damage, and what was done.
    """
    known = MUTATIONS[extension]
    chosen = [name for name in known if kinds is None or name in kinds] or ["nothing"]
    weights = [known[name][0] for name in chosen]
    kind = chosen[rng.choice(len(chosen), p=[weight / sum(weights) for weight in weights])]
    damaged, what = known[kind][1](rng, original)
    return damaged, kind, what
