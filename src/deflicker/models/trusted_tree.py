"""Check of headers that the reader skips because it trusts the tree of the ASDF extension."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from stdatamodels.jwst import datamodels

from deflicker.storage.fits_structure import ASDF_NAME, Extension, hash_of_headers
from deflicker.storage.stdatamodels_seam import (
    keep_card,
    knows_keyword,
    schema_of,
    trusted_hash,
)

__all__ = ["settle_headers"]

# Keywords that each writer sets itself; the data are compared elsewhere.
STRUCTURE: Final = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|[PG]COUNT|GROUPS|EXTEND|TFIELDS|T[A-Z]{3,4}\d+|THEAP|"
    r"BSCALE|BZERO|BLANK|CHECKSUM|DATASUM|COMMENT|HISTORY|DATE|FILENAME|"
)
ROUNDING: Final = 1e-14  # relative error of a number that a header stores as text


def settle_headers(
    model: datamodels.JwstDataModel,
    extensions: Sequence[Extension],
    written: Mapping[tuple[str, int], Any],
) -> None:
    """Compare the headers of a file with those that would be written from the model's tree.

    The reader skips the headers if their hash is in the tree, because the tree then contains
    all of them; if the tree is damaged, keywords would be lost or changed. A keyword that the
    schema of the data model does not have, but that of an older version had, is added to the
    tree.

    Parameters
    ----------
    model : JwstDataModel
        The model; keywords that its schema does not have are added to it.
    extensions : sequence of Extension
        Extensions of the FITS file from which it was read; empty if there is none.
    written : mapping of (str, int) to HDU
        Extensions that would be written from the tree, by name and version.

    Raises
    ------
    ValueError
        If a keyword differs, or the model would not find its data; the message names the first.
    """
    if not _is_trusted(model, extensions):
        return
    for extension in extensions:
        _check_branch(model, extension)
        hdu = written.get((extension.name, extension.version))
        if hdu is None or extension.name == ASDF_NAME:
            continue
        for card in extension.header.cards:
            if STRUCTURE.fullmatch(card.keyword):
                continue
            now = hdu.header.get(card.keyword)
            if _same(now, card.value):
                continue
            if now is None and extension.version == 1 and not knows_keyword(model, card.keyword):
                keep_card(model, extension.name, card)
                continue
            msg = (
                f"keyword {card.keyword} of {extension} is {card.value!r}, but {now!r} in "
                f"extension {ASDF_NAME}: correct one of them, or delete extension {ASDF_NAME}"
            )
            raise ValueError(msg)


def _check_branch(model: datamodels.JwstDataModel, extension: Extension) -> None:
    """Refuse data that the tree has in another branch than that where the model looks."""
    if not extension.size or extension.version != 1:
        return
    for name, part in schema_of(model)["properties"].items():
        if part.get("fits_hdu") == extension.name != "PRIMARY" and extension.branch != name:
            msg = (
                f"{extension} is not {name!r} in the tree of extension {ASDF_NAME}: delete "
                f"extension {ASDF_NAME}, the keywords hold the same"
            )
            raise ValueError(msg)


def _is_trusted(model: datamodels.JwstDataModel, extensions: Sequence[Extension]) -> bool:
    """Whether the reader has skipped the headers because the tree has their hash."""
    return bool(extensions) and trusted_hash(model) == hash_of_headers(extensions)


def _same(now: Any, value: Any) -> bool:
    """Whether a value from the tree equals the value of a card."""
    if isinstance(value, str):
        return isinstance(now, str) and now.rstrip() == value.rstrip()
    if isinstance(value, bool) or isinstance(now, bool | str | None):
        return type(now) is type(value) and bool(now == value)
    return math.isclose(now, value, rel_tol=ROUNDING)
