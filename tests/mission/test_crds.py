"""CRDS for real: none at all, and small caches of our own making."""

import contextlib
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import asdf
import numpy as np
import pytest
from astropy.io import fits
from small_pastasoss import COMMANDED, pastasoss_file
from stdatamodels.jwst import datamodels

from deflicker import CleanFlickerNoiseStep
from deflicker.models.files import open_model
from support.local_crds import CONTEXT, write_cache

STRUN = Path(sys.executable).with_name("strun")


def strun(*words, check=True, **variables):
    env = {name: value for name, value in os.environ.items() if not name.startswith("CRDS")}
    return subprocess.run(
        [STRUN, *words], env={**env, **variables}, capture_output=True, text=True, check=check
    )


def strun_here(*words):
    """The same without the seconds in which a new process imports."""
    CleanFlickerNoiseStep.from_cmdline([str(word) for word in words])


@pytest.mark.parametrize("variables", [{}, {"CRDS_SERVER_URL": "https://localhost:9"}])
def test_strun_without_crds(ramp_file, variables):
    """Within seconds, with one warning (a generous limit: machines differ)."""
    start = time.monotonic()
    done = strun("deflicker", ramp_file, **variables)
    assert time.monotonic() - start < 60
    said = done.stdout + done.stderr
    assert said.count("Default parameters are used") == 1
    assert said.count("WARNING") == 1
    assert "ERROR" not in said
    with open_model("jw00001_nrca1_clean_flicker_noise.fits") as model:
        assert model.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert model.meta.ref_file.crds.context_used is None


def test_call_without_crds(ramp_file, caplog):
    with caplog.at_level(logging.WARNING):
        CleanFlickerNoiseStep.call(ramp_file).close()
    assert caplog.text.count("Default parameters are used") == 1
    assert caplog.text.count("WARNING") == 1


