"""The method ``wiener``."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from deflicker.detector.facts import NEAR_INFRARED
from deflicker.detector.readout import Readout
from deflicker.noise.method import Job, Plan
from deflicker.noise.wiener.estimate import report_fit
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.noise.wiener.wiener_fit import clipping_level, fit_wiener
from deflicker.options import CleanOptions

__all__ = ["WIENER", "WienerMethod"]


@dataclass(frozen=True, kw_only=True)
class WienerMethod:
    """Noise as a time series whose spectrum is measured, fitted together with the sky."""

    name: str = "wiener"
    instruments: frozenset[str] = NEAR_INFRARED
    detectors: str = "near-infrared detectors, not for MIRI"
    needs_background: bool = False
    measures_spectrum: bool = True
    suits_choice: bool = False
    allocates_much: bool = True

    def ignored(
        self,
        options: CleanOptions,
        readout: Readout,  # noqa: ARG002 - part of the protocol
    ) -> list[str]:
        """Warnings about options that have no effect.

        Parameters
        ----------
        options : CleanOptions
            Options of the cleaning.
        readout : Readout
            Read-out of the detector.

        Returns
        -------
        list of str
            One for each option.
        """
        given = {
            "fit_by_channel": options.fit_by_channel,
            "fit_histogram": options.fit_histogram,
            "single_mask": not options.single_mask,
            "background_box_size": options.background_box_size is not None,
            "background_method='median_image'": options.background_method == "median_image",
        }
        return [
            f"fit_method={self.name!r} does not need it: {name} is ignored"
            for name, is_given in given.items()
            if is_given
        ]

    def plan(self, job: Job) -> Plan:
        """Measure the spectrum, and fit the mean of all differences.

        Parameters
        ----------
        job : Job
            Exposure, options and masks.

        Returns
        -------
        Plan
            Plan whose mask is the pixels that were used as sky.

        Raises
        ------
        NothingToClean
            If no pixel can be used, or there is no noise.
        """
        options, tuning = job.options, job.tuning_of(WienerTuning)
        fitted = fit_wiener(
            job.exposure,
            options,
            flat=job.flat,
            science=job.maker.science,
            user_mask=job.user_mask,
            known=job.known,
            tuning=tuning,
        )
        return Plan(
            mask=fitted.scene_mask(),
            integrations=fitted.integrations(),
            n_threads=fitted.n_threads(options),
            n_sigma=clipping_level(options, tuning),
            without_light=options.guard_light,
            shared=fitted.shared if options.guard_light else None,
            spectrum=fitted.noise.spectrum,
            report=partial(report_fit, fitted),
        )


WIENER: Final = WienerMethod()
