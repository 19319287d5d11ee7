"""Parts of the fast axis that are fitted separately."""

from deflicker.options import CleanOptions
from deflicker.ramps.exposure import Exposure

__all__ = ["fitted_outputs"]


def fitted_outputs(exposure: Exposure, options: CleanOptions) -> list[slice]:
    """Fast-axis slices that are fitted separately.

    Parameters
    ----------
    exposure : Exposure
        Exposure with the outputs of its detector.
    options : CleanOptions
        Options, of which ``fit_by_channel`` is used.

    Returns
    -------
    list of slice
        Slices in the detector frame.
    """
    n_fast = exposure.image_shape[1 if abs(exposure.readout.fast_axis) == 1 else 0]
    if not options.fit_by_channel:
        return [slice(0, n_fast)]
    return exposure.readout.output_slices(n_fast)
