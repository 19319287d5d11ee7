"""Input and output files: opened with clear errors, written whole or not at all."""

import re
from pathlib import Path
from typing import Any, Final

import numpy as np
from stdatamodels.jwst import datamodels

from deflicker.models.round_trip import check_content, check_tree, load_arrays, reason_of
from deflicker.storage.fits_structure import check_file
from deflicker.storage.on_disk import can_stay_on_disk, open_on_disk, write_on_disk
from deflicker.storage.stored_array import Placeholder
from deflicker.storage.unfinished import remove_leftovers, unfinished_folder, written_whole

__all__ = [
    "check_folder",
    "check_writing",
    "existing_file",
    "open_model",
    "read_crds_parameters",
    "refuse_address",
    "write_whole",
]

# Models that must have science data in ``data``; other models may have them elsewhere.
WITH_DATA: Final = (
    datamodels.JwstDataModel,
    datamodels.RampModel,
    datamodels.CubeModel,
    datamodels.ImageModel,
    datamodels.IFUImageModel,
)
ADDRESS: Final = re.compile(r"(s3|https?|ftp|gs|file):/{1,2}(?!/)(.*)")


def open_model(path: str | Path, *, on_disk: bool = False) -> datamodels.JwstDataModel:
    """Open a file as a JWST data model with science data that can be written again.

    Parameters
    ----------
    path : str or pathlib.Path
        FITS or ASDF file.
    on_disk : bool, optional
        Leave the arrays that have integrations in the file; see `open_on_disk`.

    Returns
    -------
    JwstDataModel
        Of the type that is recorded in the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If the file cannot be read, has no science data although its type needs them, or
        contains something that would be lost or changed when it is written.
    """
    path = existing_file(path, what="input file")
    model = None
    try:
        extensions = check_file(path)
        # No warnings of numpy: `check_content` reports values that a conversion would change.
        with np.errstate(all="ignore"):
            model = open_on_disk(path) if on_disk else datamodels.open(path)
        load_arrays(model)
        check_tree(model)
        if not (type(model) in WITH_DATA and getattr(model, "data", None) is None):
            check_content(model, extensions, path)
            return model
    except Exception as error:
        if model is not None:
            model.close()
        msg = f"input file {path} cannot be read as a JWST data model: {reason_of(error)}"
        raise OSError(msg) from error
    model.close()
    msg = f"input file {path} holds no science data (extension SCI)"
    raise OSError(msg)


def check_writing(model: datamodels.JwstDataModel) -> None:
    """Check that an open model can be written, before anything is done with it.

    Parameters
    ----------
    model : JwstDataModel
        Model of the user.

    Raises
    ------
    ValueError
        If a part of the model cannot be written; the message names that part.
    """
    try:
        check_tree(model)
        check_content(model, [])
    except Exception as error:
        msg = f"the input model cannot be written to a file: {reason_of(error)}; correct it"
        raise ValueError(msg) from error


def existing_file(path: str | Path, *, what: str) -> Path:
    """Path of a file that must exist on this machine.

    Addresses of remote files are refused too.

    Parameters
    ----------
    path : str or pathlib.Path
        As the user gave it.
    what : str
        Parameter or kind of file, for the message.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """
    refuse_address(path, what=what)
    path = Path(path)
    if not path.is_file():
        msg = f"{what} {path} does not exist"
        raise FileNotFoundError(msg)
    return path


def refuse_address(path: str | Path, *, what: str) -> None:
    """Refuse the address of a remote file where a file on this machine is needed.

    Parameters
    ----------
    path : str or pathlib.Path
        As the user gave it. ``pathlib`` has reduced the two slashes of an address to one.
    what : str
        Parameter or kind of file, for the message.

    Raises
    ------
    FileNotFoundError
        If the path is an address.
    """
    address = ADDRESS.match(str(path))
    if address:
        msg = (
            f"{what} {address[1]}://{address[2]} is an address and no file on this machine: "
            "download it and give the name of the copy"
        )
        raise FileNotFoundError(msg)


def read_crds_parameters(path: str | Path) -> dict[str, Any]:
    """Metadata of a file that CRDS needs to choose reference files.

    Parameters
    ----------
    path : str or pathlib.Path
        FITS or ASDF file.

    Returns
    -------
    dict
        Metadata by dotted name; empty if the file cannot be read. The reason is reported
        later, when the file is opened.
    """
    try:
        path = existing_file(path, what="input file")
        check_file(path)
        # This reads only the headers, but needs a model type and an ASDF extension.
        return datamodels.read_metadata(path)
    except (KeyError, TypeError):
        pass
    except Exception:  # noqa: BLE001 - whatever is wrong, opening the file says it
        return {}
    try:
        with open_model(path, on_disk=can_stay_on_disk(Path(path))) as model:
            return model.get_crds_parameters()
    except OSError:
        return {}


def check_folder(folder: Path) -> None:
    """Make a folder if needed, check that it can be written, and remove leftovers in it.

    Parameters
    ----------
    folder : pathlib.Path
        Folder for output files.

    Raises
    ------
    OSError
        If no file can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with unfinished_folder(folder):
            pass
    except OSError as error:
        msg = f"output folder {folder} cannot be written ({error}); choose another output_dir"
        raise OSError(msg) from error
    remove_leftovers(folder)


def write_whole(model: datamodels.JwstDataModel, path: Path) -> None:
    """Write a file completely or not at all.

    Parameters
    ----------
    model : JwstDataModel
        The model.
    path : pathlib.Path
        File to write. An existing file stays until the new one is complete.

    Raises
    ------
    OSError
        If the file cannot be written, for example because the disk is full.
    """
    try:
        if isinstance(getattr(model, "data", None), Placeholder):
            write_on_disk(model, path)
            return
        with written_whole(path) as unfinished:
            model.save(str(unfinished))
    except MemoryError:
        raise
    except Exception as error:
        msg = f"output file {path} cannot be written: {reason_of(error)}"
        raise OSError(msg) from error
