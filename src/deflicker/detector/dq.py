"""Data-quality bits of the JWST pipeline that determine whether a pixel may be used.

The values are those of the JWST calibration pipeline's data-quality table
(``stdatamodels.jwst.datamodels.dqflags``), repeated here so that the numerical
modules do not load a data-model library.
"""

from typing import Final

__all__ = [
    "DO_NOT_USE",
    "JUMP_DET",
    "MSA_FAILED_OPEN",
    "NON_SCIENCE",
    "REFERENCE_PIXEL",
    "SATURATED",
]

DO_NOT_USE: Final = 1 << 0
SATURATED: Final = 1 << 1
JUMP_DET: Final = 1 << 2
NON_SCIENCE: Final = 1 << 9
MSA_FAILED_OPEN: Final = 1 << 29
REFERENCE_PIXEL: Final = 1 << 31
