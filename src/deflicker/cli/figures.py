"""Pictures of a cleaning; they need matplotlib (``deflicker[plots]``)."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from deflicker.stats.clipping import SortedValues
from deflicker.storage.unfinished import written_whole

__all__ = ["before_after", "spectrum_plot"]

DECADES = 1e-3  # lowest power in the plot, as a fraction of the white noise


def before_after(
    before: NDArray[np.floating], after: NDArray[np.floating], path: Path, *, title: str
) -> None:
    """Draw an image before and after cleaning, and the difference.

    Parameters
    ----------
    before, after : ndarray of float, shape (ny, nx)
        Mean differences in DN per group.
    path : pathlib.Path
        PNG file to write.
    title : str
        Title of the picture.
    """
    ordered = SortedValues.of(before, np.isfinite(before))
    center = ordered.sigma_clip()[0]
    # The scale follows the noise of the background, however much of the image contains light.
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
    with written_whole(path) as unfinished:
        figure.savefig(unfinished, dpi=110)


def spectrum_plot(table: Any, path: Path) -> None:
    """Draw the spectrum of the noise of a read, its white level and its knee.

    Parameters
    ----------
    table : astropy.table.QTable
        Result of `deflicker.models.spectra.read_spectrum`.
    path : pathlib.Path
        PNG file to write.
    """
    frequency = table["frequency"].to_value("Hz")
    power = table["white"].unit
    lines = {
        "common": ("C0-", "common to all outputs"),
        "per_output": ("C1-", "of one output"),
        "white": ("C2--", "white"),
    }
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    # A power of 0 has no logarithm: the line has a gap there.
    axes.set_xscale("log", nonpositive="mask")
    axes.set_yscale("log", nonpositive="mask")
    for name, (style, label) in lines.items():
        values = table[name].to_value(power)
        if np.any(values > 0):
            axes.plot(frequency, values, style, label=label)
    knee = table.meta["knee"]
    if knee > 0:
        axes.axvline(knee, color="gray", ls=":", label=f"knee, {knee / 1000:.3g} kHz")
    white = float(np.median(table["white"].to_value(power)))
    if white > 0:
        axes.set_ylim(bottom=DECADES * white)
    axes.set_title(table.meta.get("filename", "Noise of one read"))
    axes.set_xlabel("frequency (Hz)")
    axes.set_ylabel(f"power ({power.to_string('unicode')})")
    axes.grid(alpha=0.3)
    axes.legend()
    with written_whole(path) as unfinished:
        figure.savefig(unfinished, dpi=110)
