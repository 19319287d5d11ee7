"""Options of a cleaning, with validation."""

from dataclasses import dataclass

from deflicker.parameters import PARAMETERS

__all__ = ["CleanOptions"]


@dataclass(frozen=True, kw_only=True)
class CleanOptions:
    """Options for cleaning an exposure.

    Parameters
    ----------
    fit_method : {"auto", "median", "fft", "wiener"}, optional
        Noise model. ``auto`` is the default of the step, which knows the instrument; here it takes
        the one for near-infrared detectors.
    fit_by_channel : bool, optional
        Fit each detector output separately.
    background_method : {"median", "model", "median_image", None}, optional
        Background that is subtracted from a difference before the fit and restored after it.
    background_box_size : tuple of int, optional
        (ny, nx) of the boxes of the ``model`` background in pixels.
    n_sigma : float, optional
        Clipping level for signal; 0 turns outlier rejection off.
    fit_histogram : bool, optional
        Take centre and sigma of the scene mask from a Gaussian fitted to a histogram.
    guard_light : bool, optional
        Leave alone what the fits of all differences have in common beyond their noise.
    single_mask : bool, optional
        One scene mask from the combined rate, or one for each integration.
    save_background, save_noise : bool, optional
        Return the background of each difference, and the output minus the input.
    n_threads : int, optional
        Threads to use. The result does not depend on their number.

    Raises
    ------
    ValueError
        If a value is not allowed; the message names the parameter and the allowed values.

    Examples
    --------
    >>> from deflicker import CleanOptions
    >>> CleanOptions(n_sigma=-1)
    Traceback (most recent call last):
        ...
    ValueError: n_sigma must be a finite number, 0 or larger, not -1
    """

    fit_method: str = "median"
    fit_by_channel: bool = PARAMETERS["fit_by_channel"].default
    background_method: str | None = PARAMETERS["background_method"].default
    background_box_size: tuple[int, int] | None = PARAMETERS["background_box_size"].default
    n_sigma: float = PARAMETERS["n_sigma"].default
    fit_histogram: bool = PARAMETERS["fit_histogram"].default
    guard_light: bool = PARAMETERS["guard_light"].default
    single_mask: bool = PARAMETERS["single_mask"].default
    save_background: bool = PARAMETERS["save_background"].default
    save_noise: bool = PARAMETERS["save_noise"].default
    n_threads: int = 1

    def __post_init__(self) -> None:
        for name in ("fit_method", "background_method", "n_sigma"):
            PARAMETERS[name].check(getattr(self, name))
        if self.n_threads < 1:
            msg = f"n_threads must be 1 or larger, not {self.n_threads}"
            raise ValueError(msg)
        box = self.background_box_size
        if box is not None and (len(box) != 2 or min(box) < 1):
            msg = f"background_box_size must be two positive numbers of pixels, not {box}"
            raise ValueError(msg)
