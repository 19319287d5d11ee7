"""Small WCS with the structure of NIRSpec's, made of straight, slanted apertures."""

from dataclasses import dataclass

import numpy as np
from astropy.modeling import Model
from astropy.modeling.bounding_box import CompoundBoundingBox
from astropy.modeling.models import Identity, Mapping
from gwcs import WCS, coordinate_frames
from gwcs.selector import LabelMapperArray, RegionsSelector
from stdatamodels.jwst.transforms.models import Gwa2Slit, Slit


@dataclass(frozen=True)
class Aperture:
    """A spectrum: rows within ``half`` of a slanted line, columns from left to right."""

    number: int
    row: float
    left: int = 10
    right: int = 50
    half: float = 3.03  # no pixel lies on the very edge
    slope: float = 0.1
    quadrant: int = 1

    def footprint(self, shape):
        """By the formula, pixel by pixel."""
        y, x = np.mgrid[: shape[0], : shape[1]]
        within = np.abs(y - self.row - self.slope * (x - self.left)) <= self.half
        return within & (x >= self.left) & (x <= self.right)

    @property
    def box(self):
        """Bounding box in pixels: x, then y; with room on all sides, as real ones have."""
        ends = sorted((self.row, self.row + self.slope * (self.right - self.left)))
        margin = self.half + 1.5
        return (self.left - 2.5, self.right + 2.5), (ends[0] - margin, ends[1] + margin)


class ToSlit(Model):
    """Position in the slit, -0.5 to 0.5 inside, and wavelength, NaN outside its range."""

    n_inputs = 3
    n_outputs = 3
    _separable = False

    def __init__(self, aperture, *, bounded):
        self.aperture = aperture
        self.bounded = bounded
        super().__init__()

    def evaluate(self, x, y, _):
        a = self.aperture
        position = (y - a.row - a.slope * (x - a.left)) / (2 * a.half)
        inside = (x >= a.left) & (x <= a.right)
        if self.bounded:
            inside &= np.abs(position) <= 0.5
        return 0 * x, position, np.where(inside, 1 + 0.01 * x, np.nan)


def _chain(apertures, names, *, bounded, boxes):
    to_slit = Gwa2Slit(names, [ToSlit(a, bounded=bounded) for a in apertures])
    to_gwa = Mapping((2, 0, 1, 1))
    to_gwa.inputs = ("x", "y", "name")
    frames = [
        coordinate_frames.CoordinateFrame(
            naxes=n, axes_type=("SPATIAL",) * n, axes_order=tuple(range(n)), name=name
        )
        for n, name in ((3, "detector"), (4, "gwa"), (4, "slit_frame"))
    ]
    wcs = WCS([(frames[0], to_gwa), (frames[1], to_slit), (frames[2], None)])
    if boxes is None:
        boxes = {a.number: a.box for a in apertures}
    if boxes:
        wcs.bounding_box = CompoundBoundingBox.validate(
            wcs.forward_transform, boxes, selector_args=[("name", True)], order="F"
        )
    return wcs


def slits_wcs(apertures, *, boxes=None):
    """Open slits, as assign_wcs makes them for MOS and fixed slits."""
    names = [
        Slit(f"S{a.number}", a.number, 0, 0, 0, -0.5, 0.5, a.quadrant, slit_id=a.number)
        for a in apertures
    ]
    return _chain(apertures, names, bounded=False, boxes=boxes)


def older_ifu_wcs(apertures, *, boxes=None):
    """IFU slices that are numbers, as older versions of assign_wcs made them."""
    return _chain(apertures, [a.number for a in apertures], bounded=True, boxes=boxes)


def ifu_wcs(labels):
    """IFU slices as an image of labels, as assign_wcs makes them."""
    selector = RegionsSelector(
        inputs=("x", "y"),
        outputs=("x", "y"),
        selector={k.item(): Identity(2) for k in np.unique(labels) if k},
        label_mapper=LabelMapperArray(labels),
    )
    frames = [coordinate_frames.Frame2D(name=name) for name in ("coordinates", "detector", "world")]
    return WCS([(frames[0], Identity(2)), (frames[1], selector), (frames[2], None)])
