"""Uses of stdatamodels beyond its documented interface, all in this file.

A model is a tree of dictionaries, lists and arrays, ``instance``, and a schema that says where in
a FITS file each branch belongs. Cards that the schema does not have are in the branch
``extra_fits``. If the tree contains the hash of the headers, the reader skips the headers.
`Placeholder` relies on one more habit: arrays whose flags say "contiguous" are not copied.
"""

from collections.abc import Iterator
from typing import Any, Final

from astropy.io import fits
from stdatamodels import fits_support
from stdatamodels.jwst import datamodels
from stdatamodels.schema import find_fits_keyword
from stdatamodels.util import remove_none_from_tree

__all__ = [
    "as_written",
    "is_in_file",
    "keep_card",
    "kept_cards",
    "knows_keyword",
    "schema_of",
    "tree_of",
    "trusted_hash",
    "update_before_writing",
]

EXTRA: Final = "extra_fits"
LAZY: Final = "NDArrayType"  # type of asdf for arrays that are still in the file


def tree_of(model: datamodels.JwstDataModel) -> dict[str, Any]:
    """Tree of a model.

    Parameters
    ----------
    model : JwstDataModel
        Any model.

    Returns
    -------
    dict
        The tree itself, not a copy.
    """
    return model.instance


def schema_of(model: datamodels.JwstDataModel) -> dict[str, Any]:
    """Schema of a model, including the schemas that it refers to.

    Parameters
    ----------
    model : JwstDataModel
        Any model.

    Returns
    -------
    dict
        Schemas of the branches of the tree are under ``properties``.
    """
    return model.schema


def is_in_file(node: Any) -> bool:
    """Whether a leaf is an array that the reader of ASDF leaves in the file until it is used.

    Parameters
    ----------
    node : object
        Leaf of a tree.

    Returns
    -------
    bool
        True for such an array.
    """
    return type(node).__name__ == LAZY


def as_written(model: datamodels.JwstDataModel, *, with_missing: bool = True) -> fits.HDUList:
    """Make the FITS file as which a model would be written; no array is copied.

    Parameters
    ----------
    model : JwstDataModel
        Any model.
    with_missing : bool, optional
        Whether branches without a value are kept, as when a model is saved.

    Returns
    -------
    HDUList
        In memory.
    """
    tree = model.instance if with_missing else remove_none_from_tree(model.instance)
    return fits_support.to_fits(tree, model.schema)


def update_before_writing(model: datamodels.JwstDataModel, path: str) -> None:
    """Set the keywords that a model sets when it is saved: date, file name, model type.

    Parameters
    ----------
    model : JwstDataModel
        Changed.
    path : str
        File to which it will be saved.
    """
    model.on_save(path)


def kept_cards(model: datamodels.JwstDataModel) -> Iterator[Any]:
    """Cards that are not in the schema of a model.

    Parameters
    ----------
    model : JwstDataModel
        Any model.

    Yields
    ------
    sequence
        Keyword, value and comment.
    """
    for part in model.instance.get(EXTRA, {}).values():
        yield from part.get("header", [])


def keep_card(model: datamodels.JwstDataModel, extension: str, card: fits.Card) -> None:
    """Add a card that is not in the schema of a model.

    Parameters
    ----------
    model : JwstDataModel
        Changed.
    extension : str
        Name of the extension whose header has the card.
    card : Card
        The card.
    """
    part = model.instance.setdefault(EXTRA, {}).setdefault(extension, {})
    part.setdefault("header", []).append([card.keyword, card.value, card.comment])


def knows_keyword(model: datamodels.JwstDataModel, keyword: str) -> bool:
    """Whether the schema of a model has a keyword.

    Parameters
    ----------
    model : JwstDataModel
        Any model.
    keyword : str
        FITS keyword.

    Returns
    -------
    bool
        True if it does.
    """
    return bool(find_fits_keyword(model.schema, keyword))


def trusted_hash(model: datamodels.JwstDataModel) -> str | None:
    """Hash of the headers in a model's tree; the reader skips headers that have this hash.

    Parameters
    ----------
    model : JwstDataModel
        Model that was just opened.

    Returns
    -------
    str or None
        None if there is no hash in the tree.
    """
    return model.instance.get(fits_support.FITS_HASH_KEY)
