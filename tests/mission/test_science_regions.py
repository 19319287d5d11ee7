"""Science regions of each mode, and the steps of other packages that find them."""

import logging
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from astropy.io import fits
from small_wcs import Aperture, ifu_wcs, slits_wcs
from stdatamodels.jwst import datamodels

from deflicker import CleanFlickerNoiseStep
from deflicker.detector.dq import DO_NOT_USE, MSA_FAILED_OPEN, NON_SCIENCE
from deflicker.mission.science_regions import draft_image
from deflicker.storage.stdatamodels_seam import tree_of

FULL = (2048, 2048)
MIRI = (1024, 1032)
# A pixel for each kind of masking, where no other kind reaches.
PROBES = {
    "aperture": (300, 500),
    "failed open": (700, 100),
    "fixed slits": (1000, 60),
    "non-science": (5, 900),
    "missing": (450, 20),
    "zero": (451, 30),
    "outlier": (452, 40),
    "background": (800, 800),
}
ALWAYS = {"missing", "zero", "outlier"}
SHUTTERS = {"aperture", "failed open", "fixed slits"}
PLANNED = [Aperture(1, 300, left=400, right=600, slope=0), Aperture(9, 1950, quadrant=5)]
# The table "Mode-Specific Masking Steps": what mask_science_regions adds.
MODES = {
    "IFU": ("NIRSPEC", "NRS1", "NRS_IFU", SHUTTERS),
    "MOS": ("NIRSPEC", "NRS2", "NRS_MSASPEC", SHUTTERS),
    "MOS with a planned fixed slit": (
        "NIRSPEC", "NRS1", "NRS_MSASPEC", SHUTTERS - {"fixed slits"},
    ),
    "fixed slits": ("NIRSPEC", "NRS1", "NRS_FIXEDSLIT", {"aperture"}),
    "bright object": ("NIRSPEC", "NRS2", "NRS_BRIGHTOBJ", {"aperture"}),
    "MIRI image": ("MIRI", "MIRIMAGE", "MIR_IMAGE", {"non-science"}),
    "NIRCam image": ("NIRCAM", "NRCA1", "NRC_IMAGE", set()),
    "NIRCam grism": ("NIRCAM", "NRCALONG", "NRC_TSGRISM", set()),
    "NIRISS image": ("NIRISS", "NIS", "NIS_IMAGE", set()),
    "NIRSpec image": ("NIRSPEC", "NRS1", "NRS_IMAGE", set()),
}  # fmt: skip


def rate_model(instrument, detector, exp_type, shape):
    rng = np.random.default_rng(5)
    data = rng.normal(10, 1, shape).astype(np.float32)
    for probe in PROBES.values():
        data[probe] = 10
    data[PROBES["missing"]] = np.nan
    data[PROBES["zero"]] = 0
    data[PROBES["outlier"]] = 1000
    kind = datamodels.IFUImageModel if exp_type == "NRS_IFU" else datamodels.ImageModel
    model = kind(data=data, dq=np.zeros(shape, np.uint32))
    model.dq[PROBES["failed open"]] = MSA_FAILED_OPEN
    model.meta.instrument.name, model.meta.instrument.detector = instrument, detector
    model.meta.exposure.type = exp_type
    model.meta.exposure.noutputs = 4
    model.meta.subarray.name = "FULL"
    model.meta.subarray.fastaxis, model.meta.subarray.slowaxis = 2, 1
    return model


@pytest.fixture(scope="module")
def flat_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flat")
    for shape in (FULL, MIRI):
        with datamodels.FlatModel(data=np.ones(shape, np.float32)) as flat:
            flat.dq = np.zeros(shape, np.uint32)
            flat.dq[PROBES["non-science"]] = DO_NOT_USE | NON_SCIENCE
            flat.save(str(folder / f"flat{shape[0]}.fits"))
    return folder


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("mode", list(MODES))
def test_table_of_modes(mode, wanted, flat_file, tmp_path):
    """Each kind of masking where the specification's table says, and nowhere else."""
    instrument, detector, exp_type, regions = MODES[mode]
    shape = MIRI if instrument == "MIRI" else FULL
    with rate_model(instrument, detector, exp_type, shape) as model:
        apertures = PLANNED if "planned" in mode else PLANNED[:1]
        if exp_type == "NRS_IFU":
            model.meta.wcs = ifu_wcs(PLANNED[0].footprint(shape).astype(int))
        else:
            model.meta.wcs = slits_wcs(apertures)
        result = CleanFlickerNoiseStep(
            fit_method="median",
            mask_science_regions=wanted,
            override_flat=str(flat_file / f"flat{shape[0]}.fits"),
            n_sigma=5,
            save_mask=True,
            output_dir=str(tmp_path),
        ).run(model)
        assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"
        result.close()
    mask = fits.getdata(next(tmp_path.glob("*mask.fits")), "SCI")
    masked = {name for name, probe in PROBES.items() if probe[0] < shape[0] and mask[probe] == 0}
    assert masked == ALWAYS | (regions if wanted else set())


