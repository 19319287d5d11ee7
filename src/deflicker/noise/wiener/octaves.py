"""Light in the noise of a mean image, which is stronger in some octaves than noise can be."""

import numpy as np
from numpy.typing import NDArray

from deflicker.noise.wiener.light import Waves
from deflicker.noise.wiener.prior import in_modes
from deflicker.noise.wiener.records import Spectra
from deflicker.stats.power_share import noise_share

__all__ = ["spare_light"]

# Probability that noise alone is weaker in an octave, relative to a power that was measured from
# at least so many differences. The second one holds if another octave has light for sure: a
# hundredth of all noise or more.
SIGNIFICANCE, LIKELY, MEASURED, SURE = 0.999, 0.97, 2, 0.01

Powers = NDArray[np.float32]
Modes = tuple[Powers, Powers]


def spare_light(noise: Spectra, expected: Modes, waves: Waves) -> tuple[Spectra, Modes]:
    """Reduce noise in the octaves in which it is stronger than noise can be.

    Parameters
    ----------
    noise : ndarray of complex64, shape (n_outputs, n)
        Spectra of the noise that was found in an image.
    expected : tuple of ndarray of float32, shape (n,)
        Power that noise would have if the powers of noise and light were right, in the mean
        of the outputs and in each other mode, see `NoisePrior.removed_power`.
    waves : Waves
        The waves in the image that the frequencies are.

    Returns
    -------
    noise : ndarray of complex64, shape (n_outputs, n)
        The spectra without that light; the same array if there is none.
    expected : tuple of ndarray of float32, shape (n,)
        Power that the noise of the result has.

    Notes
    -----
    Light that is neither stationary nor the same in all directions, such as the spectra
    in a grism image, can exceed its power spectrum at some frequencies. There the noise that was
    found has the expected power, A, and that of light, B. It is multiplied by ``A / (A + B)``,
    which is the Wiener filter, in each octave of frequency, for waves along the rows and others
    separately.
    """
    n_outputs, n = noise.shape
    bins = 2 * np.frexp(np.arange(n))[1] + waves.along_rows
    number = np.bincount(bins)
    shared = np.square(np.abs(noise.sum(axis=0))) / n_outputs
    others = np.square(np.abs(noise)).sum(axis=0) - shared
    found = np.stack([np.bincount(bins, shared), np.bincount(bins, others)])
    times = np.array([[1], [n_outputs - 1]])
    model = times * np.stack([np.bincount(bins, one) for one in expected])
    found[:, :2] = model[:, :2] = 0  # the level
    freedom = np.maximum(2.0 * times * number, 1)
    degrees = {"freedom": freedom, "measured": MEASURED * freedom}
    factors = noise_share(found, model, **degrees, probability=SIGNIFICANCE)
    if ((factors < 1) & (found - model > SURE * model.sum())).any():
        factors = noise_share(found, model, **degrees, probability=LIKELY)
    if (factors == 1).all():
        return noise, expected
    mean, deviation = factors.astype(np.float32)[:, bins]
    return in_modes(noise, mean, deviation), (mean * expected[0], deviation * expected[1])
