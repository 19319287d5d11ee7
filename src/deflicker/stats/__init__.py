"""Statistics: clipping, medians of rows, and shrinkage of uncertain values."""

from deflicker.stats.clipping import ClipLimits, background_limits, outlier_limits
from deflicker.stats.row_medians import row_medians, row_stripes
from deflicker.stats.shrinkage import ShrinkageTuning, shrunk_levels

__all__ = [
    "ClipLimits",
    "ShrinkageTuning",
    "background_limits",
    "outlier_limits",
    "row_medians",
    "row_stripes",
    "shrunk_levels",
]
