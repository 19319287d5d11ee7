"""The Wiener method: noise as a time series whose spectrum is measured."""

from deflicker.noise.wiener.detector_noise import DetectorNoise, measure_detector_noise
from deflicker.noise.wiener.levels import WienerFit
from deflicker.noise.wiener.mean import fit_noise_and_sky
from deflicker.noise.wiener.noise_fit import fit_noise
from deflicker.noise.wiener.prior import NoisePrior
from deflicker.noise.wiener.records import Records
from deflicker.noise.wiener.solver import NoiseEquations, solve_noise
from deflicker.noise.wiener.spectrum import measure_spectrum, typical_spectrum
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.noise.wiener.weighted_image import SkyFit, WeightedImage
from deflicker.noise.wiener.wiener_fit import fit_wiener

__all__ = [
    "DetectorNoise",
    "NoiseEquations",
    "NoisePrior",
    "Records",
    "SkyFit",
    "WeightedImage",
    "WienerFit",
    "WienerTuning",
    "fit_noise",
    "fit_noise_and_sky",
    "fit_wiener",
    "measure_detector_noise",
    "measure_spectrum",
    "solve_noise",
    "typical_spectrum",
]
