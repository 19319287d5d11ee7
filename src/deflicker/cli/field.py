"""``deflicker field``: a dithered set, each exposure cleaned with the mosaic of the others."""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from deflicker.mission.field import Field

__all__ = ["FIELD", "FIXED_PARAMETERS", "clean_field"]

FIELD: Final = "clean a dithered set, each exposure with the mosaic of the others"
# Parameters of the step that the command sets itself.
FIXED_PARAMETERS: Final = (
    "--suffix",
    "--output_dir",
    "--output_ext",
    "--output_file",
    "--skip",
    "--save_results",
    "--scene_image",
    "--scene_wcs",
    "--progress_bar",
)
MOSAIC: Final = "others_i2d"  # suffix of a mosaic that is kept


def clean_field(
    files: Sequence[Path],
    folder: Path,
    *,
    keep_mosaics: bool,
    parameters: Mapping[str, str],
) -> int:
    """Clean a dithered set in two passes: each exposure alone, then with the mosaic of the others.

    Parameters
    ----------
    files : sequence of pathlib.Path
        Ramps or rates of one field.
    folder : pathlib.Path
        Folder for the cleaned files.
    keep_mosaics : bool
        Whether to write the mosaics there too.
    parameters : mapping of str to str
        Parameters of the step.

    Returns
    -------
    int
        0 if all exposures were cleaned.

    Raises
    ------
    OSError
        If a file cannot be read or written, or outputs would overwrite each other.
    ValueError
        If a parameter has a value that is not allowed.
    """
    from deflicker.mission.names import check_distinct, remove_suffix
    from deflicker.mission.progress import progress
    from deflicker.models.files import check_folder, existing_file

    paths = [existing_file(one, what="input file") for one in files]
    check_distinct([path.name for path in paths])
    check_folder(folder)
    given = {**parameters, "progress_bar": False, "skip": False}
    _check(given)
    with (
        tempfile.TemporaryDirectory() as place,
        progress(2 * len(paths), wanted=True, unit="exposure") as advance,
    ):
        field, notes = _clean_alone(paths, given, advance)
        mosaics = folder if keep_mosaics else Path(place)
        statuses = []
        for path in paths:
            mosaic = mosaics / f"{remove_suffix(path.stem)[0]}_{MOSAIC}.fits"
            scene = {}
            if field.write_mosaic(path.name, mosaic):
                scene["scene_image"] = str(mosaic)
            else:
                notes.setdefault(path, "cleaned alone: no other exposure shows its field")
            statuses.append(_clean_again(path, folder, {**given, **scene}))
            if not keep_mosaics:
                mosaic.unlink(missing_ok=True)
            advance()
    width = max(len(path.name) for path in paths)
    for path, status in zip(paths, statuses, strict=True):
        print(f"{path.name:{width}}  {status:10}{notes.get(path, '')}".rstrip())
    if all(status == "COMPLETE" for status in statuses):
        return 0
    print("deflicker: not all exposures were cleaned, see above", file=sys.stderr)
    return 1


def _check(parameters: Mapping[str, Any]) -> None:
    """Refuse parameters that the step does not have, or values that it does not allow."""
    from stpipe.exceptions import ValidationError

    from deflicker.step import CleanFlickerNoiseStep

    try:
        CleanFlickerNoiseStep(**parameters)
    except ValidationError as error:
        raise ValueError(str(error)) from error


def _clean_alone(
    paths: Sequence[Path], parameters: Mapping[str, Any], advance: Callable[[], object]
) -> tuple["Field", dict[Path, str]]:
    """First pass. Return the rates, and why exposures are not among them."""
    from deflicker.errors import CannotClean
    from deflicker.mission.field import Field
    from deflicker.step import CleanFlickerNoiseStep
    from deflicker.utils.threads import count_threads

    field, notes = Field(), {}
    n_threads = count_threads(parameters.get("maximum_cores", "all"))
    for path in paths:
        alone = CleanFlickerNoiseStep.call(str(path), save_results=False, **parameters)
        try:
            field.add(alone, path.name, input_dir=str(path.parent), n_threads=n_threads)
        except CannotClean as reason:
            notes[path] = f"cleaned alone: {reason}"
        alone.close()
        advance()
    return field, notes


def _clean_again(path: Path, folder: Path, parameters: Mapping[str, Any]) -> str:
    """Second pass of an exposure. Return its status."""
    from deflicker.step import CleanFlickerNoiseStep

    cleaned = CleanFlickerNoiseStep.call(
        str(path), save_results=True, output_dir=str(folder), **parameters
    )
    status = str(cleaned.meta.cal_step.clean_flicker_noise)
    cleaned.close()
    return status
