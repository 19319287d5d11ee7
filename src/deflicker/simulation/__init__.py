"""Simulated exposures whose noise is known, and how good a cleaning of them is."""