def test_no_server_is_asked_where_no_reference_is_needed(ramp_file, monkeypatch):
    """Defect 7."""

    def fail(*_arguments, **_options):
        raise AssertionError("CRDS was asked")

    monkeypatch.setenv("STPIPE_DISABLE_CRDS_STEPPARS", "true")
    monkeypatch.setattr("crds.getreferences", fail)
    monkeypatch.setattr("crds.core.heavy_client.get_processing_mode", fail)
    with CleanFlickerNoiseStep.call(ramp_file, save_results=True) as cleaned:
        assert cleaned.meta.cal_step.clean_flicker_noise == "COMPLETE"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache with a flat and a parameter file for NIRCam."""
    root = tmp_path / "crds"
    names = {
        "flat": "jwst_nircam_flat_9000.fits",
        "pars-cleanflickernoisestep": "jwst_nircam_pars-cleanflickernoisestep_9000.asdf",
    }
    environment = write_cache(root, {"nircam": names})
    folder = root / "references" / "jwst" / "nircam"
    y, _ = np.mgrid[:128, :256]
    with datamodels.FlatModel(data=(1 + 0.05 * np.sin(y)).astype(np.float32)) as flat:
        flat.dq = np.zeros((128, 256), np.uint32)
        flat.save(str(folder / names["flat"]))
    step = CleanFlickerNoiseStep(
        fit_method="median", n_sigma=2.75, fit_by_channel=True, apply_flat_field=True
    )
    step.export_config(folder / names["pars-cleanflickernoisestep"], include_metadata=True)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return folder


def in_new_process(*words, **variables):
    """crds remembers its settings for the life of a process."""
    names = ("CRDS_PATH", "CRDS_CONTEXT", "CRDS_SERVER_URL", "CRDS_OBSERVATORY")
    return strun(*words, **{name: os.environ[name] for name in names}, **variables)


def test_parameters_and_flat_from_a_cache(ramp_file, cache):
    done = in_new_process("deflicker", ramp_file)
    assert "pars-cleanflickernoisestep_9000.asdf" in done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    header = fits.getheader("jw00001_nrca1_clean_flicker_noise.fits")
    history = "".join(header["HISTORY"])
    assert "n_sigma=2.75" in history
    assert "fit_by_channel=True" in history
    assert header["R_FLAT"] == "crds://jwst_nircam_flat_9000.fits"
    assert header["CRDS_CTX"] == CONTEXT
    by_hand = CleanFlickerNoiseStep(
        fit_method="median",
        n_sigma=2.75,
        fit_by_channel=True,
        apply_flat_field=True,
        override_flat=str(cache / "jwst_nircam_flat_9000.fits"),
    ).run(str(ramp_file))
    found = fits.getdata("jw00001_nrca1_clean_flicker_noise.fits", "SCI")
    assert np.array_equal(by_hand.data, found, equal_nan=True)
    by_hand.close()


def test_the_users_own_parameters_win(ramp_file, cache):
    in_new_process("deflicker", ramp_file, "--n_sigma=3.5", "--apply_flat_field=false")
    header = fits.getheader("jw00001_nrca1_clean_flicker_noise.fits")
    history = "".join(header["HISTORY"])
    assert "n_sigma=3.5" in history
    assert "fit_by_channel=True" in history
    assert "R_FLAT" not in header
    assert "CRDS_CTX" not in header


def test_flat_that_the_cache_names_but_does_not_hold(ramp_file, cache):
    (cache / "jwst_nircam_flat_9000.fits").unlink()
    before = ramp_file.read_bytes()
    done = in_new_process("deflicker", ramp_file)
    said = done.stdout + done.stderr
    assert said.count("WARNING") == 1
    assert "FAILED" in said
    assert "override_flat" in said
    with (
        open_model("jw00001_nrca1_clean_flicker_noise.fits") as model,
        open_model(ramp_file) as raw,
    ):
        assert model.meta.cal_step.clean_flicker_noise == "FAILED"
        assert np.array_equal(model.data, raw.data, equal_nan=True)
    assert ramp_file.read_bytes() == before


@pytest.mark.parametrize("known", [{"flat": "N/A"}, {"gain": "N/A"}])
def test_no_flat_for_this_exposure(ramp_file, tmp_path, known):
    environment = write_cache(tmp_path / "crds", {"nircam": known})
    done = strun("deflicker", ramp_file, "--apply_flat_field=true", **environment)
    assert "apply_flat_field is ignored" in done.stdout + done.stderr
    header = fits.getheader("jw00001_nrca1_clean_flicker_noise.fits")
    assert header["S_CLNFNS"] == "COMPLETE"


@pytest.fixture
def soss_ramp(tmp_path):
    """A ramp of striped noise in SUBSTRIP96."""
    rng = np.random.default_rng(2)
    data = rng.normal(10, 1, (1, 2, 96, 2048)) + rng.normal(0, 2, (1, 2, 1, 2048))
    data = data.astype(np.float32)
    with datamodels.RampModel(data=data) as model:
        model.pixeldq, model.groupdq = np.zeros((96, 2048), "u4"), np.zeros(data.shape, "u1")
        model.meta.telescope = "JWST"
        model.meta.instrument.name, model.meta.instrument.detector = "NIRISS", "NIS"
        model.meta.instrument.pupil, model.meta.instrument.pupil_position = "GR700XD", COMMANDED
        model.meta.exposure.type, model.meta.exposure.noutputs = "NIS_SOSS", 1
        model.meta.observation.date, model.meta.observation.time = "2026-01-01", "00:00:00"
        model.meta.subarray.name = "SUBSTRIP96"
        model.meta.subarray.fastaxis, model.meta.subarray.slowaxis = -2, -1
        model.save("soss_ramp.fits")
    return tmp_path / "soss_ramp.fits"


def test_traces_from_a_cache(soss_ramp, tmp_path):
    root, name = tmp_path / "crds", "jwst_niriss_pastasoss_9000.asdf"
    environment = write_cache(root, {"niriss": {"pastasoss": name}})
    pastasoss_file(root / "references" / "jwst" / "niriss" / name)
    done = strun("deflicker", soss_ramp, "--mask_science_regions=true", **environment)
    assert "Science regions" in done.stdout + done.stderr
    header = fits.getheader("soss_clean_flicker_noise.fits")
    assert header["S_CLNFNS"] == "COMPLETE"
    assert header["R_PSTSOS"] == f"crds://{name}"
    assert header["CRDS_CTX"] == CONTEXT
    by_hand = CleanFlickerNoiseStep(
        mask_science_regions=True,
        override_pastasoss=str(root / "references" / "jwst" / "niriss" / name),
    ).run(str(soss_ramp))
    found = fits.getdata("soss_clean_flicker_noise.fits", "SCI")
    assert np.array_equal(by_hand.data, found)
    by_hand.close()


@pytest.mark.parametrize("known", [{"pastasoss": "N/A"}, {"gain": "N/A"}])
def test_no_traces_in_the_cache(soss_ramp, tmp_path, known):
    environment = write_cache(tmp_path / "crds", {"niriss": known})
    done = strun("deflicker", soss_ramp, "--mask_science_regions=true", **environment)
    assert (done.stdout + done.stderr).count("CRDS has none; give override_pastasoss") == 1
    header = fits.getheader("soss_clean_flicker_noise.fits")
    assert header["S_CLNFNS"] == "FAILED"
    assert "R_PSTSOS" not in header


def test_saved_parameters_come_back(ramp_file, tmp_path):
    strun_here(
        "deflicker", ramp_file, "--n_sigma=2.25", "--save-parameters=mine.asdf", "--save_mask=true"
    )
    with asdf.open(tmp_path / "mine.asdf") as content:
        assert content["parameters"]["n_sigma"] == 2.25
    Path("jw00001_nrca1_clean_flicker_noise.fits").unlink()
    strun_here("mine.asdf", ramp_file)
    history = fits.getheader("jw00001_nrca1_clean_flicker_noise.fits")["HISTORY"]
    assert "n_sigma=2.25" in "".join(history)


@pytest.fixture
def silent_server():
    """Address of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted = []

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    accepted.append(server.accept()[0])

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", accepted
        server.shutdown(socket.SHUT_RDWR)
    for connection in accepted:
        connection.close()


