"""Simulated exposures whose noise is known, and how good a cleaning of them is."""

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
