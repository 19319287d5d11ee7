"""The step that stpipe runs: parameters, reference files, products and status."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from stdatamodels.jwst import datamodels
from stpipe import Step, crds_client
from stpipe.config_parser import ConfigObj, ValidationError, load_config_file
from stpipe.step import get_disable_crds_steppars

from deflicker import __version__
from deflicker.arrays import CleanResult
from deflicker.cleaning import clean_exposure
from deflicker.errors import CannotClean, NothingToClean
from deflicker.exposure import (
    check_folder,
    exposure_from_model,
    mask_model,
    open_model,
    product_model,
    read_crds_parameters,
    write_whole,
)
from deflicker.options import CleanOptions
from deflicker.references import (
    ReferenceMissingError,
    ReferenceUnavailableError,
    crds_lookup,
    read_flat,
    read_user_mask,
)
from deflicker.workers import count_threads

__all__ = ["CleanFlickerNoiseStep"]

log = logging.getLogger(__name__)

REPORTED_PARAMETERS: Final = (
    "fit_method",
    "fit_by_channel",
    "background_method",
    "background_box_size",
    "mask_science_regions",
    "apply_flat_field",
    "n_sigma",
    "fit_histogram",
    "single_mask",
    "user_mask",
)
# What the pipeline's products and steps put behind the last underscore of a name.
KNOWN_SUFFIXES: Final = (
    "uncal|ramp|fitopt|rate|rateints|cal|calints|dark|crf|crfints|bsub|bsubints|i2d|s2d|s3d|x1d|"
    "dq_init|saturation|ipc|superbias|refpix|reset|rscd|lastframe|firstframe|emicorr|linearity|"
    "dark_current|persistence|charge_migration|jump|picture_frame|clean_flicker_noise|"
    "cleanflickernoisestep|ramp_fit|gain_scale|group_scale|assign_wcs|msaflagopen|flat_field"
)


class CleanFlickerNoiseStep(Step):
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
    autoparam = boolean(default=False) # Choose fit and background parameters from the data
    fit_method = option('median', 'fft', default='median') # Noise model
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
    maximum_cores = string(default='all') # Threads: none, quarter, half, all or a number
    skip = boolean(default=False) # Skip this step
    output_ext = string(default='.fits') # Output file type
    """  # noqa: E501

    reference_file_types: ClassVar = ["flat", "pastasoss"]

    def __init__(self, *args: Any, **parameters: Any) -> None:
        with self._allowed_values_in_errors():
            super().__init__(*args, **parameters)

    @classmethod
    def from_config_section(cls, *args: Any, **options: Any) -> Step:
        """Make a step from parameters.

        Parameters
        ----------
        *args, **options
            As in `stpipe.Step.from_config_section`.

        Returns
        -------
        CleanFlickerNoiseStep
            The step.

        Raises
        ------
        ValidationError
            Naming the parameter, its value and what is allowed.
        """
        with cls._allowed_values_in_errors():
            return super().from_config_section(*args, **options)

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
        model = self._open(input_data)
        log.info("Cleaning %s", model.meta.filename or f"a {type(model).__name__}")
        try:
            status = self._clean(model, options)
        except NothingToClean as reason:
            log.warning("SKIPPED, the data stay as they are: %s", reason)
            status = "SKIPPED"
        except CannotClean as reason:
            log.warning("FAILED, the data stay as they are: %s", reason)
            status = "FAILED"
        model.meta.cal_step.clean_flicker_noise = status
        return model

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
        if isinstance(input_data, datamodels.JwstDataModel):
            return input_data.copy() if self.parent is None else input_data
        if isinstance(input_data, str | Path):
            return open_model(self.make_input_path(str(input_data)))
        msg = f"the input must be a file name or a JWST data model, not {type(input_data).__name__}"
        raise TypeError(msg)

    def _clean(self, model: datamodels.JwstDataModel, options: CleanOptions) -> str:
        """Clean a model in place, save the products and return the status."""
        exposure = exposure_from_model(model)
        if self.autoparam:
            msg = "autoparam=True is not available yet; set the parameters yourself"
            raise CannotClean(msg)
        user_mask = self._user_mask()
        if user_mask is not None and self.mask_science_regions:
            log.warning("user_mask is the whole mask: mask_science_regions is ignored")
        masks_regions = self.mask_science_regions and user_mask is None
        flat, non_science = self._flat(model, for_regions=masks_regions)
        result = clean_exposure(
            exposure,
            options,
            flat=flat if self.apply_flat_field else None,
            science=self._science_regions(model, non_science) if masks_regions else None,
            user_mask=user_mask,
            out=exposure.data,
        )
        if not np.shares_memory(exposure.data, model.data):
            model.data = exposure.data.reshape(model.data.shape)
        self._save_products(model, result)
        self._write_history(model, result)
        return "COMPLETE"

    def _flat(
        self, model: datamodels.JwstDataModel, *, for_regions: bool
    ) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_] | None]:
        """Flat field and its non-science pixels, where a parameter asks for them."""
        for_mask = for_regions and model.meta.exposure.type.upper() == "MIR_IMAGE"
        if not (self.apply_flat_field or for_mask):
            return None, None
        try:
            with crds_lookup():
                flat = self.get_reference_file(model, "flat")
        except ReferenceUnavailableError as error:
            self._reference_files_used.clear()
            parameter = "mask_science_regions" if for_mask else "apply_flat_field"
            msg = f"{parameter} needs a flat field: {error}; set up CRDS or give override_flat"
            raise CannotClean(msg) from error
        if isinstance(flat, str) and flat.strip() in {"", "N/A"}:
            if for_mask:
                msg = (
                    "mask_science_regions needs a flat field and CRDS has none; give override_flat"
                )
                raise CannotClean(msg)
            log.warning("CRDS has no flat field for this exposure: apply_flat_field is ignored")
            return None, None
        log.info("Flat field: %s", flat)
        return read_flat(flat, model)

    def _science_regions(
        self, model: datamodels.JwstDataModel, non_science: NDArray[np.bool_] | None
    ) -> NDArray[np.bool_] | None:
        """Pixels to mask whatever their light."""
        exp_type = model.meta.exposure.type.upper()
        if exp_type.startswith("NRS_") or exp_type == "NIS_SOSS":
            msg = (
                f"mask_science_regions is not available yet for {exp_type}; give user_mask or "
                "run without mask_science_regions"
            )
            raise CannotClean(msg)
        if non_science is None:
            log.warning("%s has no science regions: mask_science_regions is ignored", exp_type)
        return non_science

    def _user_mask(self) -> NDArray[np.bool_] | None:
        if self.user_mask is None or self.user_mask.strip().lower() in {"", "none"}:
            return None
        path = self.user_mask
        return read_user_mask(path if Path(path).is_file() else self.make_input_path(path))

    def _save_products(self, model: datamodels.JwstDataModel, result: CleanResult) -> None:
        if self.save_mask:
            self._save_product(mask_model(model, result.mask), "mask", model)
        if result.background is not None:
            self._save_product(product_model(model, result.background), "flicker_bkg", model)
        if result.noise is not None:
            self._save_product(product_model(model, result.noise), "flicker_noise", model)

    def _save_product(
        self,
        product: datamodels.JwstDataModel,
        suffix: str,
        model: datamodels.JwstDataModel,
    ) -> None:
        self.save_model(product, suffix=suffix, output_file=model.meta.filename, force=True)
        product.close()

    def _write_history(self, model: datamodels.JwstDataModel, result: CleanResult) -> None:
        """Tell in the header what was done."""
        parameters = ", ".join(f"{name}={getattr(self, name)}" for name in REPORTED_PARAMETERS)
        model.add_history_entry(
            f"deflicker {__version__} clean_flicker_noise: {parameters}; measured on "
            f"{100 * result.used_fraction:.1f} % of the pixels",
            software={"name": "deflicker", "version": __version__},
        )

    def run(self, *args: Any) -> Any:
        """Run the step, after a look at the folder that output shall go to.

        Parameters
        ----------
        *args
            Input of `process`.

        Returns
        -------
        JwstDataModel
            What `process` returns.

        Raises
        ------
        OSError
            If a file shall be saved and the folder cannot be written.
        """
        saves = (self.save_results, self.output_file, self.save_mask)
        if any((*saves, self.save_background, self.save_noise)):
            folder = self.search_attr("output_dir", default="") or "."
            check_folder(Path(os.path.expandvars(folder)).expanduser())
        return super().run(*args)

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
            What to save.
        suffix, idx, output_file, force, **components
            As in `stpipe.Step.save_model`.

        Returns
        -------
        str or None
            Path of the file; None if nothing was to be saved.
        """
        name = output_file or self.output_file
        if not (force or self.save_results or name):
            return None
        if self.output_use_model or (name is None and not self.search_output_file):
            name, idx = model.meta.filename, None
        path = self.make_output_path(basepath=name, suffix=suffix, idx=idx, **components)
        write_whole(model, Path(path))
        log.info("Saved %s", path)
        return path

    def finalize_result(self, result: Any, reference_files_used: list[tuple[str, str]]) -> None:
        """Put the reference files into the header, and the CRDS context if one was used.

        Parameters
        ----------
        result : JwstDataModel
            The step's output.
        reference_files_used : list of tuple
            Type and name of each reference file.
        """
        for kind, name in reference_files_used:
            getattr(result.meta.ref_file, kind).name = name
        if any(name.startswith("crds://") for _, name in reference_files_used):
            with crds_lookup():
                context = crds_client.get_context_used(result.crds_observatory)
            result.meta.ref_file.crds.sw_version = crds_client.get_svn_version()
            result.meta.ref_file.crds.context_used = context
            log.info("CRDS context: %s", context)

    def default_suffix(self) -> str:
        """Suffix of the cleaned file.

        Returns
        -------
        str
            The step's alias, whatever name the step was started under.
        """
        return self.class_alias

    @staticmethod
    def remove_suffix(name: str) -> tuple[str, str]:
        """Take a known suffix off a name.

        Parameters
        ----------
        name : str
            File name without extension.

        Returns
        -------
        name, separator : str
            Name without suffix, and what stood before it.
        """
        match = re.fullmatch(rf"(.+)([_-])(?:{KNOWN_SUFFIXES})", name)
        return (match[1], match[2]) if match else (name, "_")

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
        """Metadata by which CRDS chooses, read without the arrays; none if unreadable."""
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
        """Parameters of this step from CRDS; the defaults, with a warning, without CRDS.

        Parameters
        ----------
        dataset : str, pathlib.Path, JwstDataModel or dict
            The input, or its CRDS parameters.
        disable : bool, optional
            Do not ask; by default as the environment says (STPIPE_DISABLE_CRDS_STEPPARS).
        crds_observatory : str, optional
            Not used: it is jwst.

        Returns
        -------
        ConfigObj
            Parameters; empty where there are none.
        """
        if get_disable_crds_steppars() if disable is None else disable:
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
