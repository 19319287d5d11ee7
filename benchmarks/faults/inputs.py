"""Small exposures for damage: ramps and rates of all instruments, with tables and history."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from stdatamodels.jwst import datamodels

from deflicker.models.exposure import model_from_simulation
from deflicker.simulation.exposures import EXPOSURES, SERIES, Scenario, SimulatedExposure, simulate

__all__ = ["INPUTS", "Input", "write_input", "write_inputs"]


@dataclass(frozen=True, kw_only=True)
class Input:
    """An exposure to damage.

    Parameters
    ----------
    scenario : Scenario
        Simulated exposure.
    kind : {"ramp", "rateints", "rate"}
        Product of the pipeline, also the suffix of the file name.
    extras : bool
        Whether there is a block of ASDF, and a ramp has a ZEROFRAME and the tables GROUP
        and INT_TIMES.
    extension : {".fits", ".asdf"}
        Format of the file.
    series : bool
        Whether it may be a segment of a series.
    """

    scenario: Scenario
    kind: str = "ramp"
    extras: bool = False
    extension: str = ".fits"
    series: bool = False

    def file_name(self, name: str) -> str:
        """Name of the file.

        Parameters
        ----------
        name : str
            Name of the input.

        Returns
        -------
        str
            File name as the pipeline forms it.
        """
        return f"jw01234001001_{name}_{self.kind}{self.extension}"


_NIRCAM: Final = replace(EXPOSURES["nircam"], shape=(64, 128), n_stars=30, n_groups=4)
_NIRISS: Final = replace(
    EXPOSURES["niriss"], shape=(64, 64), n_stars=20, n_groups=3, n_integrations=2
)
_SOSS: Final = replace(
    SERIES["soss"], shape=(48, 128), n_groups=3, n_integrations=4, n_stars=3, trace_height=4.0
)
_WINDOW: Final = replace(EXPOSURES["nirspec-bots"], shape=(32, 128), n_groups=3, n_integrations=3)
_IFU: Final = replace(EXPOSURES["nirspec-ifu"], shape=(128, 128), n_groups=3, traces=3)
_MIRI: Final = replace(EXPOSURES["miri"], shape=(64, 72), n_stars=20, n_groups=4)

INPUTS: Final = {
    "nircam": Input(scenario=_NIRCAM),
    "nircam-extras": Input(scenario=replace(_NIRCAM, n_groups=2, n_integrations=2), extras=True),
    "niriss": Input(scenario=_NIRISS, extras=True),
    "soss": Input(scenario=_SOSS, series=True),
    "window": Input(scenario=_WINDOW, extras=True, series=True),
    "ifu": Input(scenario=_IFU),
    "miri": Input(scenario=_MIRI, extras=True),
    "nircam-rate": Input(scenario=_NIRCAM, kind="rate"),
    "window-rateints": Input(scenario=_WINDOW, kind="rateints"),
    "miri-rate": Input(scenario=_MIRI, kind="rate"),
    "nircam-asdf": Input(scenario=_NIRCAM, extras=True, extension=".asdf"),
    "window-asdf": Input(scenario=_WINDOW, kind="rateints", extension=".asdf"),
}


def write_inputs(folder: Path) -> None:
    """Write all inputs; they are the same in each run.

    Parameters
    ----------
    folder : pathlib.Path
        Folder for the files.
    """
    for name in INPUTS:
        write_input(name, folder)


def write_input(name: str, folder: Path) -> Path:
    """Write an input.

    Parameters
    ----------
    name : str
        Its name in `INPUTS`.
    folder : pathlib.Path
        Folder for the files.

    Returns
    -------
    pathlib.Path
        The file.
    """
    source = INPUTS[name]
    path = folder / source.file_name(name)
    truth = simulate(source.scenario, seed=5)
    ramp = model_from_simulation(truth)
    with ramp, _PRODUCTS[source.kind](ramp, truth, source) as model:
        model.meta.observation.program_number = "01234"
        model.meta.target.proposer_name = "A star that nobody has looked at before"
        model.add_history_entry("Simulated, to be damaged")
        if source.extras:
            model.notes = {"curve": np.linspace(0.0, 1.0, 300)}  # makes a block of ASDF
        model.save(str(path))
    return path


def _ramp(
    ramp: datamodels.RampModel, truth: SimulatedExposure, source: Input
) -> datamodels.RampModel:
    """Add the arrays and tables that ramps may have in addition to their groups."""
    if source.extras:
        n_integrations, n_groups = truth.data.shape[:2]
        ramp.zeroframe = truth.data[:, 0].copy()
        ramp.int_times = _int_times(ramp, n_integrations)
        group = np.zeros(n_integrations * n_groups, dtype=ramp.get_dtype("group"))
        group["integration_number"] = 1 + np.arange(len(group)) // n_groups
        group["group_number"] = 1 + np.arange(len(group)) % n_groups
        group["group_end_time"] = b"2026-01-01T00:00:00.000"
        group["completion_code_text"] = b"COMPLETE"
        ramp.group = group
    return ramp


def _int_times(model: datamodels.JwstDataModel, n_integrations: int) -> np.ndarray:
    """Times of the integrations."""
    times = np.zeros(n_integrations, dtype=model.get_dtype("int_times"))
    times["integration_number"] = 1 + np.arange(n_integrations)
    for name in times.dtype.names[1:]:
        times[name] = 61041.0 + 0.01 * np.arange(n_integrations)
    return times


def _rate_ints(
    ramp: datamodels.RampModel, truth: SimulatedExposure, _source: Input
) -> datamodels.CubeModel:
    """Make rates of the integrations from the last and the first group."""
    time = truth.scenario.group_time * (truth.scenario.n_groups - 1)
    data = (truth.data[:, -1] - truth.data[:, 0]) / np.float32(time)
    model = datamodels.CubeModel(data=data, dq=np.array([truth.pixel_dq] * len(data)))
    model.int_times = _int_times(model, len(data))
    return _with_errors(model, ramp)


def _rate(
    ramp: datamodels.RampModel, truth: SimulatedExposure, source: Input
) -> datamodels.ImageModel:
    """Make the mean rate."""
    with _rate_ints(ramp, truth, source) as rates:
        data = rates.data.mean(axis=0)
    model = datamodels.ImageModel(data=data, dq=truth.pixel_dq.copy())
    return _with_errors(model, ramp)


def _with_errors(
    model: datamodels.JwstDataModel, ramp: datamodels.RampModel
) -> datamodels.JwstDataModel:
    """Add the arrays and keywords that the ramp fit adds to rates."""
    model.err = np.full_like(model.data, 0.5)
    model.var_poisson = np.full_like(model.data, 0.15)
    model.var_rnoise = np.full_like(model.data, 0.1)
    model.update(ramp)
    model.meta.bunit_data = model.meta.bunit_err = "DN/s"
    return model


_PRODUCTS: Final[dict[str, Callable[..., datamodels.JwstDataModel]]] = {
    "ramp": _ramp,
    "rateints": _rate_ints,
    "rate": _rate,
}
