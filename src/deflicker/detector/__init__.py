"""The detectors: axes, outputs, clock, data-quality bits, and range of values."""

from deflicker.detector.clock import Clock
from deflicker.detector.readout import Readout

__all__ = [
    "Clock",
    "Readout",
]
