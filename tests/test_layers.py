"""What may import what."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import deflicker

PACKAGE = Path(deflicker.__file__).parent
FLOORS = (
    {"errors", "dq", "readout", "clock", "workers", "measured", "memory"},
    {
        "draft_rate",
        "scene",
        "background",
        "brightness",
        "flat",
        "noise",
        "pixel_pairs",
        "recipes",
        "row_levels",
        "series",
        "simulate",
        "quality",
    },
    {
        "options",
        "arrays",
        "autoparam",
        "drafts",
        "median_image",
        "stable_scene",
        "template_noise",
        "template",
        "trial_fits",
        "difference",
        "groups",
        "guard",
        "cleaning",
        "light_trend",
        "mean_image",
        "read_noise",
        "levels",
    },
    {
        "asdf_structure",
        "associations",
        "exposure",
        "files",
        "fits_structure",
        "footprints",
        "on_disk",
        "references",
        "round_trip",
        "trusted_tree",
        "soss",
        "spectra",
        "storage",
        "stored",
        "unfinished",
    },
    {
        "step",
        "product_step",
        "scene_step",
        "history",
        "host",
        "registry",
        "pipeline",
        "cli",
        "figures",
        "progress",
    },
)
HEAVY = ("stpipe", "stdatamodels", "crds", "jwst", "matplotlib")


def floor_of(module):
    return next(number for number, names in enumerate(FLOORS) if module in names)


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        top = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if top != "__init__":
            yield pytest.param(path, top, id=str(path.relative_to(PACKAGE)))


@pytest.mark.parametrize(("path", "top"), list(modules()))
def test_no_import_goes_upward(path, top):
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            package, _, rest = name.partition(".")
            if package != "deflicker" or rest == "__version__":
                continue
            module = deflicker._HOMES.get(rest, name).split(".")[1]
            assert floor_of(module) <= floor_of(top), name


def test_numerics_load_neither_pipeline_nor_models():
    names = [f"deflicker.{name}" for floor in FLOORS[:3] for name in sorted(floor)]
    code = f"import sys, {', '.join(names)}; print([m for m in {HEAVY} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["deflicker", "deflicker.registry"])
def test_faces_that_must_be_light(module):
    code = f"import sys, {module}; print([m for m in ('numpy', *{HEAVY}) if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_photutils_waits_for_the_model():
    code = "import sys, deflicker.step; print('photutils' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.name)
def test_jwst_is_imported_by_the_pipeline_alone(path):
    if path.name == "pipeline.py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not any(name.split(".")[0] == "jwst" for name in names)


def test_public_names():
    assert set(deflicker.__all__) <= set(dir(deflicker))
    for name in deflicker.__all__:
        assert getattr(deflicker, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        deflicker.nothing  # noqa: B018
