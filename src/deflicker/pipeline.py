"""Stage 1 of the JWST pipeline with this package's step; needs the jwst package."""

from types import MappingProxyType
from typing import Any, ClassVar

from jwst.pipeline import Detector1Pipeline as StockDetector1Pipeline
from stdatamodels.jwst import datamodels

from deflicker.mission.cleaning_run import Outcome
from deflicker.models.history import record_history
from deflicker.step import CleanFlickerNoiseStep

__all__ = ["Detector1Pipeline"]

SLOT = "clean_flicker_noise"


class Detector1Pipeline(StockDetector1Pipeline):
    """``calwebb_detector1`` with `deflicker.CleanFlickerNoiseStep` in its slot, switched on.

    Parameters
    ----------
    *args, **parameters
        As in ``jwst.pipeline.Detector1Pipeline``.

    Notes
    -----
    Parameters come from CRDS as for the stock pipeline (``pars-detector1pipeline``), except
    ``skip`` of this step: whoever starts this pipeline wants the step.

    Examples
    --------
    ``Detector1Pipeline.call("x_uncal.fits", steps={"clean_flicker_noise": {"n_sigma": 3}})``
    """

    class_alias = "deflicker_detector1"
    step_defs: ClassVar = MappingProxyType(
        {**StockDetector1Pipeline.step_defs, SLOT: CleanFlickerNoiseStep}
    )

    def __init__(self, *args: Any, **parameters: Any) -> None:
        super().__init__(*args, **parameters)
        self._history = ""

    def process(self, input_data: Any) -> Any:
        """Run the pipeline, and record in the rates what this package's step did.

        Parameters
        ----------
        input_data : str or JwstDataModel
            Raw exposure.

        Returns
        -------
        JwstDataModel
            Rate image, or ramp if the ramp fit was skipped.
        """
        self._history = ""
        self.clean_flicker_noise.on_outcome = self._keep_history
        result = super().process(input_data)
        self._tell(result)
        return result

    def save_model(self, model: Any, *args: Any, **options: Any) -> Any:
        """Save a model as the stock pipeline does.

        Parameters
        ----------
        model : JwstDataModel
            The model.
        *args, **options
            As in ``stpipe.Step.save_model``.

        Returns
        -------
        str or None
            Path of the file.
        """
        self._tell(model)
        return super().save_model(model, *args, **options)

    def _tell(self, model: Any) -> None:
        """Copy the history of the ramp into a rate, because the ramp fit does not do that."""
        rates = (datamodels.ImageModel, datamodels.IFUImageModel, datamodels.CubeModel)
        if isinstance(model, rates):
            record_history(model, self._history)

    def _keep_history(self, outcome: Outcome) -> None:
        """Keep the history of the ramp until there are rates."""
        self._history = outcome.history

    @staticmethod
    def get_stpipe_loggers() -> tuple[str, ...]:
        """Loggers that stpipe configures.

        Returns
        -------
        tuple of str
            Those of the stock pipeline, and that of this package.
        """
        return (*StockDetector1Pipeline.get_stpipe_loggers(), "deflicker")

    @classmethod
    def get_config_from_reference(cls, *args: Any, **options: Any) -> Any:
        """Parameters from CRDS, without ``skip`` of this step.

        Parameters
        ----------
        *args, **options
            As in ``stpipe.Pipeline.get_config_from_reference``.

        Returns
        -------
        ConfigObj
            Parameters of the pipeline and of its steps.
        """
        config = super().get_config_from_reference(*args, **options)
        config.get("steps", {}).get(SLOT, {}).pop("skip", None)
        return config
