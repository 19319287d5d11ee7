"""Inputs with several exposures: associations, containers and libraries of models."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from stdatamodels.jwst import datamodels
from stpipe.library import AbstractModelLibrary

from deflicker.models.files import existing_file

__all__ = ["borrowed_models", "holds_models", "members_of"]

SCIENCE: Final = "science"  # exptype of science exposures; other members are not cleaned


def members_of(item: Any, *, find: Callable[[str], str]) -> list[Path] | None:
    """Exposures of an association.

    Parameters
    ----------
    item : object
        Input of a step.
    find : callable
        Returns the path of an input file that is given without a folder.

    Returns
    -------
    list of pathlib.Path, or None
        Science members, if the input is the file of an association or the dictionary in it;
        None for any other input.

    Raises
    ------
    OSError
        If the file of an association cannot be read.
    ValueError
        If an association has no exposures.
    """
    if isinstance(item, str | Path) and Path(item).suffix.lower() == ".json":
        return _members_of_file(find(str(item)))
    if isinstance(item, dict):
        return _science_members(item, Path(), name="the association")
    return None


def holds_models(item: Any) -> bool:
    """Whether an input is a collection of models, as jwst makes it from an association.

    Parameters
    ----------
    item : object
        Input of a step.

    Returns
    -------
    bool
        True for a library of models, and for a sequence of models that is not a list or tuple,
        such as a container.
    """
    if isinstance(item, AbstractModelLibrary):
        return True
    if not isinstance(item, Sequence) or isinstance(item, str | bytes | list | tuple):
        return False
    return all(isinstance(one, datamodels.JwstDataModel) for one in item)


@contextmanager
def borrowed_models(item: Any, *, modify: bool) -> Iterator[list[datamodels.JwstDataModel]]:
    """Take the models out of a collection, and put them back at the end.

    Parameters
    ----------
    item : object
        See `holds_models`.
    modify : bool
        Whether a library that is on disk is to store the changed models.

    Yields
    ------
    list of JwstDataModel
        Its models, not copied.

    Raises
    ------
    ValueError
        If the collection is empty.
    """
    if not len(item):
        msg = f"the {type(item).__name__} holds no models"
        raise ValueError(msg)
    if not isinstance(item, AbstractModelLibrary):
        yield list(item)
        return
    with item:
        models: list[datamodels.JwstDataModel] = []
        try:
            models += (item.borrow(number) for number in range(len(item)))
            yield models
        finally:
            for number, model in enumerate(models):
                item.shelve(model, number, modify=modify)


def _members_of_file(name: str) -> list[Path]:
    path = existing_file(name, what="association")
    try:
        content = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        msg = f"association {path} cannot be read: {error}"
        raise OSError(msg) from error
    return _science_members(content, path.parent, name=f"association {path}")


def _science_members(content: Any, folder: Path, *, name: str) -> list[Path]:
    try:
        members = [
            (str(member["exptype"]).lower(), str(member["expname"]))
            for product in content["products"]
            for member in product["members"]
        ]
    except (KeyError, TypeError) as error:
        msg = f"{name} is not valid: it needs products with members, each with expname and exptype"
        raise ValueError(msg) from error
    # Exposures may be members of several products.
    names = dict.fromkeys(member for kind, member in members if kind == SCIENCE)
    if not names:
        msg = f"{name} has no science members (exptype {SCIENCE!r})"
        raise ValueError(msg)
    return [folder / member for member in names]
