"""What is public is what ``__init__`` files name, and what the reference of the docs shows."""

import importlib
import pkgutil
import re
from pathlib import Path

import deflicker

REFERENCE = Path(__file__).parents[1] / "docs" / "reference.rst"


def public_names():
    """By the objects themselves: some are public in two places."""
    found = {}
    names = [info.name for info in pkgutil.walk_packages(deflicker.__path__, "deflicker.")]
    for package in ["deflicker", *(name for name in names if name != "deflicker.pipeline")]:
        module = importlib.import_module(package)
        if not hasattr(module, "__path__"):
            continue
        for name in getattr(module, "__all__", []):
            found.setdefault(id(getattr(module, name)), []).append(f"{package}.{name}")
    return found


def test_the_reference_shows_the_public_names_alone():
    module, shown = "", set()
    for line in REFERENCE.read_text().splitlines():
        if match := re.fullmatch(r"\.\. currentmodule:: (.*)", line):
            module = match[1]
        elif match := re.fullmatch(r"\.\. auto(?:class|function|data|exception):: (.*)", line):
            shown.add(f"{module}.{match[1]}")
    public = public_names()
    known = {name for names in public.values() for name in names}
    assert shown <= known
    missing = [names for names in public.values() if not shown.intersection(names)]
    assert missing == [["deflicker.__version__"]]
