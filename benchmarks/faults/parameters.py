"""Random parameters of a run, including odd values that are allowed."""

import shlex
from collections.abc import Mapping
from typing import Any

from numpy.random import Generator

__all__ = ["as_words", "random_parameters"]


def random_parameters(rng: Generator, *, instrument: str) -> dict[str, Any]:
    """Choose parameters of the step.

    Parameters
    ----------
    rng : numpy.random.Generator
        Random numbers.
    instrument : str
        Instrument of the exposure, because some methods are only for some instruments.

    Returns
    -------
    dict
        Values by name, without parameters that keep their defaults.
    """
    methods = ["median", "wiener", "fft"]
    chances = {"NIRSPEC": (0.35, 0.3, 0.35), "MIRI": (0.9, 0.05, 0.05)}
    parameters: dict[str, Any] = {
        "fit_method": str(rng.choice(methods, p=chances.get(instrument, (0.55, 0.4, 0.05)))),
        "background_method": str(rng.choice(["median", "model", "median_image", "None"])),
        "maximum_cores": str(rng.choice(["1", "2"])),
        "memory_limit": str(rng.choice(["none", "10 kB"])),
    }
    sometimes = {
        "fit_by_channel": 0.3,
        "fit_histogram": 0.15,
        "save_mask": 0.2,
        "save_background": 0.2,
        "save_noise": 0.2,
        "save_template": 0.1,
        "save_spectrum": 0.1,
        "autoparam": 0.1,
        "force": 0.2,
        "mask_science_regions": 0.05,
        "apply_flat_field": 0.03,
    }
    parameters |= {name: True for name, chance in sometimes.items() if rng.random() < chance}
    if rng.random() < 0.3:
        parameters["single_mask"] = False
    if rng.random() < 0.4:
        parameters["n_sigma"] = float(rng.choice([0.0, 0.01, 0.1, 1.0, 5.0, 50.0, 1e6]))
    if rng.random() < 0.2:
        parameters["background_box_size"] = [int(rng.integers(1, 80)), int(rng.integers(1, 80))]
    return parameters


def as_words(parameters: Mapping[str, Any]) -> str:
    """Write parameters as on the command line.

    Parameters
    ----------
    parameters : mapping
        Values by name.

    Returns
    -------
    str
        Arguments after ``strun deflicker FILE``.
    """
    words = []
    for name, value in parameters.items():
        shown = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        words.append(f"--{name}={shlex.quote(shown)}")
    return " ".join(words)
