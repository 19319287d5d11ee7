"""Choice of parameters from the data, by means of trial fits."""

from deflicker.autoparam.choice import Choice, choose_options, may_choose, resolve_options
from deflicker.autoparam.pixel_pairs import FlatMatch, match_flat
from deflicker.autoparam.row_levels import RowStatistics, row_statistics
from deflicker.autoparam.trial_fits import SceneStatistics, measure_scene

__all__ = [
    "Choice",
    "FlatMatch",
    "RowStatistics",
    "SceneStatistics",
    "choose_options",
    "match_flat",
    "may_choose",
    "measure_scene",
    "resolve_options",
    "row_statistics",
]
