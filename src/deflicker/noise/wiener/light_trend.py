"""Light that is not linear in time as the groups are counted: what it leaves in differences.

Times that nobody knows, groups that were dropped or averaged, and a response that is not quite
linear leave light in the differences from their mean, which would be taken for noise.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.noise.wiener.mean_image import MeanImage
from deflicker.noise.wiener.solver import NoisePrior, Records
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.stats.constants import MAD_TO_SIGMA

__all__ = ["LightTrend"]

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]
Matrix = NDArray[np.float64]

FEWEST = 30  # bright pixels
MOST = 1 << 17  # bright pixels; more tell hardly more
ROUNDS = 3
BLOCK = 32  # pixels of a side of the chessboard whose halves must agree; larger than a star
LEAST_FREEDOM = 1e-3  # of a pixel from its own residual
# Of the larger eigenvalue: light of about one brightness tells but one of the two, and what
# is left of the other is noise of the mean.
SAME = 1e-2
TINY = 1e-9


@dataclass(frozen=True, kw_only=True)
class LightTrend:
    """Bright pixels of a mean, and how well they tell a trend.

    Parameters
    ----------
    places : ndarray of int64, shape (n,)
        Flat indices of bright pixels.
    light : ndarray of float64, shape (n,)
        Their light above the level in units of ``unit``.
    weights : ndarray of float64, shape (n,)
        Inverse variances in 1 / DN squared.
    level, unit : float
        In DN.
    noise : ndarray of float64, shape (2, 2)
        Covariance of the weighted sums of light and its square by the correlated noise of
        one read.
    variance : float
        Of a pixel in one read.
    tuning : WienerTuning, optional
        Numbers that were chosen.
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
        """Choose bright pixels of a mean.

        Parameters
        ----------
        mean : MeanImage
            Mean of all differences.
        spectrum : NoiseSpectrum
            Noise of one read.
        records : Records
            Order of the pixels.
        photon_variance_per_dn : float
            Photon variance of a difference for each DN of light.
        allowed : ndarray of bool, shape (n_slow, n_fast)
            Pixels that may be used; somewhere.
        tuning : WienerTuning, optional
            Numbers that were chosen.

        Returns
        -------
        LightTrend or None
            None where hardly anything is bright.
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
        """Subtract from a difference the light that the mean has not, in place.

        Parameters
        ----------
        values : ndarray of float32, shape (n_slow, n_fast)
            Difference without the mean in DN; changed where there is a trend.
        good : ndarray of bool, shape (n_slow, n_fast)
            True where it may be used.
        mean : ndarray of float32, shape (n_slow, n_fast)
            The mean in DN.
        factor : float
            Variance of the noise for a unit of that of a read.
        shared : float, optional
            Covariance of the noise with that of the mean, for the same unit: without its
            known effect on the sums, the noise itself would be a trend.

        Returns
        -------
        float
            Fraction of the light by which the difference is brighter than the mean; 0 where
            the noise may have made what is found, which is then not removed.

        Notes
        -----
        ``scale * x + bend * x**2`` of light x by weighted least squares, with the covariance
        that correlated noise gives the two, and residuals (MacKinnon and White 1985, J.
        Econometrics 29, 305: HC3). The first is of the times of the groups, the
        second of a response that is not linear. Each half of the image, in a chessboard of
        blocks, must be better without what the other half tells: a hit that is not flagged,
        or a source that varies, is in one of them alone.
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
        with np.errstate(invalid="ignore", over="ignore"):  # of what is not good
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
        # What the noise of the mean, which is in the terms too, changes them by.
        slopes = np.stack([np.ones_like(self.light), 2 * self.light])
        slopes *= shared * self.variance / self.unit
        used = good & np.isfinite(values)
        data = np.where(used, values, np.float32(0)).astype(np.float64)
        limit = self.tuning.outlier_sigma * np.sqrt(factor * self.variance + 1 / self.weights)
        # Hits are bright in the mean, and would be a trend themselves. Most pixels tell about
        # what it is, each with one voice, however bright it is.
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
        # White and photon noise as the residuals tell, of what they would be without their pixel.
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
    """Flat indices of bright pixels that miss no difference, and the level of all."""
    level = float(np.median(mean.values[allowed]))
    steps = (mean.values[:, 1:] - mean.values[:, :-1])[allowed[:, 1:] & allowed[:, :-1]]
    sigma = MAD_TO_SIGMA * float(np.median(np.abs(steps))) / 2**0.5 if steps.size else 0.0
    bright = mean.values > np.float32(level + n_sigma * sigma)
    bright &= allowed & mean.complete
    places = np.flatnonzero(bright)
    return places[:: len(places) // MOST + 1], level