def ifu_model(shape=(64, 64)):
    with rate_model("NIRSPEC", "NRS1", "NRS_IFU", FULL) as model:
        small = datamodels.IFUImageModel(data=model.data[:64, :64], dq=model.dq[:64, :64])
        small.update(model)
        return small


def failed(model, caplog, **parameters):
    """Run on bad input: one message, the right status, and the data as they came."""
    with model, caplog.at_level(logging.INFO):
        before = model.data.tobytes()
        result = CleanFlickerNoiseStep(mask_science_regions=True, **parameters).run(model)
        assert result.meta.cal_step.clean_flicker_noise == "FAILED"
        assert result.data.tobytes() == before
        result.close()
    said = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 1
    assert said[0].levelno == logging.WARNING
    return said[0].getMessage()


@pytest.mark.skipif(find_spec("jwst") is not None, reason="jwst can assign a WCS")
def test_without_a_wcs_there_are_three_ways_out(caplog):
    said = failed(ifu_model(), caplog)
    for way in ("install deflicker[jwst]", "user_mask", "without mask_science_regions"):
        assert way in said


@pytest.mark.parametrize(
    ("wcs", "message"),
    [
        (ifu_wcs(np.ones((32, 64), int)), r"the exposure has (64, 64)"),
        (slits_wcs([Aperture(1, 20)]), "no IFU slices"),
    ],
)
def test_wcs_of_another_exposure(wcs, message, caplog):
    model = ifu_model()
    model.meta.wcs = wcs
    assert message in failed(model, caplog)


@pytest.mark.parametrize(
    ("wcs", "message"),
    [
        (slits_wcs([Aperture(1, 90)]), "all slits or slices of the WCS lie outside the image"),
        (ifu_wcs(np.full((64, 64), "a")), "no open slits"),
        (slits_wcs([Aperture(1, 20)], boxes={1: ((np.nan,) * 2,) * 2}), "no finite bounding box"),
        (ifu_wcs(np.ones((64, 64), int)), "no open slits"),
    ],
)
def test_slits_that_cannot_be_masked(wcs, message, caplog):
    model = ifu_model()
    model.meta.exposure.type = "NRS_FIXEDSLIT"
    model.meta.wcs = wcs
    assert message in failed(model, caplog)


def test_wcs_that_cannot_be_evaluated(caplog):
    model = ifu_model()
    model.meta.wcs = ifu_wcs(np.full((64, 64), "a"))
    assert "the WCS cannot be evaluated" in failed(model, caplog)


def test_a_wcs_of_another_kind(caplog):
    """Any file may hold anything there; its gwcs object alone can be evaluated."""
    model = ifu_model()
    tree_of(model)["meta"]["wcs"] = {"name": "a plain dictionary"}  # as no setter would
    assert "meta.wcs is no gwcs object but a" in failed(model, caplog)


def test_regions_that_leave_no_background(caplog):
    model = ifu_model()
    model.meta.wcs = ifu_wcs(np.ones((64, 64), int))
    with model, caplog.at_level(logging.WARNING):
        result = CleanFlickerNoiseStep(mask_science_regions=True, fit_method="fft").run(model)
        assert result.meta.cal_step.clean_flicker_noise == "SKIPPED"
        assert np.array_equal(result.data, model.data, equal_nan=True)
        result.close()
    assert caplog.text.count("WARNING") == 1
    assert "no pixel can be used" in caplog.text


@pytest.mark.parametrize("single_mask", [True, False])
def test_rates_of_integrations_with_a_wcs(single_mask, tmp_path):
    data = np.random.default_rng(1).normal(10, 1, (3, 64, 64)).astype(np.float32)
    aperture = Aperture(3, 20)
    with datamodels.CubeModel(data=data, dq=np.zeros(data.shape, np.uint32)) as model:
        model.meta.instrument.name, model.meta.instrument.detector = "NIRSPEC", "NRS1"
        model.meta.exposure.type = "NRS_BRIGHTOBJ"
        model.meta.subarray.name = "SUB64"
        model.meta.subarray.fastaxis, model.meta.subarray.slowaxis = 2, 1
        model.meta.wcs = slits_wcs([aperture])
        result = CleanFlickerNoiseStep(
            fit_method="median",
            mask_science_regions=True,
            single_mask=single_mask,
            save_mask=True,
            n_sigma=0,
            output_dir=str(tmp_path),
        ).run(model)
        assert type(result) is datamodels.CubeModel
        assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert result.meta.wcs is not None
        result.close()
    mask = fits.getdata(next(tmp_path.glob("*mask.fits")), "SCI")
    assert mask.ndim == (2 if single_mask else 3)
    assert np.array_equal(mask == 0, np.broadcast_to(aperture.footprint((64, 64)), mask.shape))


