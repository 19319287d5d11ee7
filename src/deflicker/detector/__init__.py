"""The detectors: axes, outputs, clock, data-quality bits, and values that they can measure."""

from deflicker.detector.clock import Clock
from deflicker.detector.readout import Readout

__all__ = [
    "Clock",
    "Readout",
]
