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
    center, _, sigma = _statistics(before)
    figure = Figure(figsize=(12, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    images = (before - center, after - center, before - after)
    for axes, image, label in zip(panels, images, ("before", "after", "removed"), strict=True):
        drawn = axes.imshow(
            image, origin="lower", cmap="gray", vmin=-2 * sigma, vmax=2 * sigma, aspect="equal"
        )
        axes.set_title(label)
        axes.set_xlabel("x (pixels)")
    panels[0].set_ylabel("y (pixels)")
    figure.colorbar(drawn, ax=panels, label="DN per group above the background", shrink=0.9)
    figure.savefig(path, dpi=110)


def _statistics(image: NDArray[np.floating]) -> tuple[float, float, float]:
    return SortedValues(np.sort(image[np.isfinite(image)])).sigma_clip()
