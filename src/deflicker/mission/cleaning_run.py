"""One run: cleans the inputs, and reports the outcome of each."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from stdatamodels.jwst import datamodels

from deflicker.autoparam.choice import may_choose, resolve_options
from deflicker.cleaning.automatic import choose_method
from deflicker.cleaning.backgrounds import fitted_images, uses_template
from deflicker.cleaning.clean import check_input, clean_exposure
from deflicker.cleaning.result import CleanResult
from deflicker.errors import CannotClean, NothingToClean
from deflicker.mission.names import given_path
from deflicker.mission.products import ProductWriter
from deflicker.mission.progress import progress
from deflicker.mission.reference_lookup import record_references
from deflicker.mission.scene_inputs import SceneInputs, SceneReader
from deflicker.models.exposure import (
    check_method,
    exposure_from_model,
    series_keywords,
    unit_of,
)
from deflicker.models.history import expected_result, history_text, record_history
from deflicker.models.references import read_template
from deflicker.noise.registry import METHODS
from deflicker.options import CleanOptions
from deflicker.ramps.exposure import Exposure
from deflicker.scene.draft_masks import MaskMaker
from deflicker.series.median_image import check_same_series, series_template
from deflicker.series.template import Template
from deflicker.storage.place import Storage
from deflicker.storage.stored_array import as_array

__all__ = ["CleaningRun", "Outcome"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of cleaning one input.

    Parameters
    ----------
    model : JwstDataModel
        The output.
    status : str
        COMPLETE, SKIPPED or FAILED, for this run. The header of a model that had been cleaned
        before says COMPLETE in any case, because that cleaning is still valid.
    reason : str, optional
        Why nothing was cleaned; empty if the model was cleaned.
    references : tuple of tuple, optional
        Type and name of each reference file that was used for the output.
    history : str, optional
        Text about the cleaning in the header.
    chosen : mapping, optional
        Values of the parameters that ``autoparam`` chose, by name.
    """

    model: datamodels.JwstDataModel
    status: str
    reason: str = ""
    references: tuple[tuple[str, str], ...] = ()
    history: str = ""
    chosen: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CleaningRun:
    """Cleans open models with the parameters of a step.

    Parameters
    ----------
    options : CleanOptions
        How to clean.
    parameters : mapping
        Values of the step's parameters, by name; see `PARAMETERS`.
    given : frozenset of str
        Names of the parameters that the user set by name.
    scene : SceneReader
        Reads flat field, science regions and mask.
    products : ProductWriter
        Writes the products that are to be saved in addition to the output.
    storage : Storage
        Where the arrays of the run are.
    """

    options: CleanOptions
    parameters: Mapping[str, Any]
    given: frozenset[str]
    scene: SceneReader
    products: ProductWriter
    storage: Storage

    def clean_segments(self, models: Sequence[datamodels.JwstDataModel]) -> list[Outcome]:
        """Clean the segments of a series with one template.

        Parameters
        ----------
        models : sequence of JwstDataModel
            Segments; changed.

        Returns
        -------
        list of Outcome
            One for each segment.
        """
        chosen = self._for(models[0])
        if chosen is not self:
            return chosen.clean_segments(models)
        template: Template | CannotClean | NothingToClean
        try:
            template = self._template_of(models)
        except (CannotClean, NothingToClean) as reason:
            template = reason
        return [self.clean(model, template=template) for model in models]

    def clean(
        self,
        model: datamodels.JwstDataModel,
        *,
        template: Template | CannotClean | NothingToClean | None = None,
    ) -> Outcome:
        """Clean a model in place, and record the status in its header.

        Parameters
        ----------
        model : JwstDataModel
            Changed. Its data stay as they are unless the status is COMPLETE.
        template : Template, CannotClean, NothingToClean or None, optional
            Template of the series of which the model is a segment, or the reason why there is
            none.

        Returns
        -------
        Outcome
            Status, and what was used.
        """
        chosen = self._for(model)
        if chosen is not self:
            return chosen.clean(model, template=template)
        log.info("Cleaning %s", model.meta.filename or f"a {type(model).__name__}")
        try:
            if isinstance(template, Exception):
                raise template
            if self._is_clean(model):
                outcome = Outcome(model=model, status="COMPLETE", reason="it was clean before")
            else:
                outcome = self._clean(model, template=template)
        except NothingToClean as reason:
            log.warning("SKIPPED, the data stay as they are: %s", reason)
            outcome = Outcome(model=model, status="SKIPPED", reason=str(reason))
        except CannotClean as reason:
            log.warning("FAILED, the data stay as they are: %s", reason)
            outcome = Outcome(model=model, status="FAILED", reason=str(reason))
        if model.meta.cal_step.clean_flicker_noise != "COMPLETE":
            model.meta.cal_step.clean_flicker_noise = outcome.status
        record_references(model, outcome.references)
        return outcome

    def _for(self, model: datamodels.JwstDataModel) -> "CleaningRun":
        """The run with the noise method for an exposure, if the user leaves it open."""
        options = choose_method(self.options, model.meta.instrument.name)
        if options is self.options:
            return self
        parameters = {**self.parameters, "fit_method": options.fit_method}
        return replace(self, options=options, parameters=parameters)

    def _is_clean(self, model: datamodels.JwstDataModel) -> bool:
        """Whether a model was cleaned before and need not be cleaned again."""
        if model.meta.cal_step.clean_flicker_noise != "COMPLETE":
            return False
        if isinstance(model, datamodels.RampModel) and not self.parameters["force"]:
            log.warning(
                "The ramp has been cleaned before and stays as it is; force=True cleans it again"
            )
            return True
        log.info("The input has been cleaned before: this is the second time")
        return False

    def _clean(self, model: datamodels.JwstDataModel, *, template: Template | None) -> Outcome:
        """Clean a model in place and save the products."""
        options = self.options
        exposure = fitted_images(exposure_from_model(model), options)
        check_method(model, options.fit_method)
        chooses = self.parameters["autoparam"] and may_choose(
            options, exp_type=model.meta.exposure.type
        )
        self._report_spectrum()
        scene = self.scene.read(model, may_divide=chooses and "apply_flat_field" not in self.given)
        chosen: dict[str, Any] = {}
        if chooses:
            options, chosen = self._choose(exposure, scene)
            if not chosen["apply_flat_field"]:
                scene = replace(scene, references=())
        used = {**self.parameters, **chosen}
        if template is None and uses_template(options):
            template = self._template_of([model], scene)
        known = None
        if uses_template(options):
            if given_path(self.parameters["scene_image"]) is not None:
                log.warning("The template of a series is its scene: scene_image is ignored")
        else:
            known = self.scene.known(
                model,
                exposure,
                flat=scene.flat if used["apply_flat_field"] else None,
                n_threads=options.n_threads,
            )
        n_fits = exposure.n_integrations * exposure.n_differences
        with progress(n_fits, wanted=used["progress_bar"]) as advance:
            result = clean_exposure(
                exposure,
                options,
                flat=scene.flat if used["apply_flat_field"] else None,
                science=scene.science,
                user_mask=scene.user_mask,
                template=template,
                known=known,
                out=self.storage.output(
                    model,
                    exposure,
                    history=lambda: self._history(expected_result(exposure), used, unit="DN"),
                    advance=advance,
                ),
            )
        history = self._history(result, used, unit=unit_of(model))
        self._write(model, result, history=history)
        return Outcome(
            model=model,
            status="COMPLETE",
            references=scene.references,
            history=history,
            chosen=MappingProxyType(chosen),
        )

    def _choose(
        self, exposure: Exposure, scene: SceneInputs
    ) -> tuple[CleanOptions, dict[str, Any]]:
        """Options and parameters that the data choose, where the user left them open."""
        divides = self.parameters["apply_flat_field"]
        return resolve_options(
            exposure,
            self.options,
            flat=scene.flat,
            user_mask=scene.user_mask,
            given=self.given.union(["apply_flat_field"] if divides else []),
        )

    def _history(self, result: CleanResult, used: Mapping[str, Any], *, unit: str) -> str:
        """What headers tell of a cleaning with the parameters that were used."""
        return history_text(result, parameters=used, unit=unit, options=self.options)

    def _write(self, model: datamodels.JwstDataModel, result: CleanResult, *, history: str) -> None:
        """Put the cleaned data and its history into the model, and save the products."""
        stays = isinstance(result.data, np.ndarray) and np.shares_memory(result.data, model.data)
        if not stays:
            model.data = as_array(result.data, model.data.shape)
        model.meta.cal_step.clean_flicker_noise = "COMPLETE"
        record_history(model, history)
        self.products.save(model, result, history=history, as_numbers=self.storage.float32)

    def _report_spectrum(self) -> None:
        """Warn if a spectrum is to be saved that the method does not measure."""
        if self.products.spectrum and not METHODS[self.options.fit_method].measures_spectrum:
            able = [f"fit_method={name!r}" for name in METHODS if METHODS[name].measures_spectrum]
            log.warning("Only %s measures a spectrum: save_spectrum is ignored", " or ".join(able))

    def _template_of(
        self, models: Sequence[datamodels.JwstDataModel], scene: SceneInputs | None = None
    ) -> Template:
        """Template of all segments of a series, given or made; saved if that is asked for."""
        options = self.options
        exposures = [fitted_images(exposure_from_model(model), options) for model in models]
        for model in models:
            check_method(model, options.fit_method)
        segments = [
            (model.meta.filename or f"input {k}", series_keywords(model))
            for k, model in enumerate(models, 1)
        ]
        check_same_series(segments)
        scene = scene or self.scene.read(models[0])
        for exposure in exposures:
            check_input(exposure, options, scene.user_mask)
        path = given_path(self.parameters["template"])
        if path is not None:
            template = read_template(self.scene.find_file(path))
            check_same_series([*segments, (f"template {path}", template.keywords)])
            return template
        maker = MaskMaker(
            exposure=exposures[0],
            options=options,
            flat=scene.flat if self.parameters["apply_flat_field"] else None,
            science=scene.science,
        )
        template = series_template(exposures, maker, user_mask=scene.user_mask)
        self.products.save_template(models[0], template)
        return template
