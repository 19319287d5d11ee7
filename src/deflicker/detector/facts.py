"""Constants of the detectors.

Sources are the JWST User Documentation (JDox) on the NIRCam, NIRISS, NIRSpec and MIRI detectors
and their read-out, and for IRS2 Rauscher et al. (2017, PASP 129, 105003).
"""

from typing import Final

__all__ = [
    "ALL_INSTRUMENTS",
    "FIXED_SLIT_QUADRANT",
    "FIXED_SLIT_ROWS",
    "FULL_FRAME",
    "H2RG_OUTPUTS",
    "IRS2_BLOCK",
    "IRS2_OUTPUTS",
    "IRS2_ROW_TICKS",
    "IRS2_SCIENCE",
    "NEAR_INFRARED",
    "PIXEL_SECONDS",
    "REFERENCE_BORDER",
    "ROW_OVERHEAD",
]

# Instruments with H2RG detectors, named as in meta.instrument.name, in capitals.
NEAR_INFRARED: Final = frozenset({"NIRCAM", "NIRISS", "NIRSPEC"})
ALL_INSTRUMENTS: Final = NEAR_INFRARED | {"MIRI"}

# Shape of a full frame of a near-infrared detector, in pixels.
FULL_FRAME: Final = (2048, 2048)
# Outputs that read it at the same time. With IRS2 there is one more for reference pixels, which is
# not part of the image.
H2RG_OUTPUTS: Final = 4
IRS2_OUTPUTS: Final = 5
# Rows and columns of reference pixels on each side of it, in pixels.
REFERENCE_BORDER: Final = 4

# Seconds in which an output reads a pixel: one tick of its clock.
PIXEL_SECONDS: Final = 1e-5
# Ticks between the last pixel of a row and the first one of the next.
ROW_OVERHEAD: Final = 12

# IRS2 repeats blocks of 8 science, 4 reference and 8 science pixels, in rows of 712 ticks.
IRS2_SCIENCE: Final = 8
IRS2_BLOCK: Final = 20
IRS2_ROW_TICKS: Final = 712

# Rows of a full frame of NIRSpec that the fixed slits illuminate, which are always open: rows 923
# to 1116 counted from 1. The fixed slits count as quadrant 5 of the shutter array.
FIXED_SLIT_ROWS: Final = slice(922, 1116)
FIXED_SLIT_QUADRANT: Final = 5
