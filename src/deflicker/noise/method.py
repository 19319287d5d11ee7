"""What a noise method is: the protocol by which the recipe asks for fits."""

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

__all__ = ["Integration", "Job", "NoiseMethod", "Plan"]


Tuning = TypeVar("Tuning")


class Integration(Protocol):
    """One integration, whose differences are fitted on several threads."""

    @property
    def number(self) -> int:
        """Index of the integration."""

    def fit(self, j: int, buffer: NDArray[np.float32], /) -> DifferenceFit:
        """Fit a difference; groups ``j`` and ``j + 1`` must be as they came."""


def _say_nothing(noise_rms: float, /) -> None:
    """Report nothing."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is known before the fits: the mask, and the integrations that can fit.

    Parameters
    ----------
    mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx)
        Scene mask; True where the pixel may be used.
    integrations : iterable of Integration
        All of the exposure, in order.
    n_threads : int
        Differences that are fitted at the same time.
    n_sigma : float
        Clipping level with which the method works.
    flat : ndarray of float32, shape (n_slow, n_fast), or None, optional
        What noise and background are to be multiplied by, in the detector frame.
    spectrum : NoiseSpectrum or None, optional
        Noise of one read, where the method measures it.
    report : callable, optional
        Says what was found, given the rms of the noise that was removed.
    """

    mask: NDArray[np.bool_]
    integrations: Iterable[Integration]
    n_threads: int
    n_sigma: float
    flat: NDArray[np.float32] | None = None
    spectrum: NoiseSpectrum | None = None
    report: Callable[[float], None] = _say_nothing


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be cleaned, and what is known of it before any fit.

    Parameters
    ----------
    maker : MaskMaker
        Exposure, options, flat field and science regions.
    user_mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx), or None
        The scene mask to use; one is made where there is none.
    tuning : dataclass or None, optional
        Numbers of the method or of the background of a series that are to be others than
        those that were chosen.
    """

    maker: MaskMaker
    user_mask: NDArray[np.bool_] | None = None
    tuning: object | None = None

    def tuning_of(self, kind: type[Tuning]) -> Tuning:
        """Numbers of one kind.

        Parameters
        ----------
        kind : type
            Dataclass of tunables.

        Returns
        -------
        kind
            Those of the job, or those that were chosen.
        """
        return self.tuning if isinstance(self.tuning, kind) else kind()

    @property
    def exposure(self) -> Exposure:
        """The exposure."""
        return self.maker.exposure

    @property
    def options(self) -> CleanOptions:
        """How it is to be cleaned."""
        return self.maker.options

    @property
    def flat(self) -> NDArray[np.float32] | None:
        """Flat field in the detector frame, a copy; None where there is none."""
        flat = self.maker.flat
        return None if flat is None else self.exposure.readout.to_detector_copy(flat)


class NoiseMethod(Protocol):
    """A way to find the noise of an exposure, under one value of ``fit_method``."""

    @property
    def name(self) -> str:
        """Value of ``fit_method``."""

    @property
    def instruments(self) -> frozenset[str]:
        """Names of the instruments that it is for, in capitals."""

    @property
    def detectors(self) -> str:
        """The same in words, for a message."""

    @property
    def needs_background(self) -> bool:
        """Whether a background is removed first; else the method fits the light itself."""

    @property
    def measures_spectrum(self) -> bool:
        """Whether its plan has a spectrum."""

    @property
    def suits_choice(self) -> bool:
        """Whether ``autoparam`` can choose options for it."""

    @property
    def allocates_much(self) -> bool:
        """Whether threads need large arrays of their own for a short time."""

    def ignored(self, options: CleanOptions, readout: Readout) -> list[str]:
        """Warnings of options that do not apply."""

    def plan(self, job: Job) -> Plan:
        """Find all that is to be known before the fits."""
