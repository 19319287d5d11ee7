"""Inputs that hold several exposures: associations, containers and libraries of models."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from stdatamodels.jwst import datamodels
from stpipe.library import AbstractModelLibrary

from deflicker.files import existing_file

__all__ = ["members_of"]

SCIENCE: Final = "science"  # exptype of the exposures proper


def members_of(item: Any, *, find: Callable[[str], str]) -> list[Any] | None:
    """Exposures that an input stands for.

    Parameters
    ----------
    item : object
        Input of a step.
    find : callable
        Where an input file is that has no folder.

    Returns
    -------
    list of str, pathlib.Path or JwstDataModel, or None
        Science members of an association (its file or the dictionary in it), models of a
        container or a library; None for any other input.

    Raises
    ------
    OSError
        If the file of an association cannot be read.
    ValueError
        If an association or a container has no exposures.
    """
    if isinstance(item, str | Path) and Path(item).suffix.lower() == ".json":
        return _members_of_file(find(str(item)))
    if isinstance(item, dict):
        return _science_members(item, Path(), name="the association")
    if isinstance(item, AbstractModelLibrary):
        return _models_of_library(item)
    if _is_container(item):
        models = list(item)
        if not models:
            msg = f"the {type(item).__name__} holds no models"
            raise ValueError(msg)
        return models
    return None


def _is_container(item: Any) -> bool:
    """Whether something is a sequence of models, like the ModelContainer of jwst."""
    if not isinstance(item, Sequence) or isinstance(item, str | bytes | list | tuple):
        return False
    return all(isinstance(one, datamodels.JwstDataModel) for one in item)


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
        msg = f"{name} is none: it needs products with members, each with expname and exptype"
        raise ValueError(msg) from error
    # Exposures may be members of several products.
    names = dict.fromkeys(member for kind, member in members if kind == SCIENCE)
    if not names:
        msg = f"{name} has no science members (exptype {SCIENCE!r})"
        raise ValueError(msg)
    return [folder / member for member in names]


def _models_of_library(library: Any) -> list[datamodels.JwstDataModel]:
    """Models of a library, which stay in it as they are."""
    models = []
    with library:
        for number in range(len(library)):
            model = library.borrow(number)
            models.append(model.copy())
            library.shelve(model, number, modify=False)
    if not models:
        msg = f"the {type(library).__name__} holds no models"
        raise ValueError(msg)
    return models
