"""What is loaded with what; what may import what is in pyproject.toml (``lint-imports``)."""

import subprocess
import sys
from pathlib import Path

import pytest

import deflicker

PACKAGE = Path(deflicker.__file__).parent
LIBRARY = (
    "autoparam", "cleaning", "series", "noise", "scene", "ramps", "simulation", "detector",
    "stats", "utils",
)  # fmt: skip
HEAVY = ("stpipe", "stdatamodels", "crds", "jwst", "matplotlib")


def modules_of(folder):
    return [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((PACKAGE / folder).rglob("*.py"))
    ]


def test_the_library_loads_neither_pipeline_nor_models():
    names = ["deflicker.errors", "deflicker.options"]
    for folder in LIBRARY:
        names += modules_of(folder)
    assert len(names) > 40
    code = f"import sys, {', '.join(names)}; print([m for m in {HEAVY} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["deflicker", "deflicker.registry"])
def test_faces_that_must_be_light(module):
    code = f"import sys, {module}; print([m for m in ('numpy', *{HEAVY}) if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
