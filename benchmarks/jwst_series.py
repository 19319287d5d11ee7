"""The reference step's median image without the files that its scale needs.

The reference step scales its median image by a light curve for which it extracts
spectra or photometry, with wavelengths and apertures from reference files that
simulated exposures do not have. Here it is told the light curve instead; all else is its
own. Run by ``benchmarks.series`` with the interpreter that has jwst, by ``strun``.
"""

from jwst.clean_flicker_noise import CleanFlickerNoiseStep, clean_flicker_noise
from numpy import asarray, float32
from stdatamodels.jwst import datamodels

__all__ = ["KnownCurveStep"]

PLAIN = "NRC_IMAGE"  # a type whose scale is the median of an image, for which it needs no file


class KnownCurveStep(CleanFlickerNoiseStep):
    """The reference step with a known light curve."""

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
            Cleaned.
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
