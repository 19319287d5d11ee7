"""Noise of an image whose sky is known."""

import numpy as np
from numpy.typing import NDArray

from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.noise.wiener.prior import NoisePrior
from deflicker.noise.wiener.records import Records, Spectra
from deflicker.noise.wiener.solver import NoiseEquations, solve_noise
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.noise.wiener.weighted_image import WeightedImage
from deflicker.noise.wiener.weights import ObservedPixels, RecordWeights

__all__ = ["fit_noise", "noise_image", "noise_spectra", "without_level"]

Image = NDArray[np.float32]


def fit_noise(
    image: WeightedImage,
    spectrum: NoiseSpectrum,
    records: Records,
    *,
    light: NDArray[np.float32] | None = None,
    tolerance: float | None = None,
    tuning: WienerTuning | None = None,
) -> tuple[Image, bool]:
    """Fit the noise of an image without sky and sources, which may contain other light.

    Parameters
    ----------
    image : WeightedImage
        The image; finite.
    spectrum : NoiseSpectrum
        Spectrum of its noise.
    records : Records
        Order of the pixels.
    light : ndarray of float32, shape (records.size // 2 + 1,), optional
        Power of the light that the image contains beside its noise; none by default.
    tolerance : float, optional
        Tolerance of the residual, see `solve_noise`; that of ``tuning`` by default. Gaps of
        several rows converge last, and need a smaller one.
    tuning : WienerTuning, optional
        Tuning constants.

    Returns
    -------
    noise : ndarray of float32, shape (n_slow, n_fast)
        Noise in DN, of mean 0, finite everywhere.
    converged : bool
        Whether the solution reached the tolerance.
    """
    tuning = tuning or WienerTuning()
    solution, converged = noise_spectra(
        image,
        NoisePrior.of(spectrum, records),
        records,
        light=light,
        tolerance=tuning.tolerance if tolerance is None else tolerance,
    )
    del image
    return noise_image(solution, records), converged


def noise_spectra(
    image: WeightedImage,
    prior: NoisePrior,
    records: Records,
    *,
    tolerance: float,
    light: NDArray[np.float32] | None = None,
    start: Spectra | None = None,
) -> tuple[Spectra, bool]:
    """Fit the noise of an image without sky and sources, in Fourier space.

    Parameters
    ----------
    image : WeightedImage
        The image; finite.
    prior : NoisePrior
        Prior of its noise.
    records : Records
        Order of the pixels.
    tolerance : float
        Tolerance of the residual, see `solve_noise`.
    light : ndarray of float32, shape (records.size // 2 + 1,), optional
        Power of the light that the image contains beside its noise; none by default.
    start : ndarray of complex64, shape (n_outputs, records.size // 2 + 1), optional
        First guess of the spectra of noise and light; overwritten.

    Returns
    -------
    noise : ndarray of complex64, shape (n_outputs, records.size // 2 + 1)
        Spectra of the noise.
    converged : bool
        Whether the solution reached the tolerance.

    Notes
    -----
    The power L of light is added to that of the noise, S, and the solution for both is multiplied
    by ``S / (S + L)``, which is the Wiener filter for noise in the presence of light.
    """
    pixels = ObservedPixels(image.values, image.weights)
    weights = RecordWeights(pixels, records)
    mean_weight = float(pixels.weights.mean(dtype=np.float64))
    both = prior if light is None else prior.with_light(light)
    equations = NoiseEquations(
        records=records, prior=both, weights=weights, mean_weight=mean_weight
    )
    rhs = weights.right_hand_side(pixels.values)
    del image, pixels  # frees memory for the solution
    solution, converged = solve_noise(equations, rhs, tolerance=tolerance, start=start)
    del equations, weights, rhs
    return solution if light is None else prior.share(solution, both), converged


def noise_image(spectra: Spectra, records: Records) -> Image:
    """Image of the noise, without its level.

    Parameters
    ----------
    spectra : ndarray of complex64, shape (n_outputs, records.size // 2 + 1)
        Spectra of the noise.
    records : Records
        Order of the pixels.

    Returns
    -------
    ndarray of float32, shape (n_slow, n_fast)
        Noise in DN, of mean 0, finite everywhere.
    """
    return without_level(records.clock.image(records.pixels(spectra)))


def without_level(noise: Image) -> Image:
    """Subtract the mean of the noise, in place: the level belongs to the sky.

    Parameters
    ----------
    noise : ndarray of float32, shape (n_slow, n_fast)
        Noise; changed.

    Returns
    -------
    ndarray of float32, shape (n_slow, n_fast)
        The same array.
    """
    noise -= np.float32(noise.mean(dtype=np.float64))
    return noise
