"""The step that stpipe runs: its parameters, inputs and settings for stpipe; no numerics."""

import logging
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from astropy.io import fits
from stdatamodels.jwst import datamodels

from deflicker.cleaning.backgrounds import BACKGROUNDS, uses_template
from deflicker.mission.cleaning_run import CleaningRun, Outcome
from deflicker.mission.jwst_step import JwstStep
from deflicker.mission.names import check_distinct, given_path
from deflicker.mission.products import ProductWriter
from deflicker.mission.scene_inputs import SceneReader
from deflicker.mission.stpipe_seam import (
    belongs_to_pipeline,
    find_reference_file,
    keep_log_records,
)
from deflicker.models.associations import borrowed_models, holds_models, members_of
from deflicker.models.files import check_writing, existing_file, open_model
from deflicker.noise.registry import AUTO, METHODS
from deflicker.options import CleanOptions
from deflicker.parameters import PARAMETERS, specification
from deflicker.storage.on_disk import map_in_place
from deflicker.storage.place import Storage
from deflicker.utils.memory import read_memory_limit
from deflicker.utils.threads import count_threads, share_freed_memory

__all__ = ["CleanFlickerNoiseStep"]

log = logging.getLogger(__name__)


def _keep_nothing(outcome: Outcome, /) -> None:
    """Ignore an outcome."""


