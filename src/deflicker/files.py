"""Files at the edge: opened with clear errors, written whole."""

import tempfile
import warnings
from pathlib import Path
from typing import Any, Final

from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from stdatamodels.jwst import datamodels

from deflicker.on_disk import can_stay_on_disk, open_on_disk, write_on_disk
from deflicker.stored import Placeholder

__all__ = ["check_folder", "is_complete", "open_model", "read_crds_parameters", "write_whole"]

# Models that are nothing without science data; others may hold theirs elsewhere.
WITH_DATA: Final = (
    datamodels.JwstDataModel,
    datamodels.RampModel,
    datamodels.CubeModel,
    datamodels.ImageModel,
    datamodels.IFUImageModel,
)


def open_model(path: str | Path) -> datamodels.JwstDataModel:
    """Open a file as a JWST data model with science data.

    Parameters
    ----------
    path : str or pathlib.Path
        FITS or ASDF file.

    Returns
    -------
    JwstDataModel
        Of the type that the file names.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If the file cannot be read, or holds no science data where it should.
    """
    path = Path(path)
    if not path.is_file():
        msg = f"input file {path} does not exist"
        raise FileNotFoundError(msg)
    try:
        _check_complete(path)
        model = datamodels.open(path)
    except Exception as error:
        msg = f"input file {path} cannot be read as a JWST data model: {error}"
        raise OSError(msg) from error
    if type(model) in WITH_DATA and getattr(model, "data", None) is None:
        model.close()
        msg = f"input file {path} holds no science data (extension SCI)"
        raise OSError(msg)
    return model


def is_complete(path: Path) -> bool:
    """Tell whether a file does not end too early.

    Parameters
    ----------
    path : pathlib.Path
        Any file.

    Returns
    -------
    bool
        False too if it cannot be read.
    """
    try:
        _check_complete(path)
    except OSError:
        return False
    return True


def _check_complete(path: Path) -> None:
    """Refuse what astropy reads with a warning: a FITS file that ends too early."""
    if ".fits" not in path.suffixes[-2:]:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)
        warnings.filterwarnings("error", "File may have been truncated")
        try:
            with path.open("rb") as stream, fits.open(stream) as extensions:
                len(extensions)  # reads all headers, and no data
        except AstropyUserWarning as error:
            raise OSError(str(error)) from error


def read_crds_parameters(path: str | Path) -> dict[str, Any]:
    """Metadata of a file by which CRDS chooses reference files.

    Parameters
    ----------
    path : str or pathlib.Path
        FITS or ASDF file.

    Returns
    -------
    dict
        Metadata by dotted name; empty if the file cannot be read, which opening it
        reports better.
    """
    try:
        # Reads only the headers, but wants a model type and an ASDF extension.
        _check_complete(Path(path))
        return datamodels.read_metadata(path)
    except (KeyError, TypeError):
        pass
    except Exception:  # noqa: BLE001 - whatever is wrong, opening the file says it
        return {}
    try:
        light = can_stay_on_disk(Path(path))
        with open_on_disk(Path(path)) if light else open_model(path) as model:
            return model.get_crds_parameters()
    except OSError:
        return {}


def check_folder(folder: Path) -> None:
    """Make a folder if need be, and see that it can be written.

    Parameters
    ----------
    folder : pathlib.Path
        Where files shall go.

    Raises
    ------
    OSError
        If nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".deflicker-", dir=folder):
            pass
    except OSError as error:
        msg = f"output folder {folder} cannot be written ({error}); choose another output_dir"
        raise OSError(msg) from error


def write_whole(model: datamodels.JwstDataModel, path: Path) -> None:
    """Write a file completely or not at all.

    Parameters
    ----------
    model : JwstDataModel
        What to write.
    path : pathlib.Path
        Where to. An existing file stays until the new one is complete.
    """
    if isinstance(getattr(model, "data", None), Placeholder):
        write_on_disk(model, path)
        return
    # In a folder of its own the new file has its final name, which goes into its header.
    with tempfile.TemporaryDirectory(prefix=".deflicker-", dir=path.parent) as folder:
        unfinished = Path(folder) / path.name
        model.save(str(unfinished))
        unfinished.replace(path)
