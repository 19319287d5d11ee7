"""Simulated exposures with known noise, and the quality of their cleaning."""

from deflicker.simulation.exposures import SimulatedExposure, simulate
from deflicker.simulation.quality import (
    LightQuality,
    Quality,
    measure_light,
    measure_quality,
)
from deflicker.simulation.scenarios import EXPOSURES, SERIES, Scenario, SimulatedNoise
from deflicker.simulation.scenes import HELD_OUT, SCENES

__all__ = [
    "EXPOSURES",
    "HELD_OUT",
    "SCENES",
    "SERIES",
    "LightQuality",
    "Quality",
    "Scenario",
    "SimulatedExposure",
    "SimulatedNoise",
    "measure_light",
    "measure_quality",
    "simulate",
]