class CleanFlickerNoiseStep(JwstStep):
    """Clean flicker (1/f) noise from calibrated ramps, or from rates.

    It runs after the jump step and before the ramp fit. `process` takes a file name or
    an open RampModel, CubeModel or ImageModel and returns a model of the same type
    with ``meta.cal_step.clean_flicker_noise`` set. A step can be used several times, and by
    several threads at the same time.

    Parameters
    ----------
    *args, **parameters
        As in `stpipe.Step`; the step's own parameters are in its ``spec``.

    Attributes
    ----------
    on_outcome : callable
        Called with the `Outcome` of each input; does nothing by default.

    Examples
    --------
    ``result = CleanFlickerNoiseStep.call("x_ramp.fits", fit_by_channel=True)``
    """

    class_alias = "clean_flicker_noise"
    spec = specification({"fit_method": [AUTO, *METHODS], "background_method": BACKGROUNDS})
    reference_file_types: ClassVar = ["flat", "pastasoss"]
    # A pipeline must not look up reference files in advance: the step needs them only if a
    # parameter asks for them.
    prefetch_references = False
    text_parameters: ClassVar = (
        *JwstStep.text_parameters,
        "override_flat",
        "override_pastasoss",
        "user_mask",
        "scene_image",
        "scene_wcs",
        "maximum_cores",
        "memory_limit",
        "template",
    )

    def __init__(self, *args: Any, **parameters: Any) -> None:
        super().__init__(*args, **parameters)
        self.on_outcome: Callable[[Outcome], object] = _keep_nothing
        # Where the arrays of a run are; set only on the copy of the step that makes the run.
        self.storage: Storage | None = None

    def run(self, *args: Any) -> Any:
        """Run the step; if a file is written, a ramp larger than ``memory_limit`` stays on disk.

        Parameters
        ----------
        *args
            Inputs of `process`, or a list of them; or an association (its file or the
            dictionary in it), a container or a library of models, whose science exposures
            are cleaned one by one, or as segments for ``background_method='median_image'``.

        Returns
        -------
        JwstDataModel or list of JwstDataModel
            Result of `process`; with memory-mapped arrays if the ramp stays on disk. For a
            collection a list, and within a pipeline the collection itself.

        Raises
        ------
        ValueError
            If ``memory_limit`` has a value that is not allowed.
        """
        skips = self.skip and self.parent is not None
        if len(args) == 1 and holds_models(args[0]) and not skips:
            return self._run_on_collection(args[0])
        members = self._members(args)
        if members is not None:
            return self._run_on_members(members)
        if len(args) == 1 and _is_list(args[0]):
            args = tuple(args[0])
            if len(args) == 1 or skips:
                return [self.run(one) for one in args]
        return self._run_together(args)

    def _run_together(self, inputs: Sequence[Any]) -> Any:
        """Let stpipe run a copy of the step on one input, or on the segments of a series."""
        limit = read_memory_limit(str(self.memory_limit)) / max(len(inputs), 1)
        # Hooks may do anything with the arrays, so these are kept in memory if there are hooks.
        writes = self.save_results or self.output_file
        if not writes or self.parent is not None or self.post_hooks or self.output_ext != ".fits":
            limit = math.inf
        by_model = bool(vars(self).get("output_use_model"))
        run = self.for_one_run(output_use_model=by_model or len(inputs) > 1)
        try:
            with Storage(limit=limit, n_products=self.save_noise + self.save_background) as storage:
                run.storage = storage
                result = run.run_itself(*inputs)
                for one in result if isinstance(result, list) else [result]:
                    if isinstance(one, datamodels.RampModel):
                        map_in_place(one)
        finally:
            keep_log_records(self, run)
        return result

    def _members(self, args: Sequence[Any]) -> Sequence[Any] | None:
        """Exposures of an association; None for other inputs."""
        if len(args) != 1:
            return None
        return members_of(args[0], find=lambda name: str(self.make_input_path(name)))

    def _run_on_collection(self, collection: Any) -> Any:
        """Clean the models of a container or a library, in place for a pipeline."""
        owned = belongs_to_pipeline(self)
        with borrowed_models(collection, modify=owned) as models:
            results = self._run_on_members(models)
        return collection if owned else results

    def _run_on_members(self, members: Sequence[Any]) -> list[Any]:
        """Clean the segments of one series together, or independent exposures one by one."""
        if len(members) > 1 and uses_template(self._options()):
            return self.run(*members)
        settings: dict[str, Any] = {}
        if len(members) > 1:
            if self.output_file:
                log.warning("Several outputs are named after their inputs: output_file is ignored")
            if self.saves_files():
                check_distinct([
                    one.meta.filename if isinstance(one, datamodels.JwstDataModel) else one.name
                    for one in members
                ])  # fmt: skip
            saves = bool(self.save_results or self.output_file)
            settings = {"save_results": saves, "output_file": None}
        results = []
        for one in members:
            run = self.for_one_run(**settings)
            if self.parent is None:
                run.set_primary_input(one, exclusive=False)  # output is named after it
            results.append(run.run(one))
            keep_log_records(self, run)
        return results

    def process(self, *inputs: Any) -> Any:
        """Clean one exposure, or the segments of a series.

        Parameters
        ----------
        *inputs : str, pathlib.Path or JwstDataModel
            Files or open models; several are segments of one series for
            ``background_method='median_image'``. An open model is not changed, unless the step
            runs inside a pipeline.

        Returns
        -------
        JwstDataModel or list of JwstDataModel
            Of the input's type. Its data equal the input's unless the status is COMPLETE.

        Raises
        ------
        ValueError
            If a parameter has a value that is not allowed.
        TypeError
            If the input is not of a type that can be cleaned.
        OSError
            If the input cannot be read or the output folder cannot be written.
        """
        storage = self.storage or Storage()
        options = self._options()
        if options.fit_method == AUTO or METHODS[options.fit_method].allocates_much:
            share_freed_memory()
        self._report_template(options, several=len(inputs) > 1)
        run = self._cleaning_run(options, storage)
        if len(inputs) == 1:
            self.keep_input(inputs[0])
            outcomes = [run.clean(self._open(inputs[0], storage))]
        else:
            outcomes = run.clean_segments(self._open_segments(inputs, options, storage))
        for outcome in outcomes:
            self.on_outcome(outcome)
        return outcomes[0].model if len(inputs) == 1 else [one.model for one in outcomes]

    def _open_segments(
        self, inputs: Sequence[Any], options: CleanOptions, storage: Storage
    ) -> list[datamodels.JwstDataModel]:
        """Open the segments; refuse outputs that would overwrite each other or an input."""
        if not inputs or not uses_template(options):
            msg = (
                "several inputs are segments of one series, for background_method='median_image'; "
                "clean others one by one"
            )
            raise TypeError(msg if inputs else "there is no input: give a file or a model")
        models = [self._open(one, storage) for one in inputs]
        if self.saves_files():
            for one in inputs:
                self.keep_input(one, basepath=one)
            check_distinct([model.meta.filename for model in models])
        return models

    def _cleaning_run(self, options: CleanOptions, storage: Storage) -> CleaningRun:
        """Pass the values of the parameters to the objects that use them."""
        return CleaningRun(
            options=options,
            parameters=self._parameters(),
            given=self.given,
            scene=SceneReader(
                user_mask=self.user_mask,
                scene_image=self.scene_image,
                scene_wcs=self.scene_wcs,
                mask_science_regions=self.mask_science_regions,
                apply_flat_field=self.apply_flat_field,
                gives_flat=self.override_flat is not None,
                input_dir=self.search_attr("input_dir", default=""),
                find_file=self._find_file,
                find_reference=partial(find_reference_file, self),
            ),
            products=ProductWriter(
                mask=self.save_mask,
                spectrum=self.save_spectrum,
                template=self.save_template,
                save_model=self.save_model,
                output_path=self.make_output_path,
            ),
            storage=storage,
        )

    def _parameters(self) -> dict[str, Any]:
        """Values of the step's parameters; stpipe does not list those that a subclass inherits."""
        names = [one.name for one in PARAMETERS.values() if one.kind != "reference"]
        inherited = {name: getattr(self, name) for name in names}
        return {**inherited, **self.get_pars(full_spec=False)}

    def _find_file(self, path: str) -> str:
        """Path of a file, here or in the input folder."""
        return path if Path(path).is_file() else self.make_input_path(path)

    def _report_template(self, options: CleanOptions, *, several: bool) -> None:
        """Warn of parameters that do not apply to this use of a template."""
        given = given_path(self.template) is not None
        if not uses_template(options) and (given or self.save_template):
            log.warning(
                "Only 'median_image' has a template: template and save_template are ignored"
            )
        elif given and self.save_template:
            log.warning("The template is given: save_template is ignored")
        if several and self.output_file:
            log.warning("Several outputs are named after their inputs: output_file is ignored")

    def _options(self) -> CleanOptions:
        """Validated options from the parameters."""
        method = self.background_method
        box = self.background_box_size
        return CleanOptions(
            fit_method=self.fit_method,
            fit_by_channel=self.fit_by_channel,
            background_method=None if str(method).lower() == "none" else method,
            background_box_size=None if box is None else tuple(box),
            n_sigma=self.n_sigma,
            fit_histogram=self.fit_histogram,
            guard_light=self.guard_light,
            single_mask=self.single_mask,
            save_background=self.save_background,
            save_noise=self.save_noise,
            n_threads=count_threads(self.maximum_cores),
        )

    def _open(self, input_data: Any, storage: Storage) -> datamodels.JwstDataModel:
        """Open a file, or copy an open model unless a pipeline owns it."""
        if isinstance(input_data, str | Path):
            model = storage.open(
                existing_file(self.make_input_path(str(input_data)), what="input file"),
                opener=open_model,
                output=lambda: Path(self.make_output_path(basepath=self.output_file)),
            )
        elif isinstance(input_data, datamodels.JwstDataModel):
            model = input_data if belongs_to_pipeline(self) else input_data.copy()
            if self.save_results or self.output_file:
                check_writing(model)
        else:
            kind = type(input_data).__name__
            msg = (
                f"the input must be a file name or a JWST data model, not {kind}; write it to a "
                "file, or put its arrays into a RampModel, CubeModel or ImageModel"
            )
            raise TypeError(msg)
        if isinstance(model, datamodels.ReferenceFileModel):
            msg = f"the input is a reference file ({type(model).__name__}), not an exposure"
            raise TypeError(msg)
        return model

    def saves_files(self) -> bool:
        """Whether the step is to write any file.

        Returns
        -------
        bool
            True if the output or a product is to be saved.
        """
        products = ("mask", "background", "noise", "spectrum", "template")
        return super().saves_files() or any(getattr(self, f"save_{name}") for name in products)


def _is_list(item: Any) -> bool:
    """Whether an input is a list of inputs; an open FITS file is a list too, but of extensions."""
    return isinstance(item, list | tuple) and not isinstance(item, fits.HDUList)
