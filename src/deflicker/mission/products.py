"""Products that are saved in addition to the cleaned file."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stdatamodels.jwst import datamodels

from deflicker.cleaning.result import CleanResult
from deflicker.models.exposure import describe, mask_model, product_model, template_model, unit_of
from deflicker.models.history import record_history
from deflicker.models.spectra import write_spectrum
from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.series.template import Template

__all__ = ["ProductWriter"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ProductWriter:
    """Writes products under names like that of the cleaned file.

    Parameters
    ----------
    mask, spectrum, template : bool
        Whether each of these is to be saved. Background and noise are saved if the result has
        them.
    save_model : callable
        Saves a model, as ``stpipe.Step.save_model``.
    output_path : callable
        Names a file, as ``stpipe.Step.make_output_path``.
    """

    mask: bool
    spectrum: bool
    template: bool
    save_model: Callable[..., Any]
    output_path: Callable[..., str]

    def save(
        self,
        model: datamodels.JwstDataModel,
        result: CleanResult,
        *,
        history: str,
        as_numbers: Callable[[NDArray[np.bool_]], NDArray[np.float32]],
    ) -> None:
        """Save the products that are asked for.

        Parameters
        ----------
        model : JwstDataModel
            The cleaned model.
        result : CleanResult
            With the products.
        history : str
            Text about the cleaning for the headers of the products.
        as_numbers : callable
            Converts a mask to float32, in memory or on disk.
        """
        products = {}
        if self.mask:
            products["mask"] = mask_model(model, as_numbers(result.mask))
        if result.background is not None:
            products["flicker_bkg"] = product_model(model, result.background)
        if result.noise is not None:
            products["flicker_noise"] = product_model(model, result.noise)
        for suffix, product in products.items():
            record_history(product, history)
            self._save(model, suffix, product)
            product.close()
        if self.spectrum and result.spectrum is not None:
            self._save_spectrum(model, result.spectrum, history=history)

    def save_template(self, model: datamodels.JwstDataModel, template: Template) -> None:
        """Save the template of a series if that is asked for.

        Parameters
        ----------
        model : JwstDataModel
            First segment of the series.
        template : Template
            Its template.
        """
        if self.template:
            with template_model(model, template.groups) as product:
                self._save(model, "flicker_template", product)

    def _save(
        self, model: datamodels.JwstDataModel, suffix: str, product: datamodels.JwstDataModel
    ) -> None:
        self.save_model(product, suffix=suffix, output_file=model.meta.filename, force=True)

    def _save_spectrum(
        self, model: datamodels.JwstDataModel, spectrum: NoiseSpectrum, *, history: str
    ) -> None:
        """Save the spectrum of the noise as a table."""
        name = model.meta.filename
        path = Path(self.output_path(basepath=name, suffix="flicker_spectrum", ext="ecsv"))
        meta = {**describe(model), "history": history}
        write_spectrum(spectrum, path, meta=meta, unit=unit_of(model))
        log.info("Saved %s", path)
