"""A step that saves products beside its output, and tells in headers what it did."""

import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stdatamodels.jwst import datamodels

from deflicker import __version__
from deflicker.cleaning.backgrounds import divides_differences
from deflicker.cleaning.result import CleanResult
from deflicker.mission.scene_step import SceneStep
from deflicker.models.exposure import describe, mask_model, product_model, template_model, unit_of
from deflicker.models.history import history_text
from deflicker.models.spectra import write_spectrum
from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.options import CleanOptions
from deflicker.series.template import Template
from deflicker.storage.place import Storage

__all__ = ["ProductStep"]

log = logging.getLogger(__name__)


class ProductStep(SceneStep):
    """A step with products: mask, background, noise, spectrum and template.

    Parameters
    ----------
    *args, **parameters
        As in `stpipe.Step`.
    """

    history_entry = ""
    storage = Storage()
    chosen: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, *args: Any, **parameters: Any) -> None:
        super().__init__(*args, **parameters)
        self.references_of: dict[int, list[tuple[str, str]]] = {}

    def finalize_result(self, result: Any, reference_files_used: list[tuple[str, str]]) -> None:
        """Put the reference files into the header, of several results each its own.

        Parameters
        ----------
        result : JwstDataModel
            An output.
        reference_files_used : list of tuple
            Type and name of each reference file.
        """
        super().finalize_result(result, self.references_of.pop(id(result), reference_files_used))

    def used_parameters(self) -> dict[str, Any]:
        """Parameters, with those that autoparam chose.

        Returns
        -------
        dict
            Values by name.
        """
        return {**self.get_pars(full_spec=False), **self.chosen}

    def save_products(self, model: datamodels.JwstDataModel, result: CleanResult) -> None:
        """Save what the parameters ask for, beside the cleaned file.

        Parameters
        ----------
        model : JwstDataModel
            The cleaned model.
        result : CleanResult
            With the products.
        """
        products = {}
        if self.save_mask:
            products["mask"] = mask_model(model, self.storage.float32(result.mask))
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

    def save_template_of(self, model: datamodels.JwstDataModel, template: Template) -> None:
        """Save the template of a series, under a name like those of the products.

        Parameters
        ----------
        model : JwstDataModel
            First segment of the series.
        template : Template
            Its template.
        """
        with template_model(model, template.groups) as product:
            self.save_model(
                product, suffix="flicker_template", output_file=model.meta.filename, force=True
            )

    def _save_spectrum(self, model: datamodels.JwstDataModel, spectrum: NoiseSpectrum) -> None:
        """Save the spectrum of the noise as a table, under a name like those of the products."""
        name, suffix = model.meta.filename, "flicker_spectrum"
        path = Path(self.make_output_path(basepath=name, suffix=suffix, ext="ecsv"))
        meta = {**describe(model), "history": self.history_entry}
        write_spectrum(spectrum, path, meta=meta, unit=unit_of(model))
        log.info("Saved %s", path)

    def write_history(self, model: datamodels.JwstDataModel, result: CleanResult) -> None:
        """Tell in the header what was done.

        Parameters
        ----------
        model : JwstDataModel
            The cleaned model; changed.
        result : CleanResult
            What was done.
        """
        self.history_entry = self.history(result, unit=unit_of(model))
        self.repeat_history(model)

    def history(self, result: CleanResult, *, unit: str) -> str:
        """Text for the header.

        Parameters
        ----------
        result : CleanResult
            What was done.
        unit : str
            Of the data.

        Returns
        -------
        str
            One line.
        """
        return history_text(
            result,
            parameters=self.used_parameters(),
            unit=unit,
            flat_field=self.used_parameters()["apply_flat_field"]
            and divides_differences(
                CleanOptions(fit_method=self.fit_method, background_method=self.background_method)
            ),
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
        products = ("mask", "background", "noise", "spectrum", "template")
        return super().saves_files() or any(getattr(self, f"save_{name}") for name in products)
