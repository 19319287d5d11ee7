"""Power spectrum of the light that is neither masked nor smooth, measured from the image itself."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.clock import Clock
from deflicker.noise.wiener.prior import NoisePrior, in_modes
from deflicker.noise.wiener.records import Records, Spectra
from deflicker.noise.wiener.tuning import WienerTuning

__all__ = ["LightPower", "ModePowers", "Waves"]

BINS_PER_OCTAVE = 2
FEWEST_WAVES = 6  # in a bin from which a power is measured
MOST_FALL, MOST_RISE = 4.0, 16.0  # factors of the power from one solution to the next
LEAST_OF_WHITE = 1e-3

Powers = NDArray[np.float64]


@dataclass(frozen=True)
class Waves:
    """The waves in an image that the frequencies of its records are.

    Parameters
    ----------
    frequency : ndarray of float64, shape (size // 2 + 1,)
        Cycles per pixel, whatever the direction.
    along_rows : ndarray of bool, shape (size // 2 + 1,)
        True for waves that are constant along the rows of an output, or nearly so: stripes.

    Notes
    -----
    A frequency of f cycles per tick has f cycles per pixel along the fast axis, and along the slow
    axis the fractional part of f times the ticks of a row.
    """

    frequency: Powers
    along_rows: NDArray[np.bool_]

    @classmethod
    def of(cls, records: Records) -> "Waves":
        """Waves of the frequencies of records."""
        clock = records.clock
        cycles = np.arange(records.size // 2 + 1) / records.size
        across = cycles * clock.row_ticks
        across -= np.round(across)
        fast = cycles / clock.binning
        return cls(np.hypot(fast, across), fast < 1.5 / (clock.width * clock.binning))


@dataclass(frozen=True, kw_only=True)
class ModePowers:
    """How an image filtered by the inverse of its covariance compares with what is expected.

    Parameters
    ----------
    waves : Waves
        The waves.
    observed : ndarray of float64, shape (size // 2 + 1,)
        Squared amplitude of the image multiplied by its inverse covariance, summed over outputs.
    variances : tuple of ndarray of float64, shape (size // 2 + 1,)
        Power of noise, light and white noise of the mean of the outputs, and of their
        deviations from it.
    n_outputs : int
        Number of outputs.
    white : float
        Power of the white noise of a used pixel.
    used : float
        Fraction of the ticks at which a pixel is used.

    Notes
    -----
    With a variance D for white noise of one pixel, a fraction f of used pixels has an expected
    power of ``f / D``: at weak signals the pixels that are missing do not contribute, and at
    strong signals the others determine only this fraction of the waves.
    """

    waves: Waves
    observed: Powers
    variances: tuple[Powers, Powers]
    n_outputs: int
    white: float
    used: float

    @classmethod
    def of(
        cls,
        total: Spectra,
        prior: NoisePrior,
        records: Records,
        waves: Waves,
        *,
        mean_weight: float,
        used: float,
    ) -> "ModePowers":
        """Powers of a solution for noise and light together.

        Parameters
        ----------
        total : ndarray of complex64, shape (n_outputs, size // 2 + 1)
            Posterior mean of noise and light.
        prior : NoisePrior
            Prior of noise and light.
        records : Records
            Order of the pixels.
        waves : Waves
            The waves of the records.
        mean_weight : float
            Mean inverse variance of the ticks, including unused ones (0); positive.
        used : float
            Fraction of the ticks that are used.

        Returns
        -------
        ModePowers
            Observed and expected powers. The prior's inverse applied to the posterior mean is
            the inverse covariance applied to the data.
        """
        one = np.float32(1)
        filtered = in_modes(total, one / prior.mean, one / prior.deviation)
        observed = np.zeros(total.shape[1])
        for output in filtered:
            observed += np.square(output.real, dtype=np.float64)
            observed += np.square(output.imag, dtype=np.float64)
        white = used / mean_weight
        variances = (prior.mean + np.float64(white), prior.deviation + np.float64(white))
        return cls(
            waves=waves,
            observed=observed,
            variances=variances,
            n_outputs=records.clock.n_outputs,
            white=white,
            used=used,
        )

    @property
    def expected(self) -> Powers:
        """Expected value of ``observed``."""
        mean, deviation = self.variances
        return self.used * (1 / mean + (self.n_outputs - 1) / deviation)

    @property
    def information(self) -> Powers:
        """Inverse variance of a measured power of the light."""
        mean, deviation = self.variances
        return self.used * (1 / mean**2 + (self.n_outputs - 1) / deviation**2)

    def excess(self, *, below: float) -> float:
        """Observed power of all slow waves relative to the expected one.

        Parameters
        ----------
        below : float
            Highest frequency in cycles per pixel.

        Returns
        -------
        float
            About 1 if noise, sky and light explain the image.
        """
        slow = self.waves.frequency < below
        return float(self.observed[slow].sum() / self.expected[slow].sum())


@dataclass(frozen=True)
class LightPower:
    """Power of light against spatial frequency, the same in all directions, but not for stripes.

    Parameters
    ----------
    lowest : float
        Frequency of the first bin in cycles per pixel; the next ones follow at half octaves.
    log_power : ndarray of float64, shape (n_bins,), optional
        Logarithm of the power, normalised such that white noise has its variance per pixel at all
        frequencies. None as long as no light was measured.
    log_stripes : ndarray of float64, shape (n_bins,), optional
        The same for waves that are constant along rows, where it is larger.
    tuning : WienerTuning, optional
        Tuning constants.

    Notes
    -----
    The power is measured by maximum likelihood (Fisher scoring, as for the power spectra of the
    cosmic microwave background, e.g. Bond, Jaffe and Knox 1998, Phys. Rev. D 57, 2117): noise
    and white noise are known, and what an image contains beyond them is light. As nearly
    all power of the noise is in stripes, the other directions determine the light. Stripes of the
    light are believed only where they are significant. Light is never taken to be weaker on
    larger scales.
    """

    lowest: float
    log_power: Powers | None = None
    log_stripes: Powers | None = None
    tuning: WienerTuning = field(default_factory=WienerTuning)

    @classmethod
    def none(cls, clock: Clock, tuning: WienerTuning) -> "LightPower":
        """No light, in an image that is read in a given order."""
        return cls(1 / max(clock.n_slow, clock.n_fast * clock.binning), tuning=tuning)

    def at(self, waves: Waves, *, binning: int = 1) -> NDArray[np.float32]:
        """Power at the frequencies of records.

        Parameters
        ----------
        waves : Waves
            The waves of the records.
        binning : int, optional
            Number of pixels that are averaged in each tick.

        Returns
        -------
        ndarray of float32, shape (size // 2 + 1,)
            The power of the means of pixels; 0 if no light was measured.
        """
        if self.log_power is None or self.log_stripes is None:
            return np.zeros(len(waves.frequency), dtype=np.float32)
        place = np.minimum(self._place(waves), len(self.log_power) - 1)
        bins = np.arange(len(self.log_power))
        power = np.interp(place, bins, self.log_power)
        stripes = waves.along_rows
        both = np.maximum(self.log_power, self.log_stripes)
        power[stripes] = np.interp(place[stripes], bins, both)
        return (np.exp(power) / binning).astype(np.float32)

    def measured(self, powers: ModePowers, *, binning: int = 1) -> "LightPower":
        """Measure the light again, from a solution that assumed this light.

        Parameters
        ----------
        powers : ModePowers
            Powers of the solution.
        binning : int, optional
            Number of pixels that are averaged in each tick.

        Returns
        -------
        LightPower
            The light that makes the observed powers likely.
        """
        stripes = powers.waves.along_rows
        place = self._place(powers.waves)
        numbers = np.rint(place).astype(int)
        n_bins = int(numbers.max()) + 1
        light = self.at(powers.waves, binning=binning).astype(np.float64)
        floor = np.log(LEAST_OF_WHITE * powers.white * binning)

        def update(some: NDArray[np.bool_], before: Powers | None, significant: float) -> Powers:
            template = np.ones(np.count_nonzero(some)) if before is None else light[some]
            index = numbers[some]
            more = (powers.observed - powers.expected)[some] * template
            weight = powers.information[some] * template**2
            information = np.bincount(index, weight, n_bins)
            amplitude = np.bincount(index, more, n_bins) / np.maximum(information, 1e-300)
            error = 1 / np.sqrt(np.maximum(information * powers.used, 1e-300))
            if before is None:
                found = np.where(amplitude > significant * error, amplitude * binning, 0.0)
                return np.maximum(np.log(np.maximum(found, 1e-300)), floor)
            factor = np.clip(1 + amplitude, 1 / MOST_FALL, MOST_RISE)
            # Light that is not significant fades away.
            factor = np.where(factor < significant * error, np.minimum(factor, 0.5), factor)
            factor[information <= 0] = 1.0
            return np.maximum(before + np.log(factor), floor)

        tuning = self.tuning
        power = update(~stripes, self.log_power, tuning.significant_light)
        known = np.bincount(numbers[~stripes], minlength=n_bins) > FEWEST_WAVES
        first = int(np.argmax(known))
        # The largest scales have only stripes: a power law continues the light there.
        if power[first] > floor:
            rise = tuning.light_slope * np.log(2) / BINS_PER_OCTAVE
            power[:first] = power[first] + rise * (first - np.arange(first))
        power = np.maximum.accumulate(power[::-1])[::-1]
        return replace(
            self,
            log_power=power,
            log_stripes=update(stripes, self.log_stripes, tuning.significant_stripes),
        )

    def _place(self, waves: Waves) -> Powers:
        """Place of the waves on the axis of the bins."""
        relative = np.maximum(waves.frequency / self.lowest, 1.0)
        return np.log2(relative) * BINS_PER_OCTAVE
