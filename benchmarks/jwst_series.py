"""The median image of jwst's step, without the files that its scale needs.

The step of jwst scales its median image by a light curve. It extracts this from spectra or
photometry, with wavelengths and apertures from reference files that simulated exposures do
not have. Here the light curve is a parameter instead; everything else is unchanged.
``benchmarks.series`` runs it through ``strun`` with the interpreter that has jwst.
"""

from jwst.clean_flicker_noise import CleanFlickerNoiseStep, clean_flicker_noise
from numpy import asarray, float32
from stdatamodels.jwst import datamodels

__all__ = ["KnownCurveStep"]

PLAIN = "NRC_IMAGE"  # for this type the scale is the median of an image, which needs no file


class KnownCurveStep(CleanFlickerNoiseStep):
    """The step of jwst with a known light curve."""

    class_alias = "known_curve"
    spec = """
        curve = float_list()  # Light of each integration
    """

    def process(self, input_data: object) -> datamodels.JwstDataModel:
        """Clean an exposure.

        Parameters
        ----------
        input_data : str or RampModel
            The exposure.

        Returns
        -------
        RampModel
            The cleaned exposure.
        """
        rates = datamodels.CubeModel(asarray(self.curve, dtype=float32)[:, None, None])
        make = clean_flicker_noise.make_median_image

        def make_scaled(model: datamodels.RampModel, *_: object, **__: object) -> object:
            return make(model, rates)

        clean_flicker_noise.make_median_image = make_scaled
        clean_flicker_noise.post_process_rate = lambda model, **_: model
        with datamodels.open(input_data) as model:
            kind = model.meta.exposure.type
            model.meta.exposure.type = PLAIN
            result = super().process(model)
        result.meta.exposure.type = kind
        return result
