"""The cleaning recipe: backgrounds, noise methods, and checks of the result."""

from deflicker.cleaning.backgrounds import BACKGROUNDS
from deflicker.cleaning.clean import clean_exposure
from deflicker.cleaning.result import CleanResult

__all__ = [
    "BACKGROUNDS",
    "CleanResult",
    "clean_exposure",
]
