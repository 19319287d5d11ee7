"""An exposure as arrays: differences, flags and draft rates."""

from deflicker.ramps.exposure import Exposure, Output
from deflicker.ramps.flat import fill_flat
from deflicker.ramps.rates import DraftRate, combine_rates, draft_rate

__all__ = [
    "DraftRate",
    "Exposure",
    "Output",
    "combine_rates",
    "draft_rate",
    "fill_flat",
]
