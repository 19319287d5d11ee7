"""deflicker removes flicker (1/f) noise from JWST exposures."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deflicker.arrays import CleanResult, Exposure
    from deflicker.cleaning import clean_exposure
    from deflicker.errors import CannotClean, NothingToClean
    from deflicker.options import CleanOptions
    from deflicker.readout import Readout
    from deflicker.step import CleanFlickerNoiseStep

__version__ = version("deflicker")

_HOMES = {
    "CannotClean": "deflicker.errors",
    "CleanFlickerNoiseStep": "deflicker.step",
    "CleanOptions": "deflicker.options",
    "CleanResult": "deflicker.arrays",
    "Exposure": "deflicker.arrays",
    "NothingToClean": "deflicker.errors",
    "Readout": "deflicker.readout",
    "clean_exposure": "deflicker.cleaning",
}

__all__ = [
    "CannotClean",
    "CleanFlickerNoiseStep",
    "CleanOptions",
    "CleanResult",
    "Exposure",
    "NothingToClean",
    "Readout",
    "__version__",
    "clean_exposure",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