def test_a_server_that_never_answers(ramp_file, silent_server):
    """As without CRDS after so many seconds; it would wait for an hour."""
    address, accepted = silent_server
    variables = {"CRDS_SERVER_URL": address, "CRDS_CLIENT_TIMEOUT_SECONDS": "1"}
    start = time.monotonic()
    done = strun("deflicker", ramp_file, "--apply_flat_field=true", **variables)
    assert time.monotonic() - start < 60
    assert accepted
    said = done.stdout + done.stderr
    assert said.count("Default parameters are used") == 1
    assert "FAILED" in said
    assert "override_flat" in said
    assert fits.getheader("jw00001_nrca1_clean_flicker_noise.fits")["S_CLNFNS"] == "FAILED"


def test_a_server_that_never_answers_and_a_cache(ramp_file, cache, silent_server):
    address, accepted = silent_server
    names = ("CRDS_PATH", "CRDS_CONTEXT", "CRDS_OBSERVATORY")
    variables = {name: os.environ[name] for name in names}
    strun(
        "deflicker",
        ramp_file,
        CRDS_SERVER_URL=address,
        CRDS_CLIENT_TIMEOUT_SECONDS="1",
        **variables,
    )
    assert accepted
    header = fits.getheader("jw00001_nrca1_clean_flicker_noise.fits")
    assert header["S_CLNFNS"] == "COMPLETE"
    assert header["R_FLAT"] == "crds://jwst_nircam_flat_9000.fits"


BARE = pytest.param(
    "clean_flicker_noise",
    marks=pytest.mark.skipif(find_spec("jwst") is not None, reason="the alias has two owners"),
)


@pytest.mark.parametrize("alias", ["deflicker", "deflicker::clean_flicker_noise", BARE])
def test_aliases(ramp_file, alias):
    strun_here(alias, ramp_file)
    header = fits.getheader("jw00001_nrca1_clean_flicker_noise.fits")
    assert header["S_CLNFNS"] == "COMPLETE"
    assert "deflicker" in "".join(header["HISTORY"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none_ramp.fits"], "none_ramp.fits does not exist"),
        (["{ramp}", "--n_sigma=-1"], "n_sigma must be"),
        (["{ramp}", "--fit_method=mean"], "'median', 'fft'"),
        (["{ramp}", "--output_dir={ramp}/below"], "cannot be written"),
        (["{ramp}", "--fit_metod=median"], "fit_metod"),
    ],
)
def test_strun_says_what_is_wrong(ramp_file, words, message, capsys):
    before = sorted(Path().iterdir())
    with pytest.raises((Exception, SystemExit)) as caught:
        strun_here("deflicker", *[word.format(ramp=ramp_file) for word in words])
    assert message in str(caught.value) + "".join(capsys.readouterr())
    assert sorted(Path().iterdir()) == before


def test_strun_fails_where_the_step_does(tmp_path):
    done = strun("deflicker", "none_ramp.fits", check=False)
    assert done.returncode != 0
    assert "none_ramp.fits does not exist" in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())
