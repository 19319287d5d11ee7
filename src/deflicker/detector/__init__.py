"""The detectors: axes, outputs, clock, data-quality bits, and values that they can measure."""
