"""Simulated exposures with known noise, and the quality of their cleaning."""

from deflicker.simulation.exposures import SimulatedExposure, simulate
from deflicker.simulation.quality import Quality, measure_quality
from deflicker.simulation.scenarios import EXPOSURES, SERIES, Scenario, SimulatedNoise

__all__ = [
    "EXPOSURES",
    "SERIES",
    "Quality",
    "Scenario",
    "SimulatedExposure",
    "SimulatedNoise",
    "measure_quality",
    "simulate",
]
