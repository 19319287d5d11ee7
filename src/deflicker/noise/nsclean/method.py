"""The method ``fft``."""

from typing import Final

from deflicker.detector.facts import FULL_FRAME
from deflicker.noise.nsclean.fourier import fourier_noise
from deflicker.noise.nsclean.tuning import NscleanTuning
from deflicker.noise.rowwise.method import RowMethod

__all__ = ["NSCLEAN"]


def _least_clip(shape: tuple[int, ...]) -> float:
    """Clip windows wider, which reject outliers too.

    The noise of a rate is that of the last read minus that of the first. Errors of the
    differences between cancel as the noise does, if all are fitted to the same pixels:
    what one difference drops and the next keeps adds noise to the rate.
    """
    return 0.0 if shape == FULL_FRAME else NscleanTuning().window_clip


NSCLEAN: Final = RowMethod(
    name="fft",
    fit=fourier_noise,
    instruments=frozenset({"NIRSPEC"}),
    detectors="NIRSpec",
    within_rows=True,
    tuning=NscleanTuning,
    least_clip=_least_clip,
)
