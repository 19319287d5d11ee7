"""Light that is not linear in the assumed group times, and its residual in differences.

Unknown group times, groups that were dropped or averaged, and a response that is not quite
linear leave light in the deviations of the differences from their mean. Without a correction,
this light would be taken for noise.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.noise.wiener.mean_image import MeanImage
from deflicker.noise.wiener.prior import NoisePrior
from deflicker.noise.wiener.records import Records
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.stats.constants import MAD_TO_SIGMA

__all__ = ["LightTrend"]

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]
Matrix = NDArray[np.float64]

FEWEST = 30  # bright pixels
MOST = 1 << 17  # bright pixels; more hardly improve the fit
ROUNDS = 3
BLOCK = 32  # pixels; side of the chessboard squares, larger than a star
LEAST_FREEDOM = 1e-3  # least value of 1 - leverage
# Relative to the larger eigenvalue: pixels of about the same brightness determine only one of the
# two coefficients, and the other would fit the noise of the mean.
SAME = 1e-2
NO_LIGHT = -0.8
TINY = 1e-9


@dataclass(frozen=True, kw_only=True)
class LightTrend:
    """Bright pixels of a mean, and how well they constrain a trend.

    Parameters
    ----------
    places : ndarray of int64, shape (n,)
        Flat indices of bright pixels.
    light : ndarray of float64, shape (n,)
        Their light above the level in units of ``unit``.
    weights : ndarray of float64, shape (n,)
        Inverse variances in 1 / DN squared.
    level, unit : float
        Median of the mean, and rms of the light above it, in DN.
    noise : ndarray of float64, shape (2, 2)
        Covariance of the weighted sums over the light and its square due to the correlated
        noise of one read.
    variance : float
        Noise variance of a pixel in one read, in DN squared.
    tuning : WienerTuning, optional
        Tuning constants.
    """

    places: NDArray[np.int64]
    light: Matrix
    weights: Matrix
    level: float
    unit: float
    noise: Matrix
    variance: float
    tuning: WienerTuning = field(default_factory=WienerTuning)

    @classmethod
    def of(
        cls,
        mean: MeanImage,
        spectrum: NoiseSpectrum,
        records: Records,
        *,
        photon_variance_per_dn: float,
        allowed: Usable,
        tuning: WienerTuning | None = None,
    ) -> "LightTrend | None":
        """Select the bright pixels of a mean.

        Parameters
        ----------
        mean : MeanImage
            Mean of all differences.
        spectrum : NoiseSpectrum
            Noise of one read.
        records : Records
            Order of the pixels.
        photon_variance_per_dn : float
            Photon variance of a difference per DN of light.
        allowed : ndarray of bool, shape (n_slow, n_fast)
            Pixels that may be used; at least one.
        tuning : WienerTuning, optional
            Tuning constants.

        Returns
        -------
        LightTrend or None
            None if there are too few bright pixels.
        """
        tuning = tuning or WienerTuning()
        places, level = _bright(mean, allowed, tuning.bright_sigma)
        if len(places) < FEWEST:
            return None
        light = mean.values.ravel()[places].astype(np.float64) - level
        unit = float(np.sqrt(np.mean(light**2)))
        light /= unit
        variance = spectrum.white + spectrum.correlated_variance
        photons = photon_variance_per_dn * unit * light
        weights = 1 / (mean.reads * variance + photons)
        terms = np.stack([light, light**2]) * weights
        prior = NoisePrior.of(spectrum, records)
        sums = []
        for term in terms:
            image = np.zeros(mean.values.shape, dtype=np.float32)
            image.flat[places] = term / weights.max()
            sums.append(records.spectra(records.filled(image)))
        covariance = np.array(
            [[records.product(one, prior.apply(other)) for other in sums] for one in sums]
        )
        covariance *= weights.max() ** 2
        return cls(
            places=places,
            light=light,
            weights=weights,
            level=level,
            unit=unit,
            noise=covariance,
            variance=variance,
            tuning=tuning,
        )

    def remove(
        self, values: Image, good: Usable, mean: Image, *, factor: float, shared: float = 0.0
    ) -> float:
        """Subtract from a deviation the light that does not scale with the mean, in place.

        Parameters
        ----------
        values : ndarray of float32, shape (n_slow, n_fast)
            Deviation of a difference from the mean in DN; changed if there is a trend.
        good : ndarray of bool, shape (n_slow, n_fast)
            True where it may be used.
        mean : ndarray of float32, shape (n_slow, n_fast)
            The mean in DN.
        factor : float
            Variance of the noise relative to that of one read.
        shared : float, optional
            Covariance of the noise with that of the mean, relative to the variance of one
            read. Its expected effect on the fit is subtracted; otherwise the noise itself would
            look like a trend.

        Returns
        -------
        float
            Fraction of the light by which the difference is brighter than the mean; 0 if the
            trend is not significant, and then nothing is subtracted.

        Notes
        -----
        Fits ``scale * x + bend * x**2`` to the light x by weighted least squares: ``scale`` is
        due to errors of the group times, ``bend`` to a nonlinear response. The covariance of
        the coefficients is the sum of that due to correlated noise and of that estimated from
        the residuals (HC3: MacKinnon and White 1985, J. Econometrics 29, 305). A chessboard of
        blocks divides the image into two halves. The trend fitted to either half must reduce
        the residuals of the other, which an unflagged hit or a variable source does not,
        because it is in only one of them.
        """
        observed = good.flat[self.places]
        rows, columns = np.divmod(self.places, values.shape[1])
        fitted = self._fit(
            values.flat[self.places],
            observed,
            factor=factor,
            shared=shared,
            half=(rows // BLOCK + columns // BLOCK) % 2 == 0,
        )
        if fitted is None:
            return 0.0
        scale, bend = fitted[0] / self.unit, fitted[1] / self.unit**2
        if scale < NO_LIGHT:
            return 0.0  # a difference without any of the light: this is that of unflagged hits
        with np.errstate(invalid="ignore", over="ignore"):  # in pixels that are not good
            light = mean - np.float32(self.level)
            light *= np.float32(scale) + np.float32(bend) * light
            values -= light
        return scale

    def _fit(
        self,
        values: NDArray[np.float32],
        good: Usable,
        *,
        factor: float,
        shared: float,
        half: Usable,
    ) -> Matrix | None:
        """Significant coefficients of the light and its square in units of ``unit``."""
        terms = np.stack([self.light, self.light**2])
        # The noise of the mean is in the terms as well as in the data, and biases their products.
        slopes = np.stack([np.ones_like(self.light), 2 * self.light])
        slopes *= shared * self.variance / self.unit
        used = good & np.isfinite(values)
        data = np.where(used, values, np.float32(0)).astype(np.float64)
        limit = self.tuning.outlier_sigma * np.sqrt(factor * self.variance + 1 / self.weights)
        # Unflagged hits are bright in the mean, and would look like a trend. The median gives a
        # first estimate in which each pixel counts the same, however bright it is.
        if np.count_nonzero(used) < FEWEST:
            return None
        middle = float(np.median(data[used] / self.light[used]))
        used &= (
            np.abs(data - middle * self.light) < limit + self.tuning.bend * self.unit * self.light
        )

        def solve(weights: Matrix) -> tuple[Matrix, Matrix]:
            inverse = np.linalg.pinv(
                (terms * weights) @ terms.T, rcond=SAME, hermitian=True
            ).astype(np.float64)
            return inverse, inverse @ (terms @ (weights * data) - slopes @ weights)

        for _ in range(ROUNDS):
            if np.count_nonzero(used) < FEWEST:
                return None
            weights = self.weights * used
            inverse, found = solve(weights)
            used &= np.abs(data - found @ terms) < limit
        # White and photon noise from the leave-one-out residuals (HC3).
        leverage = np.einsum("ip,ij,jp->p", terms, inverse, terms) * weights
        residual = weights * (data - found @ terms) / np.maximum(1 - leverage, LEAST_FREEDOM)
        scores = terms * residual
        covariance = inverse @ (factor * self.noise + scores @ scores.T) @ inverse
        chi_squared = found @ np.linalg.pinv(covariance, rcond=TINY, hermitian=True) @ found
        if not chi_squared > self.tuning.trend_chi_squared:
            return None
        for part in (half, ~half):
            trend = solve(weights * ~part)[1] @ terms
            if not np.sum((weights * part) * (2 * data - trend) * trend) > 0:
                return None
        return found


def _bright(mean: MeanImage, allowed: Usable, n_sigma: float) -> tuple[NDArray[np.int64], float]:
    """Flat indices of bright pixels with all differences valid, and the median of the mean."""
    level = float(np.median(mean.values[allowed]))
    steps = (mean.values[:, 1:] - mean.values[:, :-1])[allowed[:, 1:] & allowed[:, :-1]]
    sigma = MAD_TO_SIGMA * float(np.median(np.abs(steps))) / 2**0.5 if steps.size else 0.0
    bright = mean.values > np.float32(level + n_sigma * sigma)
    bright &= allowed & mean.complete
    places = np.flatnonzero(bright)
    return places[:: len(places) // MOST + 1], level
