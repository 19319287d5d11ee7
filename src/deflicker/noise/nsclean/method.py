"""The method ``fft``."""

from typing import Final

from deflicker.detector.facts import FULL_FRAME
from deflicker.noise.nsclean.fourier import fourier_noise
from deflicker.noise.nsclean.tuning import NscleanTuning
from deflicker.noise.rowwise.method import RowMethod

__all__ = ["NSCLEAN"]


def _least_clip(shape: tuple[int, ...], *, tuning: NscleanTuning | None = None) -> float:
    """Least clipping level of sub-arrays, whose windows also reject outliers.

    The noise of a rate is that of the last read minus that of the first. Fit errors of the
    differences in between cancel like their noise if all are fitted to the same pixels. A
    pixel that is clipped in one difference but not in the next adds noise to the rate.
    """
    return 0.0 if shape == FULL_FRAME else (tuning or NscleanTuning()).window_clip


NSCLEAN: Final = RowMethod(
    name="fft",
    fit=fourier_noise,
    instruments=frozenset({"NIRSPEC"}),
    detectors="NIRSpec",
    within_rows=True,
    tuning=NscleanTuning,
    least_clip=_least_clip,
)
