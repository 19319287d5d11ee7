"""Checks, before any work, that a model can be written without loss of what its file contained."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from stdatamodels.jwst import datamodels

from deflicker.models.trusted_tree import settle_headers
from deflicker.storage.fits_structure import ASDF_NAME, Extension
from deflicker.storage.stdatamodels_seam import (
    as_written,
    is_in_file,
    kept_cards,
    schema_of,
    tree_of,
)
from deflicker.storage.stored_array import Placeholder

__all__ = ["check_content", "check_tree", "load_arrays", "reason_of"]

LONGEST_REASON: Final = 300  # characters; messages of validation quote whole schemas
# Values of TZERO that only mark unsigned integers or signed bytes, and do not scale a column.
UNSIGNED: Final = (0, -128, 1 << 15, 1 << 31, 1 << 63)
ROUNDING: Final = 1e-6  # relative, of float32


def reason_of(error: BaseException) -> str:
    """Describe in one line why a reader or writer failed.

    Parameters
    ----------
    error : BaseException
        Exception that it raised.

    Returns
    -------
    str
        Message of the exception, or its type if there is no message.
    """
    lines = str(error).strip().splitlines()
    text = " ".join(lines[0].split()) if lines else ""
    if isinstance(error, KeyError | IndexError | AttributeError | TypeError | AssertionError):
        text = f"{type(error).__name__}: {text}"
    return text[:LONGEST_REASON] or type(error).__name__


def load_arrays(model: datamodels.JwstDataModel) -> None:
    """Read arrays that the reader of ASDF would leave in the file until they are used.

    Parameters
    ----------
    model : JwstDataModel
        Model that was just opened.
    """
    todo: list[Any] = [tree_of(model)]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            todo += node.values()
        elif isinstance(node, list | tuple):
            todo += node
        elif is_in_file(node):
            np.asarray(node)


def check_tree(model: datamodels.JwstDataModel) -> None:
    """Check that attributes which should have attributes of their own are not plain values.

    Parameters
    ----------
    model : JwstDataModel
        The model.

    Raises
    ------
    ValueError
        If one is a plain value; the message names the attribute.
    """
    tree = tree_of(model)
    history = tree.get("history", [])
    if isinstance(history, dict):
        history = history.get("entries", [])
    if not isinstance(history, list):
        _refuse_leaf("history", history)
    if not isinstance(tree.get("meta", {}), dict):
        _refuse_leaf("meta", tree["meta"])
    _check_branches(tree.get("meta", {}), schema_of(model)["properties"]["meta"], "meta")


def _check_branches(tree: dict[str, Any], schema: dict[str, Any], name: str) -> None:
    for key, part in schema.get("properties", {}).items():
        if "properties" not in part or key not in tree:
            continue
        value = tree[key]
        if not isinstance(value, dict):
            _refuse_leaf(f"{name}.{key}", value)
        _check_branches(value, part, f"{name}.{key}")


def _refuse_leaf(name: str, value: Any) -> NoReturn:
    text = repr(value)[:LONGEST_REASON]
    msg = f"{name} must hold several values, not {text}; correct it in the file"
    raise ValueError(msg)


def check_content(
    model: datamodels.JwstDataModel, extensions: Sequence[Extension], path: Path | None = None
) -> None:
    """Check that a model can be written with everything that its file contained.

    Parameters
    ----------
    model : JwstDataModel
        The model; its arrays are not copied. Keywords of the file that the reader left out are
        added to it.
    extensions : sequence of Extension
        Extensions of the FITS file from which it was read; empty if there is none.
    path : pathlib.Path, optional
        That file.

    Raises
    ------
    ValueError
        If an extension or keyword would be lost or changed; the message names it.
    """
    for card in kept_cards(model):
        _check_card(*card)
    hdulist = as_written(model, with_missing=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for hdu in hdulist:
            _check_writing(hdu)
    written = {(hdu.name or "", hdu.ver): hdu for hdu in hdulist}
    settle_headers(model, extensions, written)
    for extension in extensions:
        if extension.name == ASDF_NAME or not extension.size:
            continue
        hdu = written.get((extension.name, extension.version))
        if hdu is None or hdu.data is None:
            msg = (
                f"{extension} would be lost: a {type(model).__name__} has no place for it; delete "
                "it, or give it an EXTNAME of its own"
            )
            raise ValueError(msg)
        if not isinstance(hdu.data, Placeholder):
            _check_values(extension, hdu, path)


def _check_writing(hdu: Any) -> None:
    """Check that an extension can be written: cards always, and the data of tables."""
    for card in hdu.header.cards:
        _check_card(card.keyword, card.value, card.comment)
    if isinstance(hdu, fits.BinTableHDU):
        try:
            fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(io.BytesIO())
        except Exception as error:
            msg = f"extension {hdu.name} cannot be written: {reason_of(error)}"
            raise ValueError(msg) from error


def _check_card(keyword: str, value: Any, comment: str) -> None:
    try:
        str(fits.Card(keyword, value, comment))
    except Exception as error:
        msg = f"keyword {keyword} cannot be written: {reason_of(error)}"
        raise ValueError(msg) from error


def _check_values(extension: Extension, hdu: Any, path: Path | None) -> None:
    """Compare the data of an extension in the file with those in the model."""
    header = extension.header
    is_table = extension.number > 0 and header["XTENSION"] != "IMAGE" and "ZIMAGE" not in header
    if is_table and header["NAXIS2"] != len(hdu.data):
        msg = f"{extension} would lose rows"
        raise ValueError(msg)
    if is_table:
        name = _scaled_column(header)
        if name:
            msg = f"{extension} would lose the scale of column {name}; store its values"
            raise ValueError(msg)
        return
    if path is None or _is_as_stored(extension, hdu):
        return
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        lost = _difference(_raw_data(path, extension.number), np.asarray(hdu.data))
    if lost:
        msg = (
            f"{extension} {lost} as {hdu.data.dtype.name} of a model; convert it, and flag or "
            "correct such values"
        )
        raise ValueError(msg)


def _is_as_stored(extension: Extension, hdu: Any) -> bool:
    """Whether the type of an image is the same in the model and in the file."""
    is_image = not extension.number or extension.header["XTENSION"] == "IMAGE"
    stored = _stored_type(extension.header) if is_image else None
    return stored is not None and stored == hdu.data.dtype.newbyteorder("=")


def _scaled_column(header: fits.Header) -> str:
    """Name of a column with a scale (TSCAL, TZERO); empty if there is none.

    Models would write the stored numbers without the scale. Unsigned integers do not count as
    scaled.
    """
    for number in range(1, header["TFIELDS"] + 1):
        scale, zero = header.get(f"TSCAL{number}", 1), header.get(f"TZERO{number}", 0)
        if scale != 1 or zero not in UNSIGNED:
            return str(header.get(f"TTYPE{number}", number))
    return ""


def _stored_type(header: fits.Header) -> np.dtype | None:
    """Type of the values of an image; None if they are scaled."""
    bits = header["BITPIX"]
    kind = np.dtype(f"{'f' if bits < 0 else 'u' if bits == 8 else 'i'}{abs(bits) // 8}")
    zero, scale = header.get("BZERO", 0), header.get("BSCALE", 1)
    if scale == 1 and zero == 0:
        return kind
    if scale == 1 and kind.kind == "i" and zero == 1 << (bits - 1):
        return np.dtype(f"u{bits // 8}")
    return None


def _raw_data(path: Path, number: int) -> NDArray:
    with fits.open(path, memmap=False) as hdulist:
        return np.asarray(hdulist[number].data)


def _difference(raw: NDArray, held: NDArray) -> str:
    """Describe how an array was changed in a model; empty if it was not."""
    if raw.shape != held.shape:
        return f"has shape {raw.shape} and would have {held.shape}"
    if held.dtype.kind == "f":
        same = np.isfinite(raw) == np.isfinite(held)
        same &= ~np.isfinite(raw) | (np.abs(raw - held) <= ROUNDING * np.abs(raw))
    else:
        same = raw == held
    number = raw.size - int(np.count_nonzero(same))
    return f"holds {number} values that are not the same" if number else ""
