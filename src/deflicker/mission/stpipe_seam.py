"""Uses of stpipe's steps beyond their documented interface.

`JwstStep` also overrides two private hooks, ``_datamodels_open`` and ``_get_crds_parameters``,
in the same way as the packages of missions that use stpipe. The registry of steps is read in
`deflicker.mission.other_steps`, and CRDS is asked in `deflicker.mission.reference_lookup`.
"""

import copy
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from stpipe import Pipeline, Step
from stpipe.config_parser import ConfigObj, ValidationError, load_config_file
from stpipe.step import get_disable_crds_steppars

__all__ = [
    "ConfigObj",
    "ValidationError",
    "belongs_to_pipeline",
    "copy_for_one_run",
    "find_reference_file",
    "input_name",
    "keep_log_records",
    "load_config_file",
    "looks_up_parameters",
    "names_from_command_line",
]

AnyStep = TypeVar("AnyStep", bound=Step)

# Type of the values that `stpipe.cmdline` takes from the command line.
COMMAND_LINE: Final = "FromCommandLine"


def copy_for_one_run(step: AnyStep, **attributes: Any) -> AnyStep:
    """Copy a step, so that stpipe keeps the state of a run on the copy.

    While a step runs, stpipe changes its parameters (``skip``, ``suffix``, ``save_results``)
    and keeps the name of its input and its reference files on it.

    Parameters
    ----------
    step : Step
        Any step.
    **attributes
        Other values for the copy, by name.

    Returns
    -------
    Step
        The copy, with the same hooks and the same parent.
    """
    one = copy.copy(step)
    vars(one).update(_reference_files_used=[], **attributes)
    for name in ("_pre_hooks", "_post_hooks"):
        vars(one)[name] = [_adopted(hook, step, one) for hook in getattr(step, name)]
    return one


def _adopted(hook: Any, step: Step, run: Step) -> Any:
    """Copy a hook that belongs to a step, for the copy of that step; hooks of users stay."""
    if getattr(hook, "parent", None) is not step:
        return hook
    one = copy.copy(hook)
    one.parent = run
    return one


def keep_log_records(step: Step, run: Step) -> None:
    """Give a step the log records of its last run, for ``Step.log_records``.

    Parameters
    ----------
    step : Step
        The step; changed.
    run : Step
        Its copy for that run.
    """
    vars(step).update(_log_records=run.log_records)


def find_reference_file(step: Step, model: Any, kind: str) -> tuple[Any, str | None]:
    """Look up a reference file, and its name for headers.

    Parameters
    ----------
    step : Step
        Step whose ``override_`` parameters apply.
    model : JwstDataModel
        The exposure.
    kind : str
        Type of reference file.

    Returns
    -------
    found : str or JwstDataModel
        Path of the file, or the model that the user gave.
    name : str or None
        Name for the header; None if there is none.
    """
    asking = copy_for_one_run(step)
    found = asking.get_reference_file(model, kind)
    names = [name for _, name in vars(asking)["_reference_files_used"]]
    return found, names[-1] if names else None


def input_name(step: Step) -> str | None:
    """Name of the input after which stpipe names the outputs of a step.

    Parameters
    ----------
    step : Step
        Any step.

    Returns
    -------
    str or None
        None before stpipe has set it.
    """
    return step.search_attr("_input_filename")


def belongs_to_pipeline(step: Step) -> bool:
    """Whether a pipeline, and not the user, owns the input of a step.

    Parameters
    ----------
    step : Step
        Any step.

    Returns
    -------
    bool
        True for a step of a pipeline, and for a hook of such a step.
    """
    ancestor = step.parent
    while ancestor is not None and not isinstance(ancestor, Pipeline):
        ancestor = ancestor.parent
    return ancestor is not None


def looks_up_parameters(disable: bool | None) -> bool:  # noqa: FBT001 - as stpipe hands it on
    """Whether parameters are to be looked up in CRDS.

    Parameters
    ----------
    disable : bool or None
        Choice of the caller; None to follow the environment
        (``STPIPE_DISABLE_CRDS_STEPPARS``).

    Returns
    -------
    bool
        False if that is switched off.
    """
    return not (get_disable_crds_steppars() if disable is None else disable)


def names_from_command_line(config: Mapping[str, Any]) -> frozenset[str]:
    """Names of the parameters that were given on the command line.

    Parameters
    ----------
    config : mapping
        Parameters of a step, as stpipe passes them to ``from_config_section``.

    Returns
    -------
    frozenset of str
        The names.
    """
    return frozenset(k for k, value in config.items() if type(value).__name__ == COMMAND_LINE)
