"""Conversion between JWST data models and arrays; files, reference files, tables and HISTORY."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deflicker.models.exposure import exposure_from_model, model_from_simulation
    from deflicker.models.spectra import read_spectrum

__all__ = ["exposure_from_model", "model_from_simulation", "read_spectrum"]

# Imported on first use: `read_spectrum` needs no data models, which take seconds to load.
_HOMES = {
    "exposure_from_model": "deflicker.models.exposure",
    "model_from_simulation": "deflicker.models.exposure",
    "read_spectrum": "deflicker.models.spectra",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
