"""Protocol of the noise methods, by which the cleaning recipe asks for fits."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.readout import Readout
from deflicker.noise.fit import DifferenceFit
from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.options import CleanOptions
from deflicker.ramps.exposure import Exposure
from deflicker.scene.draft_masks import MaskMaker
from deflicker.scene.known_light import KnownLight

__all__ = ["Integration", "Job", "NoiseMethod", "Plan", "RemovedNoise", "SharedPower"]


Tuning = TypeVar("Tuning")


class Integration(Protocol):
    """One integration, whose differences are fitted on several threads."""

    @property
    def number(self) -> int:
        """Index of the integration."""

    def fit(self, j: int, buffer: NDArray[np.float32], /) -> DifferenceFit:
        """Fit a difference; groups ``j`` and ``j + 1`` must not have been cleaned."""


@dataclass(frozen=True)
class RemovedNoise:
    """Estimate of how much noise a cleaning removes.

    Parameters
    ----------
    differences, rate : float
        Fractions of the variance of the correlated noise that are removed from the differences
        and from their mean; negative if light adds more variance than noise is removed.
    """

    differences: float
    rate: float


@dataclass(frozen=True, kw_only=True)
class SharedPower:
    """Power of the mean of an integration's fits.

    Parameters
    ----------
    found : float
        Mean square of the mean of the fits, in the squared unit of the data.
    expected : float
        That of the noise of the mean, from the scatter of the fits.
    kept : float
        Fraction of ``found`` that is still subtracted.
    """

    found: float
    expected: float
    kept: float


def _say_nothing(noise_rms: float, /) -> None:
    """Report nothing."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Preparation of the fits: the mask, and the integrations whose differences are fitted.

    Parameters
    ----------
    mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx)
        Scene mask; True where the pixel may be used.
    integrations : iterable of Integration
        All integrations of the exposure, in order.
    n_threads : int
        Number of differences that are fitted at the same time.
    n_sigma : float
        Clipping level that the method uses.
    flat : ndarray of float32, shape (n_slow, n_fast), or None, optional
        Flat field by which noise and background are to be multiplied, in the detector frame.
    may_share_light : bool, optional
        Whether the fits of all differences may contain the same light, which the recipe must find.
    without_light : bool, optional
        Whether the fits contain no light, and are judged by differences without their light.
    shared : SharedPower or None, optional
        Power of the mean of the fits, if the method itself compared it with that of noise.
    spectrum : NoiseSpectrum or None, optional
        Spectrum of the noise of one read, if the method measures it.
    report : callable, optional
        Logs the results, given the rms of the noise that was removed, and returns an estimate of
        the removed fraction if there is one.
    """

    mask: NDArray[np.bool_]
    integrations: Iterable[Integration]
    n_threads: int
    n_sigma: float
    flat: NDArray[np.float32] | None = None
    may_share_light: bool = False
    without_light: bool = False
    shared: SharedPower | None = None
    spectrum: NoiseSpectrum | None = None
    report: Callable[[float], RemovedNoise | None] = _say_nothing


@dataclass(frozen=True, kw_only=True)
class Job:
    """Exposure that is to be cleaned, with everything that is known before any fit.

    Parameters
    ----------
    maker : MaskMaker
        Exposure, options, flat field and science regions.
    user_mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx), or None
        Scene mask to use; made from the draft rates if None.
    tuning : dataclass or None, optional
        Tuning constants of the method, or of the background of a series, that replace the
        default ones.
    """

    maker: MaskMaker
    user_mask: NDArray[np.bool_] | None = None
    tuning: object | None = None

    @property
    def known(self) -> KnownLight | None:
        """Known light of a difference of mean duration in the detector frame, in DN."""
        known = self.maker.known
        if known is None:
            return None
        readout, scaled = self.exposure.readout, known.scaled(self.exposure.seconds)
        return KnownLight(
            light=readout.to_detector_copy(scaled.light),
            error=readout.to_detector_copy(scaled.error),
        )

    def tuning_of(self, kind: type[Tuning]) -> Tuning:
        """Tuning constants of one kind.

        Parameters
        ----------
        kind : type
            Dataclass of tuning constants.

        Returns
        -------
        kind
            The constants of the job, or the default ones.
        """
        return self.tuning if isinstance(self.tuning, kind) else kind()

    @property
    def exposure(self) -> Exposure:
        """The exposure."""
        return self.maker.exposure

    @property
    def options(self) -> CleanOptions:
        """Options of the cleaning."""
        return self.maker.options

    @property
    def flat(self) -> NDArray[np.float32] | None:
        """Copy of the flat field in the detector frame; None if there is none."""
        flat = self.maker.flat
        return None if flat is None else self.exposure.readout.to_detector_copy(flat)


class NoiseMethod(Protocol):
    """A way to find the noise of an exposure, under one value of ``fit_method``."""

    @property
    def name(self) -> str:
        """Value of ``fit_method``."""

    @property
    def instruments(self) -> frozenset[str]:
        """Names, in capitals, of the instruments to which it applies."""

    @property
    def detectors(self) -> str:
        """The instruments or detectors in words, for a message."""

    @property
    def needs_background(self) -> bool:
        """Whether a background is removed first; otherwise the method fits the light itself."""

    @property
    def measures_spectrum(self) -> bool:
        """Whether its plan contains a spectrum."""

    @property
    def suits_choice(self) -> bool:
        """Whether ``autoparam`` can choose options for it."""

    @property
    def allocates_much(self) -> bool:
        """Whether each thread temporarily needs large arrays."""

    def ignored(self, options: CleanOptions, readout: Readout) -> list[str]:
        """Warnings about options that have no effect.

        Parameters
        ----------
        options : CleanOptions
            What was asked for.
        readout : Readout
            Of the detector.

        Returns
        -------
        list of str
            One for each option.
        """

    def plan(self, job: Job) -> Plan:
        """Prepare the fits.

        Parameters
        ----------
        job : Job
            What is to be cleaned.

        Returns
        -------
        Plan
            The mask, and the integrations that can be fitted.
        """
