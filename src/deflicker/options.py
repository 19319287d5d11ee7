"""Options of a cleaning, validated once."""

import math
from dataclasses import dataclass

__all__ = ["BACKGROUND_METHODS", "FIT_METHODS", "CleanOptions"]

FIT_METHODS = ("median", "fft", "wiener")
BACKGROUND_METHODS = ("median", "model", "median_image", None)


@dataclass(frozen=True, kw_only=True)
class CleanOptions:
    """How to clean an exposure.

    Parameters
    ----------
    fit_method : {"median", "fft", "wiener"}, optional
        Noise model.
    fit_by_channel : bool, optional
        Fit each detector output on its own.
    background_method : {"median", "model", "median_image", None}, optional
        What is removed from a difference before the fit and restored after it.
    background_box_size : tuple of int, optional
        (ny, nx) of the boxes of the ``model`` background in pixels.
    n_sigma : float, optional
        Clipping level for signal; 0 turns outlier rejection off.
    fit_histogram : bool, optional
        Take centre and sigma of the scene mask from a Gaussian fitted to a histogram.
    single_mask : bool, optional
        One scene mask from the combined rate, or one for each integration.
    save_background, save_noise : bool, optional
        Return the background of each difference, and the output minus the input.
    n_threads : int, optional
        Threads to use. The result does not depend on their number.

    Raises
    ------
    ValueError
        Naming the parameter, its value and what is allowed.

    Examples
    --------
    >>> from deflicker import CleanOptions
    >>> CleanOptions(n_sigma=-1)
    Traceback (most recent call last):
        ...
    ValueError: n_sigma must be a finite number, 0 or larger, not -1
    """

    fit_method: str = "median"
    fit_by_channel: bool = False
    background_method: str | None = "median"
    background_box_size: tuple[int, int] | None = None
    n_sigma: float = 2.0
    fit_histogram: bool = False
    single_mask: bool = True
    save_background: bool = False
    save_noise: bool = False
    n_threads: int = 1

    def __post_init__(self) -> None:
        _check_choice("fit_method", self.fit_method, FIT_METHODS)
        _check_choice("background_method", self.background_method, BACKGROUND_METHODS)
        if not math.isfinite(self.n_sigma) or self.n_sigma < 0:
            msg = f"n_sigma must be a finite number, 0 or larger, not {self.n_sigma}"
            raise ValueError(msg)
        if self.n_threads < 1:
            msg = f"n_threads must be 1 or larger, not {self.n_threads}"
            raise ValueError(msg)
        box = self.background_box_size
        if box is not None and (len(box) != 2 or min(box) < 1):
            msg = f"background_box_size must be two positive numbers of pixels, not {box}"
            raise ValueError(msg)


def _check_choice(name: str, value: str | None, allowed: tuple[str | None, ...]) -> None:
    if value not in allowed:
        choices = ", ".join(str(choice) for choice in allowed)
        msg = f"{name} must be one of {choices}, not {value!r}"
        raise ValueError(msg)
