"""Pictures of a cleaning; they need matplotlib (``deflicker[plots]``)."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from deflicker.scene.clipping import SortedValues

__all__ = ["before_after"]


def before_after(
    before: NDArray[np.floating], after: NDArray[np.floating], path: Path, *, title: str
) -> None:
    """Draw an image before and after cleaning, and what was removed.

    Parameters
    ----------
    before, after : ndarray of float, shape (ny, nx)
        Mean differences in DN per group.
    path : pathlib.Path
        PNG file to write.
    title : str
        What is shown.
    """
    ordered = SortedValues.of(before, np.isfinite(before))
    center = ordered.sigma_clip()[0]
    # The scale is that of the background, however much of the image is lit.
    limit = 2 * ordered.mirrored_sigma(center)
    wide = before.shape[1] > 4 * before.shape[0]
    figure = Figure(figsize=(12, 6.0 if wide else 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    layout = (3, 1) if wide else (1, 3)
    panels = figure.subplots(*layout, sharex=True, sharey=True)
    images = (before - center, after - center, before - after)
    for axes, image, label in zip(panels, images, ("before", "after", "removed"), strict=True):
        drawn = axes.imshow(
            image,
            origin="lower",
            cmap="gray",
            vmin=-limit,
            vmax=limit,
            aspect="auto" if wide else "equal",
            interpolation="nearest" if wide else None,
        )
        axes.set_title(label)
    figure.supxlabel("x (pixels)", fontsize="medium")
    figure.supylabel("y (pixels)", fontsize="medium")
    figure.colorbar(drawn, ax=panels, label="DN per group above the background", shrink=0.9)
    figure.savefig(path, dpi=110)
