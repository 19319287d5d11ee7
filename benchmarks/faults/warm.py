"""Module that is imported before processes are copied, to load everything needed in advance."""

import io

import numpy as np
import photutils.background
from stdatamodels.jwst import datamodels

from benchmarks.faults import interruptions, trial

__all__ = ["interruptions", "photutils", "trial"]


def _load() -> None:
    """Write and read a model, so that schemas and extensions are loaded."""
    with datamodels.RampModel(data=np.zeros((1, 2, 4, 4), np.float32)) as model:
        model.add_history_entry("Nothing was done")
        model.to_asdf(io.BytesIO())


_load()
