import gc
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deflicker import CleanOptions, Exposure, Readout
from deflicker.models.exposure import may_hold_stars, model_from_simulation
from deflicker.simulation.exposures import EXPOSURES, simulate
from deflicker.utils import threads

CRDS_VARIABLES = ("CRDS_PATH", "CRDS_SERVER_URL", "CRDS_CONTEXT", "CRDS_OBSERVATORY")


def pytest_addoption(parser):
    parser.addoption(
        "--threads", type=int, help="threads where a test asks for none, and cores of the step"
    )


def pytest_configure(config):
    number = config.getoption("threads")
    if number:
        CleanOptions.__init__.__kwdefaults__["n_threads"] = number
        threads.available_cores = lambda: number


@pytest.fixture(scope="session", autouse=True)
def _what_is_imported_is_no_garbage():
    """A step collects garbage when it ends: a quarter of a second among all modules of tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_crds(monkeypatch):
    """The machine's CRDS settings must not decide a test."""
    for name in (*CRDS_VARIABLES, "STPIPE_DISABLE_CRDS_STEPPARS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    """Steps write to the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def rng():
    return np.random.default_rng(20261122)


@pytest.fixture(scope="session")
def data_folder():
    """Real files, where there are any."""
    root = Path(__file__).parent
    folder = Path(os.environ.get("DEFLICKER_DATA", root.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real data: set DEFLICKER_DATA to the folder that holds them")
    return folder


SMALL = {
    "nircam": replace(EXPOSURES["nircam"], shape=(128, 256), n_stars=100),
    "niriss": replace(EXPOSURES["niriss"], shape=(256, 128), n_stars=100),
    "miri": replace(EXPOSURES["miri"], shape=(128, 136), n_stars=100, n_groups=5),
}


@pytest.fixture(scope="session", params=list(SMALL))
def small(request):
    """A small simulated exposure of each instrument."""
    return simulate(SMALL[request.param], seed=3)


@pytest.fixture(scope="session")
def small_nircam():
    return simulate(SMALL["nircam"], seed=3)


@pytest.fixture
def ramp_file(small_nircam, tmp_path):
    """A small ramp in a file, as the jump step would leave it."""
    path = tmp_path / "jw00001_nrca1_jump.fits"
    with model_from_simulation(small_nircam) as model:
        model.save(str(path))
    return path


def exposure_of(simulated, **changes):
    """Arrays of a simulated exposure."""
    scenario = simulated.scenario
    miri = Readout(fast_axis=2, slow_axis=1)
    fields = {
        "data": simulated.data.copy(),
        "pixel_dq": simulated.pixel_dq,
        "group_dq": simulated.group_dq,
        "readout": miri if scenario.instrument == "MIRI" else scenario.readout,
        "group_time": scenario.group_time,
        "has_stars": may_hold_stars(scenario.exp_type),
    }
    return Exposure(**{**fields, **changes})


def plain_exposure(data, *, ramp=True, **changes):
    """An exposure without flags, read along the rows."""
    fields = {
        "data": data,
        "pixel_dq": np.zeros(data.shape[-2:], np.uint32),
        "group_dq": np.zeros(data.shape, np.uint8) if ramp else None,
        "readout": Readout(fast_axis=1, slow_axis=2),
        "group_time": 10.0,
    }
    return Exposure(**{**fields, **changes})
