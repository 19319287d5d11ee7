"""The step that stpipe runs: parameters, reference files, products and status."""

import logging
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from astropy.io import fits
from stdatamodels.jwst import datamodels
from stpipe import Pipeline

from deflicker.autoparam.choice import may_choose, resolve_options
from deflicker.cleaning.backgrounds import BACKGROUNDS, fitted_images, uses_template
from deflicker.cleaning.clean import check_input, clean_exposure
from deflicker.errors import CannotClean, NothingToClean
from deflicker.mission.host import MissionStep
from deflicker.mission.product_step import ProductStep
from deflicker.mission.progress import progress
from deflicker.mission.scene_step import SceneInputs, given_path
from deflicker.models.associations import borrowed_models, holds_models, members_of
from deflicker.models.exposure import check_method, exposure_from_model, series_keywords
from deflicker.models.files import check_writing, existing_file, open_model
from deflicker.models.history import expected_result
from deflicker.models.references import read_template
from deflicker.noise.registry import METHODS
from deflicker.options import CleanOptions
from deflicker.scene.draft_masks import MaskMaker
from deflicker.series.median_image import check_same_series, series_template
from deflicker.series.template import Template
from deflicker.storage.on_disk import map_in_place
from deflicker.storage.place import Storage
from deflicker.storage.stored_array import as_array
from deflicker.utils.memory import read_memory_limit
from deflicker.utils.threads import count_threads, share_freed_memory

__all__ = ["CleanFlickerNoiseStep"]

log = logging.getLogger(__name__)


def _choices(registry: Iterable[str | None]) -> str:
    """Values that a parameter may have, as a specification lists them."""
    return ", ".join(repr(name) for name in registry)


