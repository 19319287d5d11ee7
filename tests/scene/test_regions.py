"""Science regions, on the real NIRSpec optics and on small WCS of the same structure."""

import asdf
import numpy as np
import pytest
from astropy.modeling.models import Mapping
from gwcs import WCS, coordinate_frames
from small_wcs import Aperture, ifu_wcs, older_ifu_wcs, slits_wcs

from deflicker import CannotClean
from deflicker.detector.dq import MSA_FAILED_OPEN
from deflicker.scene import regions


@pytest.fixture
def optics(data_folder):
    """A real WCS and its region file."""

    def load(name):
        folder = data_folder / "nirspec_wcs"
        with np.load(folder / f"{name}_slice_region.npz") as file:
            region = file["region"]
        opened.append(asdf.open(folder / f"{name}_gwcs.asdf", lazy_load=False, memmap=False))
        return opened[-1]["wcs"], region

    opened = []
    yield load
    for file in opened:
        file.close()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["ifu_nrs1_g140m", "ifu_nrs1_prism"])
def test_ifu_slices_of_the_real_optics(optics, name):
    wcs, region = optics(name)
    assert np.array_equal(regions.ifu_slices(wcs, region.shape), region > 0)
    with pytest.raises(CannotClean, match="the exposure has"):
        regions.ifu_slices(wcs, (32, 2048))
    with pytest.raises(CannotClean, match="no open slits"):
        regions.slit_footprints(wcs, region.shape)


@pytest.mark.filterwarnings("ignore")
def test_fixed_slits_of_the_real_optics(optics):
    wcs, region = optics("fs_nrs1_prism")
    assert np.array_equal(regions.slit_footprints(wcs, region.shape), region > 0)
    assert regions.has_fixed_slits(wcs)
    part = regions.slit_footprints(wcs, (1010, 1024))
    assert np.array_equal(part, region[:1010, :1024] > 0)
    with pytest.raises(CannotClean, match="outside the image"):
        regions.slit_footprints(wcs, (100, 100))
    with pytest.raises(CannotClean, match="no IFU slices"):
        regions.ifu_slices(wcs, region.shape)


APERTURES = [Aperture(1, 10.0), Aperture(4, 40.0, slope=-0.3, quadrant=5), Aperture(7, 55.0)]
SHAPE = (64, 64)
FOOTPRINT = np.any([a.footprint(SHAPE) for a in APERTURES], axis=0)


def test_slits_are_what_the_formula_says():
    wcs = slits_wcs(APERTURES)
    assert np.array_equal(regions.slit_footprints(wcs, SHAPE), FOOTPRINT)
    assert [slit.slit_id for slit in regions.open_slits(wcs)] == [1, 4, 7]


def test_the_footprint_keeps_background_that_the_boxes_do_not():
    boxes = np.zeros(SHAPE, bool)
    for aperture in APERTURES:
        (left, right), (bottom, top) = np.ceil(aperture.box).astype(int)
        boxes[bottom:top, left:right] = True
    found = regions.slit_footprints(slits_wcs(APERTURES), SHAPE)
    assert not np.any(found & ~boxes)
    assert 0 < found.sum() < 0.6 * boxes.sum()


def test_slices_of_an_older_wcs_are_evaluated_one_by_one():
    wcs = older_ifu_wcs(APERTURES)
    assert np.array_equal(regions.ifu_slices(wcs, SHAPE), FOOTPRINT)
    with pytest.raises(CannotClean, match="no open slits"):
        regions.slit_footprints(wcs, SHAPE)


def test_slices_of_a_label_map():
    labels = sum(a.number * a.footprint(SHAPE) for a in APERTURES)
    assert np.array_equal(regions.ifu_slices(ifu_wcs(labels), SHAPE), FOOTPRINT)
    with pytest.raises(CannotClean, match=r"the exposure has \(32, 64\)"):
        regions.ifu_slices(ifu_wcs(labels), (32, 64))


