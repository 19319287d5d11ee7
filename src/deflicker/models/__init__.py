"""Data models of JWST to and from arrays; files, reference files, tables and HISTORY."""

from deflicker.models.exposure import exposure_from_model, model_from_simulation
from deflicker.models.spectra import read_spectrum

__all__ = ["exposure_from_model", "model_from_simulation", "read_spectrum"]
