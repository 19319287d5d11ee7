"""Steps of other packages, found in the registry of stpipe and run."""

from stdatamodels.jwst import datamodels
from stpipe import Step
from stpipe.entry_points import get_steps
from stpipe.utilities import import_class

from deflicker.errors import CannotClean
from deflicker.mission.reference_lookup import crds_lookup

__all__ = ["find_step", "run_step"]


def find_step(*aliases: str) -> type[Step] | None:
    """Find a step in the registry of stpipe.

    Parameters
    ----------
    *aliases : str
        Names under which it may be registered.

    Returns
    -------
    type of stpipe.Step, or None
        The step; that of jwst if several packages have one. None if it is not installed.
    """
    found = [info for info in get_steps() if info.class_alias in aliases]
    found.sort(key=lambda info: info.package_name != "jwst")
    return import_class(found[0].class_name, Step) if found else None


def run_step(
    step: type[Step], model: datamodels.JwstDataModel, *, input_dir: str = ""
) -> datamodels.JwstDataModel:
    """Run the step of another package.

    Parameters
    ----------
    step : type of stpipe.Step
        The step, run with its own default parameters.
    model : JwstDataModel
        Its input, which it may change.
    input_dir : str, optional
        Folder in which it looks for auxiliary files.

    Returns
    -------
    JwstDataModel
        Its output.

    Raises
    ------
    CannotClean
        If the step fails, with its reason.
    """
    try:
        with crds_lookup():
            instance = step()
            instance.input_dir = input_dir
            return _run_to_the_end(instance, model)
    except Exception as error:
        msg = (
            f"{step.class_alias} failed: {str(error) or type(error).__name__}; mend that, give "
            "user_mask, or run without mask_science_regions"
        )
        raise CannotClean(msg) from error


def _run_to_the_end(step: Step, model: datamodels.JwstDataModel) -> datamodels.JwstDataModel:
    try:
        return step.run(model)
    except SystemExit as error:
        msg = f"it ended the process ({error.code}), as crds does without server and cache"
        raise RuntimeError(msg) from error
