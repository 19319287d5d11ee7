"""deflicker removes flicker (1/f) noise from JWST exposures."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deflicker.cleaning.clean import clean_exposure
    from deflicker.cleaning.result import CleanResult
    from deflicker.detector.readout import Readout
    from deflicker.errors import CannotClean, NothingToClean
    from deflicker.options import CleanOptions
    from deflicker.ramps.exposure import Exposure
    from deflicker.step import CleanFlickerNoiseStep

__version__ = version("deflicker")

_HOMES = {
    "CannotClean": "deflicker.errors",
    "CleanFlickerNoiseStep": "deflicker.step",
    "CleanOptions": "deflicker.options",
    "CleanResult": "deflicker.cleaning.result",
    "Exposure": "deflicker.ramps.exposure",
    "NothingToClean": "deflicker.errors",
    "Readout": "deflicker.detector.readout",
    "clean_exposure": "deflicker.cleaning.clean",
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
