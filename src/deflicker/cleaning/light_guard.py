"""Light that the fits of all differences have in common is not taken for noise.

The noise of differences changes from one to the next, and light does not. So the fits
of an integration tell how strong the noise of their mean must be. What the mean contains beyond
that is light.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

from deflicker.noise.fit import DifferenceFit
from deflicker.noise.method import SharedPower
from deflicker.noise.noise_image import NoiseImage
from deflicker.stats.power_share import noise_share

__all__ = [
    "guard_light",
    "noise_in_fits",
    "spare_light",
    "variance_factors",
]

# Probability that noise alone is weaker in an octave along the slow axis. The first octave has few
# waves, with most of the light, and light of several times the noise would pass where few
# differences are compared (``benchmarks.scenes``): there the second one holds, for all outputs
# together, and in the other octaves too if it finds light.
SIGNIFICANCE, LIKELY = 0.999, 0.97
# Waves of equal power that scatter as much as the seven of the first octave of pink noise, whose
# power is inverse to the frequency: sum(1 / k)**2 / sum(1 / k**2), k = 1 to 7.
EFFECTIVE = 4.4 / 7
Values = NDArray[np.float64]
Item = TypeVar("Item")


def variance_factors(
    steps: NDArray[np.floating], used: NDArray[np.bool_], *, share_reads: bool
) -> tuple[float, Values]:
    """Variance of the noise of the mean difference and of the deviations from it.

    Parameters
    ----------
    steps : ndarray of float, shape (n,)
        Durations of the differences, relative to their mean.
    used : ndarray of bool, shape (n,)
        Differences that are part of the mean; at least one.
    share_reads : bool
        Whether each difference ends with the read with which the next one begins.

    Returns
    -------
    of_mean : float
        Variance of the mean per unit of duration, relative to that of one difference.
    of_deviations : ndarray of float64, shape (n,)
        Variance of each difference minus its share of the mean; 0 for differences not used.

    Notes
    -----
    The covariance of two differences with a common read is -1/2 of the variance of one.

    Examples
    --------
    >>> import numpy as np
    >>> from deflicker.cleaning.light_guard import variance_factors
    >>> variance_factors(np.ones(2), np.ones(2, bool), share_reads=True)
    (0.25, array([0.75, 0.75]))
    """
    n = len(steps)
    covariance = np.eye(n)
    if share_reads:
        covariance -= 0.5 * (np.eye(n, k=1) + np.eye(n, k=-1))
    weights = used.astype(np.float64) / float(steps[used].sum())
    with_mean = covariance @ weights
    of_mean = float(weights @ with_mean)
    of_deviations = 1 - 2 * steps * with_mean + steps**2 * of_mean
    return of_mean, np.where(used, of_deviations, 0.0)


def noise_in_fits(mean: Values, power: Values, *, n_deviations: int) -> Values:
    """Noise in the mean of fits, some of whose waves contain light.

    Parameters
    ----------
    mean : ndarray of float64, shape (n_slow, n)
        Mean of all fits: images, or coefficients of rows, each column a shape of its own.
    power : ndarray of float64, shape (n_slow, n)
        Power of the cosine waves along both axes that noise alone would have, measured from
        the deviations from the mean.
    n_deviations : int
        Number of independent deviations.

    Returns
    -------
    ndarray of float64, shape (n_slow, n)
        The mean, less of it at frequencies at which it is significantly stronger than noise can
        be.

    Notes
    -----
    In each octave of both frequencies, the power is that of noise and light, S + L. Its waves are
    multiplied by ``S / (S + L)``, which is the Wiener filter for noise of the power S
    beside light of the power L. What it leaves of the noise and takes of the light together
    has at most the power of the noise, whatever the light is. The level stays: it is
    what ``background_method`` leaves. The first wave across the outputs is their mean, which
    contains most of the noise; light shows in the others.
    """
    waves = dctn(mean, norm="ortho")
    columns = _octaves(mean.shape[1])
    n_tests = int(columns.max()) + 1
    band = _octaves(len(mean))[:, np.newaxis] * n_tests + columns
    number = np.bincount(band.ravel()).astype(np.float64)
    found = np.bincount(band.ravel(), (waves**2).ravel())
    expected = np.bincount(band.ravel(), power.ravel())
    first = slice(n_tests, 2 * n_tests)
    number[first] *= EFFECTIVE
    missed = np.full((len(number) // n_tests, n_tests), (1 - LIKELY) / n_tests)
    freedom = {"freedom": number, "measured": number * max(n_deviations, 1)}
    share = noise_share(found, expected, **freedom, probability=1 - missed.ravel())
    if len(missed) > 2:
        missed[2:, share[first] == 1] = 1 - SIGNIFICANCE
        share = noise_share(found, expected, **freedom, probability=1 - missed.ravel())
    share[0] = 1.0  # the level
    return idctn(share[band] * waves, norm="ortho")


def spare_light(
    fits: list[DifferenceFit], steps: NDArray[np.floating], *, share_reads: bool
) -> tuple[list[DifferenceFit], SharedPower | None]:
    """Return light that the fits have in common to the differences.

    Parameters
    ----------
    fits : list of DifferenceFit
        Fits of differences with the same light.
    steps : ndarray of float, shape (n,)
        Durations of the differences, relative to their mean.
    share_reads : bool
        Whether each difference ends with the read with which the next one begins.

    Returns
    -------
    fits : list of DifferenceFit
        The fits without the light.
    power : SharedPower or None
        What was found; None if there are no two fits to compare.
    """
    used = np.array([one.n_used > 0 and not one.dropped for one in fits])
    if np.count_nonzero(used) < 2:
        return fits, None
    shapes = fits[0].noise.shapes
    of_mean, of_deviations = variance_factors(steps, used, share_reads=share_reads)
    duration = float(steps[used].sum())
    mean = np.zeros(fits[0].noise.coefficients.shape)
    for one in np.flatnonzero(used):
        mean += fits[one].noise.coefficients
    mean /= duration
    power = np.zeros_like(mean)
    for one in np.flatnonzero(used):
        deviation = fits[one].noise.coefficients - steps[one] * mean
        power += dctn(deviation, norm="ortho") ** 2
    expected = power * (of_mean / of_deviations.sum())
    noise = noise_in_fits(mean, expected, n_deviations=int(np.count_nonzero(used)) - 1)
    found = float(np.mean(mean**2))
    summary = SharedPower(
        found=found,
        expected=float(np.mean(expected)),
        kept=float(np.mean(noise**2)) / found if found > 0 else 1.0,
    )
    # Rows without usable pixels keep what they have.
    light = np.where(mean == 0, 0, mean - noise).astype(np.float32)
    if not light.any():
        return fits, summary
    without = [
        replace(one, noise=one.noise + NoiseImage(light, shapes).scaled(-float(steps[k])))
        if used[k]
        else one
        for k, one in enumerate(fits)
    ]
    return without, summary


def guard_light(
    found: Iterable[tuple[Item, int, DifferenceFit]],
    steps: NDArray[np.floating],
    *,
    n_integrations: int,
    share_reads: bool,
    record: Callable[[SharedPower], object],
) -> Iterator[tuple[Item, int, DifferenceFit]]:
    """Spare the light in the fits of an exposure, one integration after the other.

    Parameters
    ----------
    found : iterable of tuple
        Integration, index of the difference, and its fit, in order.
    steps : ndarray of float, shape (n_differences,)
        Durations of the differences of an integration, relative to their mean.
    n_integrations : int
        Number of integrations. If they have only one difference each, they are compared with
        each other.
    share_reads : bool
        Whether each difference ends with the read with which the next one begins.
    record : callable
        Called with the power of the mean of each set of fits.

    Yields
    ------
    tuple
        The same with corrected fits.
    """
    alone = len(steps) == 1
    size = n_integrations if alone else len(steps)
    if alone:
        steps = np.ones(n_integrations)
    held: list[tuple[Item, int, DifferenceFit]] = []
    for one in found:
        held.append(one)
        if len(held) < size:
            continue
        fits, power = spare_light(
            [fitted for _, _, fitted in held], steps, share_reads=share_reads and not alone
        )
        if power is not None:
            record(power)
        for (integration, j, _), fitted in zip(held, fits, strict=True):
            yield integration, j, fitted
        held = []
    yield from held


def _octaves(n: int) -> NDArray[np.int_]:
    """Number of the octave of each of ``n`` waves: 0 the level, 1 the next seven, then octaves."""
    octaves = np.maximum(np.log2(np.maximum(np.arange(n), 1)).astype(int), 2) - 1
    octaves[0] = 0
    return octaves
