"""The real assign_wcs and msaflagopen, found through the registry; skipped without jwst."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import asdf
import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst import datamodels

from deflicker.scene.regions import FIXED_SLIT_ROWS
from support.local_crds import write_cache

pytest.importorskip("jwst", reason="the jwst package is not installed")

STRUN = Path(sys.executable).with_name("strun")
OPTICS = ("camera", "collimator", "fpa", "ifufore", "ifupost", "ifuslicer", "ote")
STANDINS = {
    "chromcorr": "chromcorr_identity.asdf",
    "msa": "msa_q5real_q1234grid.asdf",
    "msaoper": "msa_oper.json",
}
NOT_FOR_NIRSPEC = ("distortion", "filteroffset", "regions", "specwcs")
# Filter, and the reference files that depend on grating and filter.
GRATINGS = {
    "G140M": ("F100LP", "disperser_0032", "fore_0023"),
    "PRISM": ("CLEAR", "disperser_0034", "fore_0028"),
}
# Keywords of the exposure for which the region files of the real optics were made.
TILTS = {"gwa_xtilt": 0.35986012, "gwa_ytilt": 0.13448857, "gwa_tilt": 37.1}
POINTING = {
    "ra_ref": 10.0,
    "dec_ref": 5.0,
    "v2_ref": 300.0,
    "v3_ref": -400.0,
    "roll_ref": 0.0,
    "v3yangle": 0.0,
    "vparity": -1,
}
MSA_COLUMNS = ("NO", "XC", "YC", "SIZEX", "SIZEY")


@pytest.fixture(scope="module")
def wcs_folder(data_folder):
    return data_folder / "nirspec_wcs"


@pytest.fixture(scope="module")
def cache(data_folder, wcs_folder, tmp_path_factory):
    """Environment with a CRDS cache for each grating, of the shared files and stand-ins."""
    shared = data_folder.parent / "crds" / "references" / "jwst" / "nirspec"
    environments = {}
    for grating, (_, *chosen) in GRATINGS.items():
        root = tmp_path_factory.mktemp(grating)
        files = {kind: next(shared.glob(f"*_{kind}_*")).name for kind in OPTICS}
        files["wavelengthrange"] = "jwst_nirspec_wavelengthrange_0004.asdf"
        for name in chosen:
            files[name.partition("_")[0]] = f"jwst_nirspec_{name}.asdf"
        sources = {name: shared / name for name in files.values()}
        for kind, name in STANDINS.items():
            files[kind] = f"jwst_nirspec_{kind}_9000{Path(name).suffix}"
            sources[files[kind]] = wcs_folder / name
        environments[grating] = write_cache(
            root, {"nirspec": {**files, **dict.fromkeys(NOT_FOR_NIRSPEC, "N/A")}}
        )
        for name, source in sources.items():
            shutil.copyfile(source, root / "references" / "jwst" / "nirspec" / name)
        _name_msa_columns(root / "references" / "jwst" / "nirspec" / files["msa"])
    return environments


def _name_msa_columns(path):
    """Give the stand-in's tables the column names of the real reference file."""
    with asdf.open(path, memmap=False, lazy_load=False) as file:
        for quadrant in ("Q1", "Q2", "Q3", "Q4", "Q5"):
            table = np.asarray(file[quadrant]["data"])
            named = np.zeros(len(table), dtype=[(name, float) for name in MSA_COLUMNS])
            for name, column in zip(MSA_COLUMNS, table.T, strict=True):
                named[name] = column
            file[quadrant]["data"] = named
        file.write_to(path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def write_rate(path, exp_type, grating, *, detector="NRS1", **instrument):
    data = np.random.default_rng(3).normal(10, 1, (2048, 2048)).astype(np.float32)
    kind = datamodels.IFUImageModel if exp_type == "NRS_IFU" else datamodels.ImageModel
    with kind(data=data, dq=np.zeros(data.shape, np.uint32)) as model:
        keywords = {"detector": detector, "grating": grating, "filter": GRATINGS[grating][0]}
        for name, value in {**keywords, **TILTS, **instrument}.items():
            setattr(model.meta.instrument, name, value)
        for name, value in POINTING.items():
            setattr(model.meta.wcsinfo, name, value)
        model.meta.instrument.name = "NIRSPEC"
        model.meta.exposure.type = exp_type
        model.meta.observation.date, model.meta.observation.time = "2026-01-01", "00:00:00"
        model.meta.observation.program_number = "95065"
        model.meta.dither.position_number = 1
        model.meta.subarray.name = "FULL"
        model.meta.subarray.xstart, model.meta.subarray.ystart = 1, 1
        model.meta.subarray.xsize, model.meta.subarray.ysize = 2048, 2048
        model.meta.subarray.fastaxis, model.meta.subarray.slowaxis = 2, 1
        model.save(str(path))


def strun(cache, *words):
    env = {**os.environ, **cache, "STPIPE_DISABLE_CRDS_STEPPARS": "true"}
    command = [str(STRUN), *(str(word) for word in words)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    return said


def masked_by(cache, source):
    """What mask_science_regions masks, and what was said."""
    options = ("--mask_science_regions=true", "--save_mask=true", "--n_sigma=0", "--fit_method=fft")
    said = strun(cache, "deflicker", source, *options)
    return fits.getdata("x_mask.fits", "SCI") == 0, said


def region(wcs_folder, name):
    with np.load(wcs_folder / f"{name}_slice_region.npz") as file:
        return file["region"] > 0


def clean_status():
    return fits.getheader("x_clean_flicker_noise.fits")["S_CLNFNS"]


@pytest.mark.parametrize("grating", list(GRATINGS))
def test_ifu_footprint_is_the_region_file(grating, cache, wcs_folder, tmp_path):
    write_rate(tmp_path / "x_rate.fits", "NRS_IFU", grating)
    masked, said = masked_by(cache[grating], tmp_path / "x_rate.fits")
    assert clean_status() == "COMPLETE"
    assert "jwst.assign_wcs" not in said
    assert masked[FIXED_SLIT_ROWS].all()
    slices = region(wcs_folder, f"ifu_nrs1_{grating.lower()}")
    assert masked[slices].all()
    # One shutter is stuck open; its spectrum is a narrow, nearly straight strip.
    slices[FIXED_SLIT_ROWS] = True
    rows, columns = np.nonzero(masked & ~slices)
    assert 100 < columns.size < 10000
    assert np.ptp(rows) < 20


def test_older_ifu_wcs_on_the_input(cache, wcs_folder, tmp_path):
    """One that knows its slices by number, as pipelines before the slice map wrote it."""
    write_rate(tmp_path / "x_rate.fits", "NRS_IFU", "PRISM")
    words = ("--nrs_ifu_slice_wcs=true", "--suffix=assign_wcs")
    strun(cache["PRISM"], "jwst::assign_wcs", tmp_path / "x_rate.fits", *words)
    masked, said = masked_by({}, "x_assign_wcs.fits")
    assert "one is assigned" not in said
    expected = region(wcs_folder, "ifu_nrs1_prism")
    expected[FIXED_SLIT_ROWS] = True
    assert np.array_equal(masked, expected)


def test_fixed_slit_footprint_is_the_region_file(cache, wcs_folder, tmp_path):
    write_rate(tmp_path / "x_rate.fits", "NRS_FIXEDSLIT", "PRISM", fixed_slit="NONE")
    masked, _ = masked_by(cache["PRISM"], tmp_path / "x_rate.fits")
    assert np.array_equal(masked, region(wcs_folder, "fs_nrs1_prism"))


@pytest.mark.parametrize(("name", "start"), [("SUB1024A", 1), ("SUB1024B", 1025)])
def test_sub_arrays_that_cut_a_slit(name, start, cache, wcs_folder, tmp_path):
    """The box of the slit leaves the image, which is part of the detector alone."""
    source = tmp_path / "x_rate.fits"
    write_rate(source, "NRS_BRIGHTOBJ", "G140M")
    whole, _ = masked_by(cache["G140M"], source)
    window = (slice(956, 988), slice(start - 1, start + 1023))
    with datamodels.open(source) as model:
        model.data, model.dq = model.data[window].copy(), model.dq[window].copy()
        model.meta.subarray.name = name
        model.meta.subarray.xstart, model.meta.subarray.ystart = start, 957
        model.meta.subarray.xsize, model.meta.subarray.ysize = 1024, 32
        model.save(str(tmp_path / "y_rate.fits"))
    options = ("--mask_science_regions=true", "--save_mask=true", "--n_sigma=0")
    strun(cache["G140M"], "deflicker", tmp_path / "y_rate.fits", *options)
    assert fits.getheader("y_clean_flicker_noise.fits")["S_CLNFNS"] == "COMPLETE"
    masked = fits.getdata("y_mask.fits", "SCI") == 0
    assert 0.05 < masked.mean() < 0.95
    assert np.array_equal(masked, whole[window])


def test_slitlets_of_an_msa_file_beside_the_input(cache, wcs_folder, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    shutil.copyfile(wcs_folder / "msa_configuration.fits", folder / "msa.fits")
    msa = {"msa_metadata_file": "msa.fits", "msa_metadata_id": 12}
    write_rate(folder / "x_rate.fits", "NRS_MSASPEC", "PRISM", **msa)
    masked, _ = masked_by(cache["PRISM"], folder / "x_rate.fits")
    assert clean_status() == "COMPLETE"
    assert masked[FIXED_SLIT_ROWS].all()

    # The same from a WCS on the input, but for the stuck shutter, which is in no WCS.
    words = ("--suffix=assign_wcs", f"--output_dir={tmp_path}")
    strun(cache["PRISM"], "jwst::assign_wcs", folder / "x_rate.fits", *words)
    slitlets, _ = masked_by({}, "x_assign_wcs.fits")
    assert masked[slitlets].all()
    rows, columns = np.nonzero(masked & ~slitlets)
    assert columns.size > 100
    assert np.ptp(rows) < 20

    slitlets[FIXED_SLIT_ROWS] = False
    boxes = np.zeros_like(slitlets)
    with datamodels.open("x_assign_wcs.fits") as model:
        identifiers = model.meta.wcs.get_transform("gwa", "slit_frame").slit_ids
        for identifier in identifiers:
            across, along = model.meta.wcs.bounding_box[identifier].intervals.values()
            left, right, bottom, top = (int(limit) for limit in (*across, *along))
            boxes[bottom : top + 1, left : right + 1] = True
    boxes[FIXED_SLIT_ROWS] = False
    assert not np.any(slitlets & ~boxes)
    assert slitlets.sum() > 0.5 * boxes.sum() > 0


@pytest.mark.parametrize(
    ("exp_type", "grating", "reason"),
    [
        ("NRS_IFU", "G140M", "No IFU slices fall on detector NRS2"),
        ("NRS_MSASPEC", "PRISM", "MSA metadata file (MSAMETFL) is required"),
    ],
)
def test_reason_of_a_failure(cache, tmp_path, exp_type, grating, reason):
    source = tmp_path / "x_rate.fits"
    write_rate(source, exp_type, grating, detector="NRS2")
    said = strun(cache[grating], "deflicker", source, "--mask_science_regions=true")
    assert clean_status() == "FAILED"
    assert "assign_wcs failed: " in said
    assert reason in said
    before, after = (fits.getdata(name, "SCI") for name in (source, "x_clean_flicker_noise.fits"))
    assert np.array_equal(before, after)