@pytest.mark.parametrize(("quadrants", "fixed"), [((1, 2), False), ((1, 5), True)])
def test_planned_fixed_slits(quadrants, fixed):
    wcs = slits_wcs([Aperture(q, 8.0 * q, quadrant=q) for q in quadrants])
    assert regions.has_fixed_slits(wcs) is fixed


MAKERS = [(slits_wcs, regions.slit_footprints), (older_ifu_wcs, regions.ifu_slices)]


@pytest.mark.parametrize(("make", "find"), MAKERS)
@pytest.mark.parametrize("shape", [(64, 30), (30, 64), (12, 64)])
def test_boxes_that_leave_a_sub_array(make, find, shape):
    """The part of the footprint that lies in the image, as for the margins of real boxes."""
    found = find(make(APERTURES), shape)
    assert np.array_equal(found, FOOTPRINT[: shape[0], : shape[1]])


@pytest.mark.parametrize(("make", "find"), MAKERS)
def test_wcs_beside_the_image(make, find):
    with pytest.raises(CannotClean, match=r"all slits or slices .* outside the image"):
        find(make([Aperture(1, 80.0), Aperture(2, 90.0)]), SHAPE)


@pytest.mark.filterwarnings("ignore:Invalid interval:RuntimeWarning")
@pytest.mark.parametrize(("make", "find"), MAKERS)
def test_a_box_turned_inside_out_holds_nothing(make, find):
    boxes = {**{a.number: a.box for a in APERTURES}, 7: ((20, -30), (1, 5))}
    rest = np.any([a.footprint(SHAPE) for a in APERTURES[:2]], axis=0)
    assert np.array_equal(find(make(APERTURES, boxes=boxes), SHAPE), rest)


NO_BOX = "no finite bounding box"
GOOD = {a.number: a.box for a in APERTURES}


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ({}, NO_BOX),
        ({1: GOOD[1], 4: GOOD[4]}, NO_BOX),
        ({**GOOD, 7: ((np.nan, np.nan), (1, 5))}, NO_BOX),
        ({**GOOD, 7: ((10, 20), (1, np.inf))}, NO_BOX),
        ({**GOOD, 7: "none"}, NO_BOX),
    ],
)
@pytest.mark.parametrize(
    ("make", "find", "name"),
    [
        (slits_wcs, regions.slit_footprints, "slit S"),
        (older_ifu_wcs, regions.ifu_slices, "slice "),
    ],
)
def test_boxes_that_cannot_be(make, find, name, boxes, message):
    broken = boxes.get(7) == "none"
    wcs = make(APERTURES, boxes={**boxes, 7: GOOD[7]} if broken else boxes)
    if broken:
        del wcs.bounding_box.bounding_boxes[(7,)]
    with pytest.raises(CannotClean, match=message) as error:
        find(wcs, SHAPE)
    assert f"{name}{7 if boxes else 1} " in f"{error.value} ".replace(":", " ")


def test_wcs_without_slits_or_slices():
    frames = [coordinate_frames.Frame2D(name=name) for name in ("detector", "world")]
    wcs = WCS([(frames[0], Mapping((0, 1))), (frames[1], None)])
    with pytest.raises(CannotClean, match="no IFU slices"):
        regions.ifu_slices(wcs, (8, 8))
    with pytest.raises(CannotClean, match="no open slits"):
        regions.slit_footprints(wcs, (8, 8))
    assert not regions.has_fixed_slits(wcs)


def test_fixed_slit_region_is_of_the_full_frame():
    region = regions.fixed_slit_region((2048, 2048))
    assert region[922:1116].all()
    assert region.sum() == 194 * 2048
    assert not regions.fixed_slit_region((256, 2048)).any()


def test_failed_open_shutters_of_any_integration():
    dq = np.zeros((3, 4, 5), np.uint32)
    dq[1, 2, 3] = MSA_FAILED_OPEN | 1
    assert np.argwhere(regions.failed_open(dq)).tolist() == [[2, 3]]
    assert np.argwhere(regions.failed_open(dq[1])).tolist() == [[2, 3]]