class CleanFlickerNoiseStep(ProductStep):
    """Clean flicker (1/f) noise from calibrated ramps, or from rates.

    Runs after the jump step and before the ramp fit. `process` takes a file name or
    an open RampModel, CubeModel or ImageModel and returns a model of the same type
    with ``meta.cal_step.clean_flicker_noise`` set.

    Parameters
    ----------
    *args, **parameters
        As in `stpipe.Step`; the step's own parameters are in its ``spec``.

    Examples
    --------
    ``result = CleanFlickerNoiseStep.call("x_ramp.fits", fit_by_channel=True)``
    """

    class_alias = "clean_flicker_noise"

    spec = f"""
    autoparam = boolean(default=False) # Choose background_method, fit_by_channel, apply_flat_field from the data
    fit_method = option({_choices(METHODS)}, default='median') # Noise model
    fit_by_channel = boolean(default=False) # Fit each detector output (amplifier channel) separately
    background_method = option({_choices(BACKGROUNDS)}, default='median') # Background to remove before the fit
    background_box_size = int_list(min=2, max=2, default=None) # Box of the model background: rows, columns
    mask_science_regions = boolean(default=False) # Mask known science regions
    apply_flat_field = boolean(default=False) # Divide by the flat before fitting and multiply it back
    n_sigma = float(default=2.0) # Clipping level for signal; 0: no outlier rejection
    fit_histogram = boolean(default=False) # Fit a Gaussian to a histogram for centre and sigma
    single_mask = boolean(default=True) # One scene mask, or one for each integration
    user_mask = string(default=None) # File of the mask to use; True (1): use the pixel
    save_mask = boolean(default=False) # Save the scene mask
    save_background = boolean(default=False) # Save the background of each group difference
    save_noise = boolean(default=False) # Save output minus input
    template = string(default=None) # File of the template of the whole series for 'median_image'
    save_template = boolean(default=False) # Save the template that 'median_image' makes
    save_spectrum = boolean(default=False) # Save the spectrum of the noise that 'wiener' measures
    maximum_cores = string(default='all') # Threads: none, quarter, half, all or a number
    memory_limit = string(default='half') # Larger ramps stay on disk: half (of the free memory), none, or a size like '4 GB'
    progress_bar = boolean(default=True) # Show a progress bar on a terminal or in a notebook
    force = boolean(default=False) # Clean a ramp that has been cleaned before
    skip = boolean(default=False) # Skip this step
    output_ext = string(default='.fits') # Output file type
    """  # noqa: E501

    # Reference files are looked up where a parameter asks for them, not by pipelines in advance.
    prefetch_references = False
    text_parameters: ClassVar = (
        *ProductStep.text_parameters,
        "maximum_cores",
        "memory_limit",
        "template",
    )

    def run(self, *args: Any) -> Any:
        """Run the step; a ramp that is larger than memory stays on disk where a file is written.

        Parameters
        ----------
        *args
            Inputs of `process`, or a list of them; or an association (its file or the
            dictionary in it), a container or a library of models, whose science exposures
            are cleaned one by one, or as segments for ``background_method='median_image'``.

        Returns
        -------
        JwstDataModel or list of JwstDataModel
            What `process` returns; with memory-mapped arrays if it stays on disk. For a
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
        limit = read_memory_limit(str(self.memory_limit)) / max(len(args), 1)
        # Hooks may do anything with the arrays.
        writes = self.save_results or self.output_file
        if not writes or self.parent is not None or self.post_hooks or self.output_ext != ".fits":
            limit = math.inf
        by_model = bool(vars(self).get("output_use_model"))
        self.output_use_model = by_model or len(args) > 1
        try:
            with Storage(limit=limit, n_products=self.save_noise + self.save_background) as storage:
                self.storage = storage
                result = super().run(*args)
                for one in result if isinstance(result, list) else [result]:
                    if isinstance(one, datamodels.RampModel):
                        map_in_place(one)
        finally:
            self.storage = Storage()
            self.output_use_model = by_model
        return result

    def _members(self, args: Sequence[Any]) -> Sequence[Any] | None:
        """Exposures of an association; None for other inputs."""
        if len(args) != 1:
            return None
        return members_of(args[0], find=lambda name: str(self.make_input_path(name)))

    def _run_on_collection(self, collection: Any) -> Any:
        """Clean the models of a container or a library, in place for a pipeline."""
        owned = self._in_pipeline()
        with borrowed_models(collection, modify=owned) as models:
            results = self._run_on_members(models)
        return collection if owned else results

    def _run_on_members(self, members: Sequence[Any]) -> list[Any]:
        """Clean the segments of a series, or exposures that have but their list in common."""
        if len(members) > 1 and uses_template(self._options()):
            return self.run(*members)
        settings: dict[str, Any] = {}
        if len(members) > 1:
            if self.output_file:
                log.warning("Several outputs are named after their inputs: output_file is ignored")
            if self.saves_files():
                _check_distinct([
                    one.meta.filename if isinstance(one, datamodels.JwstDataModel) else one.name
                    for one in members
                ])  # fmt: skip
            saves = bool(self.save_results or self.output_file)
            settings = {"save_results": saves, "output_file": None}
        results = []
        with self.settings(**settings):
            for one in members:
                if self.parent is None:
                    self.set_primary_input(one, exclusive=False)  # output is named after it
                results.append(self.run(one))
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
            Of the input's type. Its data are the input's unless the status is COMPLETE.

        Raises
        ------
        ValueError
            If a parameter has a value that is not allowed.
        TypeError
            If the input is none that can be cleaned.
        OSError
            If the input cannot be read or the output folder cannot be written.
        """
        options = self._options()
        if METHODS[options.fit_method].allocates_much:
            share_freed_memory()
        self.references_of.clear()
        self._report_template(options, several=len(inputs) > 1)
        if len(inputs) == 1:
            self.keep_input(inputs[0])
            return self._clean_with_status(self._open(inputs[0]), options)
        if not inputs or not uses_template(options):
            msg = (
                "several inputs are segments of one series, for background_method='median_image'; "
                "clean others one by one"
            )
            raise TypeError(msg if inputs else "there is no input: give a file or a model")
        models = [self._open(one) for one in inputs]
        if self.saves_files():
            self._check_names(inputs, models)
        template: Template | CannotClean | NothingToClean
        try:
            template = self._template_of(models, options)
        except (CannotClean, NothingToClean) as reason:
            template = reason
        return [self._clean_with_status(model, options, template=template) for model in models]

    def _check_names(
        self, inputs: Sequence[Any], models: Sequence[datamodels.JwstDataModel]
    ) -> None:
        """Refuse outputs that would overwrite each other or an input."""
        for one in inputs:
            self.keep_input(one, basepath=one)
        _check_distinct([model.meta.filename for model in models])

    def _report_template(self, options: CleanOptions, *, several: bool) -> None:
        """Name the parameters of templates that do not apply."""
        given = given_path(self.template) is not None
        if not uses_template(options) and (given or self.save_template):
            log.warning(
                "Only 'median_image' has a template: template and save_template are ignored"
            )
        elif given and self.save_template:
            log.warning("The template is given: save_template is ignored")
        if several and self.output_file:
            log.warning("Several outputs are named after their inputs: output_file is ignored")

    def _clean_with_status(
        self,
        model: datamodels.JwstDataModel,
        options: CleanOptions,
        *,
        template: Template | CannotClean | NothingToClean | None = None,
    ) -> datamodels.JwstDataModel:
        """Clean a model, and tell how it went in its header; why not, instead of a template."""
        self.history_entry = ""
        self.chosen = {}
        self._reference_files_used.clear()
        log.info("Cleaning %s", model.meta.filename or f"a {type(model).__name__}")
        try:
            if isinstance(template, Exception):
                raise template
            done = self._is_clean(model)
            status = "COMPLETE" if done else self._clean(model, options, template=template)
        except NothingToClean as reason:
            log.warning("SKIPPED, the data stay as they are: %s", reason)
            status = "SKIPPED"
        except CannotClean as reason:
            log.warning("FAILED, the data stay as they are: %s", reason)
            status = "FAILED"
        if status != "COMPLETE":
            self._reference_files_used.clear()  # they had no part in the output
            if model.meta.cal_step.clean_flicker_noise == "COMPLETE":
                status = "COMPLETE"  # an earlier cleaning stays true
        model.meta.cal_step.clean_flicker_noise = status
        self.references_of[id(model)] = list(self._reference_files_used)
        return model

    def _template_of(
        self,
        models: Sequence[datamodels.JwstDataModel],
        options: CleanOptions,
        scene: SceneInputs | None = None,
    ) -> Template:
        """Template of all segments of a series, given or made; saved if that is wanted."""
        exposures = [fitted_images(exposure_from_model(model), options) for model in models]
        for model in models:
            check_method(model, self.fit_method)
        segments = [
            (model.meta.filename or f"input {k}", series_keywords(model))
            for k, model in enumerate(models, 1)
        ]
        check_same_series(segments)
        scene = scene or self.scene_inputs(models[0])
        for exposure in exposures:
            check_input(exposure, options, scene.user_mask)
        path = given_path(self.template)
        if path is not None:
            template = read_template(self.existing_path(path))
            check_same_series([*segments, (f"template {path}", template.keywords)])
            return template
        maker = MaskMaker(
            exposure=exposures[0],
            options=options,
            flat=scene.flat if self.apply_flat_field else None,
            science=scene.science,
        )
        template = series_template(exposures, maker, user_mask=scene.user_mask)
        if self.save_template:
            self.save_template_of(models[0], template)
        return template

    def _is_clean(self, model: datamodels.JwstDataModel) -> bool:
        """Whether a model needs no cleaning because it has had one."""
        if model.meta.cal_step.clean_flicker_noise != "COMPLETE":
            return False
        if isinstance(model, datamodels.RampModel) and not self.force:
            log.warning(
                "The ramp has been cleaned before and stays as it is; force=True cleans it again"
            )
            return True
        log.info("The input has been cleaned before: this is the second time")
        return False

    def _options(self) -> CleanOptions:
        """Validate the parameters."""
        method = self.background_method
        box = self.background_box_size
        return CleanOptions(
            fit_method=self.fit_method,
            fit_by_channel=self.fit_by_channel,
            background_method=None if str(method).lower() == "none" else method,
            background_box_size=None if box is None else tuple(box),
            n_sigma=self.n_sigma,
            fit_histogram=self.fit_histogram,
            single_mask=self.single_mask,
            save_background=self.save_background,
            save_noise=self.save_noise,
            n_threads=count_threads(self.maximum_cores),
        )

    def _open(self, input_data: Any) -> datamodels.JwstDataModel:
        """Open a file, or copy an open model unless a pipeline owns it."""
        if isinstance(input_data, str | Path):
            model = self.storage.open(
                existing_file(self.make_input_path(str(input_data)), what="input file"),
                opener=open_model,
                output=lambda: Path(self.make_output_path(basepath=self.output_file)),
            )
        elif isinstance(input_data, datamodels.JwstDataModel):
            model = input_data if self._in_pipeline() else input_data.copy()
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

    def _in_pipeline(self) -> bool:
        """Whether a pipeline owns the input, and not the user."""
        ancestor = self.parent
        while ancestor is not None and not isinstance(ancestor, Pipeline):
            ancestor = ancestor.parent
        return ancestor is not None

    def _clean(
        self, model: datamodels.JwstDataModel, options: CleanOptions, *, template: Template | None
    ) -> str:
        """Clean a model in place, save the products and return the status."""
        exposure = fitted_images(exposure_from_model(model), options)
        check_method(model, self.fit_method)
        chooses = self.autoparam and may_choose(options, exp_type=model.meta.exposure.type)
        if self.save_spectrum and not METHODS[self.fit_method].measures_spectrum:
            able = [f"fit_method={name!r}" for name in METHODS if METHODS[name].measures_spectrum]
            log.warning("Only %s measures a spectrum: save_spectrum is ignored", " or ".join(able))
        scene = self.scene_inputs(
            model, may_divide=chooses and "apply_flat_field" not in self.given
        )
        if chooses:
            given = self.given.union(["apply_flat_field"] if self.apply_flat_field else [])
            options, self.chosen = resolve_options(
                exposure, options, flat=scene.flat, user_mask=scene.user_mask, given=given
            )
            if not self.chosen["apply_flat_field"]:
                self._reference_files_used.clear()
        if template is None and uses_template(options):
            template = self._template_of([model], options, scene)
        n_fits = exposure.n_integrations * exposure.n_differences
        with progress(n_fits, wanted=self.progress_bar) as advance:
            result = clean_exposure(
                exposure,
                options,
                flat=scene.flat if self.used_parameters()["apply_flat_field"] else None,
                science=scene.science,
                user_mask=scene.user_mask,
                template=template,
                out=self.storage.output(
                    model,
                    exposure,
                    history=lambda: self.history(expected_result(exposure), unit="DN"),
                    advance=advance,
                ),
            )
        stays = isinstance(result.data, np.ndarray) and np.shares_memory(result.data, model.data)
        if not stays:
            model.data = as_array(result.data, model.data.shape)
        model.meta.cal_step.clean_flicker_noise = "COMPLETE"
        self.write_history(model, result)
        self.save_products(model, result)
        return "COMPLETE"


def _is_list(item: Any) -> bool:
    """Whether an input is a list of inputs; an open FITS file is a list too, of extensions."""
    return isinstance(item, list | tuple) and not isinstance(item, fits.HDUList)


def _check_distinct(names: Sequence[str | None]) -> None:
    """Refuse outputs that would overwrite each other."""
    stems = [name and MissionStep.remove_suffix(Path(name).stem)[0] for name in names]
    if None in stems or len(set(stems)) < len(stems):
        msg = (
            "the outputs of several inputs are named after meta.filename (FITS keyword "
            f"FILENAME), and would overwrite each other: {', '.join(map(str, stems))}; rename "
            "the inputs"
        )
        raise OSError(msg)
