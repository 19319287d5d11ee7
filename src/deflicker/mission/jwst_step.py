"""A stpipe step that follows the conventions of the JWST pipeline, without the jwst package."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from stdatamodels.jwst import datamodels
from stpipe import Step, crds_client

from deflicker.mission import names
from deflicker.mission.reference_lookup import (
    ReferenceMissingError,
    ReferenceUnavailableError,
    crds_lookup,
)
from deflicker.mission.stpipe_seam import (
    ConfigObj,
    ValidationError,
    copy_for_one_run,
    input_name,
    keep_log_records,
    load_config_file,
    looks_up_parameters,
    names_from_command_line,
)
from deflicker.models.files import check_folder, read_crds_parameters, refuse_address, write_whole

__all__ = ["JwstStep"]

log = logging.getLogger(__name__)


def _plain(value: Any) -> Any:
    """Convert numbers and arrays of numpy to numbers and lists of Python."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if type(value) in {list, tuple}:
        return type(value)(_plain(one) for one in value)
    return value


class JwstStep(Step):
    """A step with the names, files and CRDS parameters of the JWST mission.

    Parameters
    ----------
    *args, **parameters
        As in `stpipe.Step`.
    """

    text_parameters: ClassVar[tuple[str, ...]] = ("input_dir", "output_dir", "output_file")
    # Parameters that the user set by name, even if to their defaults. Parameters from files and
    # pipelines are not included: files list all parameters, whether the user chose them or not.
    given: frozenset[str] = frozenset()

    def __init__(self, *args: Any, **parameters: Any) -> None:
        with self._allowed_values_in_errors():
            super().__init__(*args, **self._texts(parameters))
        if parameters.get("_validate_kwds", True):
            self.given = frozenset(parameters)

    @classmethod
    def _texts(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Values as stpipe needs them: no numpy types, and text for parameters of text."""
        plain = {name: _plain(value) for name, value in parameters.items()}
        return {
            name: str(value)
            if name in cls.text_parameters and isinstance(value, Path | int)
            else value
            for name, value in plain.items()
        }

    @classmethod
    def from_config_file(
        cls, config_file: Any, parent: Step | None = None, name: str | None = None
    ) -> Step:
        """Make a step from a parameter file, also one for another package's step of this name.

        Parameters
        ----------
        config_file, parent, name
            As in `stpipe.Step.from_config_file`.

        Returns
        -------
        JwstStep
            The step.

        Raises
        ------
        TypeError
            If the file is for a step of another name.
        """
        config = load_config_file(config_file)
        if config.pop("class", "").rpartition(".")[2] != cls.__name__:
            return super().from_config_file(config_file, parent=parent, name=name)
        name = name or config.pop("name", None) or cls.__name__
        config.pop("name", None)
        return cls.from_config_section(config, parent=parent, name=name)

    @classmethod
    def build_config(cls, *args: Any, **parameters: Any) -> tuple[ConfigObj, str | None]:
        """Collect parameters from CRDS, a parameter file and keywords.

        Parameters
        ----------
        *args, **parameters
            As in `stpipe.Step.build_config`.

        Returns
        -------
        config, config_file : ConfigObj, str or None
            Parameters, with the names of the keywords in ``given``, and the parameter file.
        """
        config, config_file = super().build_config(*args, **parameters)
        config.given = frozenset(parameters)
        return config, config_file

    @classmethod
    def from_config_section(cls, *args: Any, **options: Any) -> Step:
        """Make a step from parameters.

        Parameters
        ----------
        *args, **options
            As in `stpipe.Step.from_config_section`.

        Returns
        -------
        JwstStep
            The step.

        Raises
        ------
        ValidationError
            If a value is not allowed; the message gives the parameter, its value and the
            allowed values.
        """
        config, *others = args
        config.update(cls._texts(config))
        typed = names_from_command_line(config)
        with cls._allowed_values_in_errors():
            step = super().from_config_section(config, *others, **options)
        step.given = typed.union(getattr(config, "given", ()))
        return step

    @classmethod
    @contextmanager
    def _allowed_values_in_errors(cls) -> Iterator[None]:
        try:
            yield
        except ValidationError as error:
            spec = cls.load_spec_file()
            allowed = [f"{name} = {spec[name]}" for name in spec if f"'{name}'" in str(error)]
            msg = f"{error} Allowed: {'; '.join(allowed)}" if allowed else str(error)
            raise ValidationError(msg) from error

    def saves_files(self) -> bool:
        """Whether the step is to write a file.

        Returns
        -------
        bool
            True if the output is to be saved.
        """
        return bool(self.save_results or self.output_file)

    def run(self, *args: Any) -> Any:
        """Run a copy of the step, after checking that the output folder can be written.

        stpipe keeps the state of a run on the step. With a copy for each run, a step can be used
        several times, and by several threads.

        Parameters
        ----------
        *args
            Inputs of `process`.

        Returns
        -------
        JwstDataModel
            Result of `process`.

        Raises
        ------
        OSError
            If a file is to be saved and the folder cannot be written.
        """
        run = self.for_one_run()
        try:
            return run.run_itself(*args)
        finally:
            keep_log_records(self, run)

    def for_one_run(self, **attributes: Any) -> Self:
        """Copy of the step that one run may change.

        Parameters
        ----------
        **attributes
            Other values for the copy, by name.

        Returns
        -------
        JwstStep
            The copy, with text for parameters of text.
        """
        known = {*self.load_spec_file(), *self.text_parameters}
        given = {name: value for name, value in vars(self).items() if name in known}
        return copy_for_one_run(self, **{**self._texts(given), **attributes})

    def run_itself(self, *args: Any) -> Any:
        """Run this step itself, which stpipe changes, and not a copy.

        Parameters
        ----------
        *args
            Inputs of `process`.

        Returns
        -------
        JwstDataModel
            Result of `process`.
        """
        if self.saves_files():
            folder = self.search_attr("output_dir", default="") or "."
            check_folder(Path(os.path.expandvars(folder)).expanduser())
        return super().run(*args)

    def keep_input(self, input_data: Any, *, basepath: str | Path | None = None) -> None:
        """Refuse to overwrite the input.

        Parameters
        ----------
        input_data : str, pathlib.Path or JwstDataModel
            Input of `process`.
        basepath : str or pathlib.Path, optional
            File after which the output is named; ``output_file`` or the first input by default.

        Raises
        ------
        OSError
            If the output file would be the input file.
        """
        if not (self.save_results and isinstance(input_data, str | Path)):
            return
        source = Path(self.make_input_path(str(input_data)))
        name = self.output_file if basepath is None else Path(basepath).name
        target = Path(self.make_output_path(basepath=name))
        if source.exists() and target.resolve() == source.resolve():
            msg = f"the output would overwrite the input {source}: give a suffix or an output_dir"
            raise OSError(msg)

    def save_model(
        self,
        model: Any,
        suffix: str | None = None,
        idx: int | None = None,
        output_file: str | None = None,
        *,
        force: bool = False,
        **components: Any,
    ) -> Any:
        """Save a model under the name that stpipe gives it, whole or not at all.

        Parameters
        ----------
        model : JwstDataModel
            The model.
        suffix, idx, output_file, force, **components
            As in `stpipe.Step.save_model`.

        Returns
        -------
        str or None
            Path of the file; None if no file was to be saved.
        """
        name = output_file or self.output_file
        if not (force or self.save_results or name):
            return None
        follows_input = self.search_output_file and input_name(self) is not None
        if self.output_use_model or (name is None and not follows_input):
            name, idx = model.meta.filename, None
        if suffix is None and self.suffix is None:
            suffix = self.default_suffix()
        path = self.make_output_path(basepath=name, suffix=suffix, idx=idx, **components)
        write_whole(model, Path(path))
        log.info("Saved %s", path)
        return path

    def get_reference_file(self, input_file: Any, reference_file_type: str) -> str:
        """Path of a reference file, given or from CRDS.

        Parameters
        ----------
        input_file, reference_file_type
            As in `stpipe.Step.get_reference_file`.

        Returns
        -------
        str
            The path.

        Raises
        ------
        FileNotFoundError
            If the override is the address of a remote file.
        """
        override = getattr(self, f"override_{reference_file_type}", None)
        if isinstance(override, str | Path):
            refuse_address(override, what=f"override_{reference_file_type}")
        return super().get_reference_file(input_file, reference_file_type)

    def default_suffix(self) -> str:
        """Suffix of the cleaned file.

        Returns
        -------
        str
            The alias of the class, whatever alias the step was started with.
        """
        return self.class_alias

    @staticmethod
    def remove_suffix(name: str) -> tuple[str, str]:
        """Remove a known suffix from a name.

        Parameters
        ----------
        name : str
            File name without extension.

        Returns
        -------
        name, separator : str
            Name without suffix, and the character before the suffix.
        """
        return names.remove_suffix(name)

    @staticmethod
    def get_stpipe_loggers() -> tuple[str, ...]:
        """Loggers that stpipe configures.

        Returns
        -------
        tuple of str
            Their names.
        """
        return ("deflicker", "stdatamodels", "stpipe", "CRDS", "py.warnings")

    @classmethod
    def _datamodels_open(cls, init: Any, **kwargs: Any) -> datamodels.JwstDataModel:
        return datamodels.open(init, **kwargs)

    @classmethod
    def _get_crds_parameters(cls, dataset: Any) -> tuple[dict[str, Any], str]:
        """Metadata that CRDS needs, read without the arrays; none if the file is unreadable."""
        if isinstance(dataset, list | tuple):
            dataset = dataset[0] if dataset else ""  # all segments are from one instrument
        if isinstance(dataset, datamodels.JwstDataModel):
            return dataset.get_crds_parameters(), "jwst"
        return read_crds_parameters(dataset), "jwst"

    @classmethod
    def get_config_from_reference(  # the signature is stpipe's
        cls,
        dataset: Any,
        disable: bool | None = None,  # noqa: FBT001
        crds_observatory: str | None = None,  # noqa: ARG003
    ) -> ConfigObj:
        """Parameters of this step from CRDS; without CRDS the defaults, with a warning.

        Parameters
        ----------
        dataset : str, pathlib.Path, JwstDataModel or dict
            The input, or its CRDS parameters.
        disable : bool, optional
            Do not ask CRDS; by default the environment decides (STPIPE_DISABLE_CRDS_STEPPARS).
        crds_observatory : str, optional
            Not used: it is always jwst.

        Returns
        -------
        ConfigObj
            Parameters; empty if there are none.
        """
        if not looks_up_parameters(disable):
            return ConfigObj()
        parameters = dataset if isinstance(dataset, dict) else cls._get_crds_parameters(dataset)[0]
        if not parameters:
            return ConfigObj()
        reftype = cls.get_config_reftype()
        try:
            with crds_lookup():
                path = crds_client.get_reference_file(parameters, reftype, "jwst")
        except ReferenceMissingError:
            return ConfigObj()
        except ReferenceUnavailableError as error:
            log.warning("Default parameters are used, none could be looked up: %s", error)
            return ConfigObj()
        if path == "N/A":
            return ConfigObj()
        log.info("Parameters from %s", path)
        return load_config_file(path)
