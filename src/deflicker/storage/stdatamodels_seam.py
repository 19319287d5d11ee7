"""All that this package needs of stdatamodels and that its documentation does not promise.

A model is a tree of dictionaries, lists and arrays, ``instance``, and a schema that says where in
a FITS file each branch belongs. Cards that the schema does not know are in the branch
``extra_fits``. A reader that finds in the tree the hash of the headers takes nothing from them.
`Placeholder` relies on one more habit: arrays that say that they are contiguous are not copied.
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
LAZY: Final = "NDArrayType"  # of asdf


def tree_of(model: datamodels.JwstDataModel) -> dict[str, Any]:
    """Tree of a model.

    Parameters
    ----------
    model : JwstDataModel
        Any.

    Returns
    -------
    dict
        The model's own.
    """
    return model.instance


def schema_of(model: datamodels.JwstDataModel) -> dict[str, Any]:
    """Schema of a model, with all that it includes.

    Parameters
    ----------
    model : JwstDataModel
        Any.

    Returns
    -------
    dict
        Of the tree's branches under ``properties``.
    """
    return model.schema


def is_in_file(node: Any) -> bool:
    """Tell an array that the reader of ASDF leaves in the file until it is asked for.

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
    """FITS file that a model would be written to; no array is copied.

    Parameters
    ----------
    model : JwstDataModel
        Any.
    with_missing : bool, optional
        Whether branches without value are kept, as when a model is saved.

    Returns
    -------
    HDUList
        In memory.
    """
    tree = model.instance if with_missing else remove_none_from_tree(model.instance)
    return fits_support.to_fits(tree, model.schema)


def update_before_writing(model: datamodels.JwstDataModel, path: str) -> None:
    """Set what a model sets itself when it is saved: date, file name, model type.

    Parameters
    ----------
    model : JwstDataModel
        Changed.
    path : str
        Where it is going to be saved.
    """
    model.on_save(path)


def kept_cards(model: datamodels.JwstDataModel) -> Iterator[Any]:
    """Cards that the schema of a model does not know.

    Parameters
    ----------
    model : JwstDataModel
        Any.

    Yields
    ------
    sequence
        Keyword, value and comment.
    """
    for part in model.instance.get(EXTRA, {}).values():
        yield from part.get("header", [])


def keep_card(model: datamodels.JwstDataModel, extension: str, card: fits.Card) -> None:
    """Put a card among those that the schema does not know.

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
    """Tell whether the schema of a model has a place for a keyword.

    Parameters
    ----------
    model : JwstDataModel
        Any.
    keyword : str
        FITS keyword.

    Returns
    -------
    bool
        True if it has.
    """
    return bool(find_fits_keyword(model.schema, keyword))


def trusted_hash(model: datamodels.JwstDataModel) -> str | None:
    """Hash of the headers for which the reader takes a model's tree.

    Parameters
    ----------
    model : JwstDataModel
        Just opened.

    Returns
    -------
    str or None
        None where the tree has none.
    """
    return model.instance.get(fits_support.FITS_HASH_KEY)