def test_draft_image_has_the_flags_of_all_integrations():
    with datamodels.CubeModel(data=np.ones((3, 4, 5), np.float32)) as model:
        model.dq = np.zeros((3, 4, 5), np.uint32)
        model.dq[0, 1, 1], model.dq[2, 1, 1], model.dq[1, 0, 0] = 1, 4, 2
        model.meta.exposure.type = "NRS_BRIGHTOBJ"
        model.meta.instrument.grating = "PRISM"
        with draft_image(model) as image:
            assert image.dq[1, 1] == 5
            assert image.dq[0, 0] == 2
            assert image.dq.sum() == 7
            assert image.meta.instrument.grating == "PRISM"
            image.dq[:] = 8
        assert model.dq.max() == 4


PACKAGE = """
import logging
import numpy as np
from stpipe import Step

log = logging.getLogger(__name__)

def get_steps():
    return [
        (__name__ + ".AssignWcs", "assign_wcs", False),
        (__name__ + ".FlagOpen", "{flag_alias}", False),
    ]

class AssignWcs(Step):
    class_alias = "assign_wcs"
    spec = "output_ext = string(default='.fits')"

    def process(self, model):
        log.info("of another step")
        {assign}
        return model

class FlagOpen(Step):
    class_alias = "msaflagopen"
    spec = AssignWcs.spec

    def process(self, model):
        log.info("of another step")
        model.dq[60, 60] = 1 << 29
        {flag}
        return model
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package with such steps, as far as the registry can see."""

    def write(package, *, assign="pass", flag="pass", flag_alias="msaflagopen"):
        root = tmp_path / "site"
        info = root / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            f"[stpipe.steps]\nsteps = {package}_steps:get_steps\n"
        )
        (root / f"{package}_steps.py").write_text(
            PACKAGE.format(assign=assign, flag=flag, flag_alias=flag_alias)
        )
        monkeypatch.syspath_prepend(str(root))
        monkeypatch.delitem(sys.modules, f"{package}_steps", raising=False)

    return write


LABELS = """
        from small_wcs import ifu_wcs
        assert model.data.shape == (64, 64)
        model.meta.wcs = ifu_wcs(np.repeat(np.eye(1, 64, {row}, dtype=int).T, 64, axis=1))
"""


@pytest.mark.parametrize("flag_alias", ["msaflagopen", "msa_flagging"])
def test_registered_steps_assign_the_wcs_and_flag_shutters(install, tmp_path, caplog, flag_alias):
    install("planet", assign=LABELS.format(row=30), flag_alias=flag_alias)
    with ifu_model() as model, caplog.at_level(logging.INFO):
        result = CleanFlickerNoiseStep(
            fit_method="median",
            mask_science_regions=True,
            save_mask=True,
            n_sigma=0,
            output_dir=str(tmp_path),
        ).run(model)
        assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert getattr(result.meta, "wcs", None) is None  # it was for the mask alone
        assert np.array_equal(result.dq, model.dq)
        result.close()
    mask = fits.getdata(next(tmp_path.glob("*mask.fits")), "SCI")
    expected = np.ones((64, 64))
    expected[30] = 0
    expected[60, 60] = 0
    assert np.array_equal(mask, expected)
    assert "of another step" in caplog.text  # nothing silences others
    assert logging.root.manager.disable == logging.NOTSET


def test_steps_of_jwst_come_first(install, tmp_path):
    install("jwst", assign=LABELS.format(row=30))
    install("roman", assign="raise RuntimeError('another telescope')")
    with ifu_model() as model:
        result = CleanFlickerNoiseStep(mask_science_regions=True).run(model)
        assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"
        result.close()


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"assign": "raise ValueError('no MSA file')"}, "assign_wcs failed: no MSA file"),
        ({"assign": "raise KeyError"}, "assign_wcs failed: KeyError"),
        ({"assign": "raise SystemExit(12)"}, "assign_wcs failed: it ended the process (12)"),
        ({"assign": "pass"}, "assign_wcs gave no WCS"),
        (
            {"assign": LABELS.format(row=3), "flag": "raise OSError('no such shutters')"},
            "msaflagopen failed: no such shutters",
        ),
    ],
)
def test_steps_that_fail(install, caplog, broken, message):
    install("planet", **broken)
    said = failed(ifu_model(), caplog)
    assert message in said
    assert "user_mask" in said
    assert "without mask_science_regions" in said


def test_steps_get_the_folder_of_the_input(install, tmp_path, caplog):
    install("planet", assign="raise ValueError(self.make_input_path('msa.fits'))")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with ifu_model() as model:
        model.save(str(folder / "x_rate.fits"))
    CleanFlickerNoiseStep.call(str(folder / "x_rate.fits"), mask_science_regions=True).close()
    assert str(folder / "msa.fits") in caplog.text
