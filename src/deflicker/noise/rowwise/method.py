"""Methods that fit the rows of each difference after subtraction of a background."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from deflicker.detector.readout import Readout
from deflicker.noise.method import Job, Plan
from deflicker.noise.rowwise.difference import NoiseModel
from deflicker.noise.rowwise.one_by_one import fitted_one_by_one
from deflicker.noise.rowwise.profiles import without_profiles
from deflicker.options import CleanOptions
from deflicker.scene.draft_masks import masks_of_exposure

__all__ = ["NoiseModel", "RowMethod"]


def _any_clip(shape: tuple[int, ...], **_: object) -> float:  # noqa: ARG001 - shared signature
    return 0.0


@dataclass(frozen=True, kw_only=True)
class RowMethod:
    """Noise method that fits detector rows.

    Parameters
    ----------
    name : str
        Value of ``fit_method``.
    fit : callable
        ``fit(values, usable, outputs)``, in the detector frame: a background-subtracted
        difference (n_slow, n_fast) of float32 in DN, the pixels that may be used, and the slices
        of the fast axis that are fitted separately. Returns a `NoiseImage` in DN, finite
        everywhere.
    instruments : frozenset of str
        Instruments to which it applies.
    detectors : str
        The same in words.
    within_rows : bool, optional
        Whether the noise may vary along a row. If so, whole rows are fitted.
    least_clip : callable, optional
        Least clipping level for an image of a given shape, in standard deviations; used if that
        of the options is lower.
    suits_choice : bool, optional
        Whether ``autoparam`` can choose options for it.
    tuning : type, optional
        Dataclass of the tuning constants, which ``fit`` and ``least_clip`` take as ``tuning=``.
    needs_background, measures_spectrum, allocates_much : bool, optional
        As of every `NoiseMethod`.
    """

    name: str
    fit: NoiseModel
    instruments: frozenset[str]
    detectors: str
    within_rows: bool = False
    least_clip: Callable[..., float] = _any_clip
    suits_choice: bool = False
    tuning: type | None = None
    needs_background: bool = True
    measures_spectrum: bool = False
    allocates_much: bool = False

    def ignored(self, options: CleanOptions, readout: Readout) -> list[str]:
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
        found = []
        if options.fit_by_channel and self.within_rows:
            found.append(f"fit_method={self.name!r} fits whole rows: fit_by_channel is ignored")
        elif options.fit_by_channel and readout.n_outputs == 1:
            found.append("The detector has one output: fit_by_channel is ignored")
        if options.background_box_size is not None and options.background_method != "model":
            found.append("Only the model background has boxes: background_box_size is ignored")
        return found

    def plan(self, job: Job) -> Plan:
        """Make the mask and prepare the fits of single differences.

        Parameters
        ----------
        job : Job
            Exposure, options and masks.

        Returns
        -------
        Plan
            Plan with the mask from the draft rates, or the user's mask.
        """
        mask = masks_of_exposure(job.maker) if job.user_mask is None else job.user_mask
        flat, options, method = job.flat, job.options, self
        fitted = mask
        known = job.known
        if options.guard_light and mask.ndim == 2 and known is None:
            fitted = without_profiles(mask, job.exposure)
        if self.tuning is not None and isinstance(job.tuning, self.tuning):
            method = replace(
                self,
                fit=partial(self.fit, tuning=job.tuning),
                least_clip=partial(self.least_clip, tuning=job.tuning),
            )
        return Plan(
            mask=mask,
            integrations=fitted_one_by_one(
                job.exposure,
                fitted,
                options=options,
                method=method,
                flat=flat,
                known=None if known is None else known.light,
            ),
            n_threads=options.n_threads,
            n_sigma=options.n_sigma,
            flat=flat,
            may_share_light=options.guard_light,
        )
