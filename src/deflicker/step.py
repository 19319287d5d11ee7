"""The step that stpipe runs: parameters, reference files, products and status."""

import logging
import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from stdatamodels.jwst import datamodels
from stpipe import Pipeline

from deflicker import __version__
from deflicker.arrays import CleanResult
from deflicker.cleaning import clean_exposure
from deflicker.errors import CannotClean, NothingToClean
from deflicker.exposure import (
    check_method,
    describe,
    exposure_from_model,
    mask_model,
    product_model,
    unit_of,
)
from deflicker.footprints import science_regions
from deflicker.history import expected_result, history_text
from deflicker.host import MissionStep
from deflicker.memory import read_memory_limit
from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.on_disk import map_in_place
from deflicker.options import CleanOptions
from deflicker.progress import progress
from deflicker.references import look_up, read_flat, read_user_mask
from deflicker.spectra import write_spectrum
from deflicker.storage import Storage
from deflicker.stored import as_array
from deflicker.workers import count_threads

__all__ = ["CleanFlickerNoiseStep"]

log = logging.getLogger(__name__)


class CleanFlickerNoiseStep(MissionStep):
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

    spec = """
    autoparam = boolean(default=False) # Choose parameters from the data (not available yet)
    fit_method = option('median', 'fft', 'wiener', default='median') # Noise model
    fit_by_channel = boolean(default=False) # Fit each detector output (amplifier channel) separately
    background_method = option('median', 'model', 'median_image', None, default='median') # Background to remove before the fit
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
    history_entry = ""
    _storage = Storage()
    reference_file_types: ClassVar = ["flat", "pastasoss"]
    text_parameters: ClassVar = (
        *MissionStep.text_parameters,
        "maximum_cores",
        "memory_limit",
        "override_flat",
        "override_pastasoss",
        "user_mask",
    )

    def run(self, *args: Any) -> Any:
        """Run the step; a ramp that is larger than memory stays on disk where a file is written.

        Parameters
        ----------
        *args
            Input of `process`.

        Returns
        -------
        JwstDataModel
            What `process` returns; with memory-mapped arrays if it stays on disk.

        Raises
        ------
        ValueError
            If ``memory_limit`` has a value that is not allowed.
        """
        limit = read_memory_limit(str(self.memory_limit))
        # Hooks may do anything with the arrays.
        writes = self.save_results or self.output_file
        if not writes or self.parent is not None or self.post_hooks or self.output_ext != ".fits":
            limit = math.inf
        try:
            with Storage(limit=limit, n_products=self.save_noise + self.save_background) as storage:
                self._storage = storage
                result = super().run(*args)
                if isinstance(result, datamodels.RampModel):
                    map_in_place(result)
        finally:
            self._storage = Storage()
        return result

    def process(self, input_data: str | Path | datamodels.JwstDataModel) -> Any:
        """Clean one exposure.

        Parameters
        ----------
        input_data : str, pathlib.Path or JwstDataModel
            File or open model. An open model is not changed, unless the step runs
            inside a pipeline.

        Returns
        -------
        JwstDataModel
            Of the input's type. Its data are the input's unless the status is COMPLETE.

        Raises
        ------
        ValueError
            If a parameter has a value that is not allowed.
        OSError
            If the input cannot be read or the output folder cannot be written.
        """
        options = self._options()
        self.history_entry = ""
        self.keep_input(input_data)
        model = self._open(input_data)
        log.info("Cleaning %s", model.meta.filename or f"a {type(model).__name__}")
        try:
            status = "COMPLETE" if self._is_clean(model) else self._clean(model, options)
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
        return model

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
            model = self._storage.open(
                Path(self.make_input_path(str(input_data))),
                output=lambda: Path(self.make_output_path(basepath=self.output_file)),
            )
        elif isinstance(input_data, datamodels.JwstDataModel):
            model = input_data if self._in_pipeline() else input_data.copy()
        else:
            kind = type(input_data).__name__
            msg = f"the input must be a file name or a JWST data model, not {kind}"
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

    def _clean(self, model: datamodels.JwstDataModel, options: CleanOptions) -> str:
        """Clean a model in place, save the products and return the status."""
        exposure = exposure_from_model(model)
        if self.autoparam:
            msg = "autoparam=True is not available yet; set the parameters yourself"
            raise CannotClean(msg)
        check_method(model, self.fit_method)
        if self.save_spectrum and self.fit_method != "wiener":
            log.warning("Only fit_method='wiener' measures a spectrum: save_spectrum is ignored")
        user_mask = self._user_mask()
        if user_mask is not None and self.mask_science_regions:
            log.warning("user_mask is the whole mask: mask_science_regions is ignored")
        masks_regions = self.mask_science_regions and user_mask is None
        flat, non_science = self._flat(model, for_regions=masks_regions)
        science = self._science(model, non_science=non_science) if masks_regions else None
        n_fits = exposure.n_integrations * exposure.n_differences
        with progress(n_fits, wanted=self.progress_bar) as advance:
            result = clean_exposure(
                exposure,
                options,
                flat=flat if self.apply_flat_field else None,
                science=science,
                user_mask=user_mask,
                out=self._storage.output(
                    model,
                    exposure,
                    history=lambda: self._history(expected_result(exposure), unit="DN"),
                    advance=advance,
                ),
            )
        stays = isinstance(result.data, np.ndarray) and np.shares_memory(result.data, model.data)
        if not stays:
            model.data = as_array(result.data, model.data.shape)
        model.meta.cal_step.clean_flicker_noise = "COMPLETE"
        self._write_history(model, result)
        self._save_products(model, result)
        return "COMPLETE"

    def _flat(
        self, model: datamodels.JwstDataModel, *, for_regions: bool
    ) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_] | None]:
        """Flat field and its non-science pixels, where a parameter asks for them."""
        for_mask = for_regions and model.meta.exposure.type.upper() == "MIR_IMAGE"
        if not (self.apply_flat_field or for_mask):
            return None, None
        flat = look_up(
            lambda: self.get_reference_file(model, "flat"),
            "flat",
            parameter="mask_science_regions" if for_mask else "apply_flat_field",
            optional=not for_mask,
        )
        if flat is None:
            return None, None
        return read_flat(flat, model)

    def _science(
        self, model: datamodels.JwstDataModel, *, non_science: NDArray[np.bool_] | None
    ) -> NDArray[np.bool_] | None:
        """Science regions of the exposure, with the reference file that they need."""
        pastasoss = None
        if model.meta.exposure.type.upper() == "NIS_SOSS":
            pastasoss = look_up(
                lambda: self.get_reference_file(model, "pastasoss"),
                "pastasoss",
                parameter="mask_science_regions",
            )
        folder = self.search_attr("input_dir", default="")
        return science_regions(
            model, non_science=non_science, pastasoss=pastasoss, input_dir=folder
        )

    def _user_mask(self) -> NDArray[np.bool_] | None:
        if self.user_mask is None or self.user_mask.strip().lower() in {"", "none"}:
            return None
        path = self.user_mask
        return read_user_mask(path if Path(path).is_file() else self.make_input_path(path))

    def _save_products(self, model: datamodels.JwstDataModel, result: CleanResult) -> None:
        products = {}
        if self.save_mask:
            products["mask"] = mask_model(model, self._storage.float32(result.mask))
        if result.background is not None:
            products["flicker_bkg"] = product_model(model, result.background)
        if result.noise is not None:
            products["flicker_noise"] = product_model(model, result.noise)
        for suffix, product in products.items():
            self.repeat_history(product)
            self.save_model(product, suffix=suffix, output_file=model.meta.filename, force=True)
            product.close()
        if self.save_spectrum and result.spectrum is not None:
            self._save_spectrum(model, result.spectrum)

    def _save_spectrum(self, model: datamodels.JwstDataModel, spectrum: NoiseSpectrum) -> None:
        """Save the spectrum of the noise as a table, under a name like those of the products."""
        name, suffix = model.meta.filename, "flicker_spectrum"
        path = Path(self.make_output_path(basepath=name, suffix=suffix, ext="ecsv"))
        meta = {**describe(model), "history": self.history_entry}
        write_spectrum(spectrum, path, meta=meta, unit=unit_of(model))
        log.info("Saved %s", path)

    def _write_history(self, model: datamodels.JwstDataModel, result: CleanResult) -> None:
        """Tell in the header what was done."""
        self.history_entry = self._history(result, unit=unit_of(model))
        self.repeat_history(model)

    def _history(self, result: CleanResult, *, unit: str) -> str:
        return history_text(
            result,
            parameters=self.get_pars(full_spec=False),
            unit=unit,
            flat_field=self.apply_flat_field and self.fit_method != "wiener",
        )

    def repeat_history(self, model: datamodels.JwstDataModel) -> None:
        """Tell in the header of a model, once, what this step did last, if anything.

        Parameters
        ----------
        model : JwstDataModel
            The cleaned model, or one made from it.
        """
        told = model.to_flat_dict(include_arrays=False).values()
        if self.history_entry and self.history_entry not in told:
            software = {"name": "deflicker", "version": __version__}
            model.add_history_entry(self.history_entry, software=software)

    def saves_files(self) -> bool:
        """Whether the step shall write anything.

        Returns
        -------
        bool
            True if it shall.
        """
        products = (self.save_mask, self.save_background, self.save_noise, self.save_spectrum)
        return super().saves_files() or any(products)
