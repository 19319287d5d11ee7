"""What the package says about itself."""

import re
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]


def test_oldest_packages_that_are_tested_are_the_bounds():
    """So that `tox -e oldest` shows them to be true."""
    extras = PROJECT["optional-dependencies"]
    needed = [*PROJECT["dependencies"], *extras["plots"], *extras["test"]]
    lines = (HERE / "oldest.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    for requirement in needed:
        name, bound = re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement).groups()
        assert re.fullmatch(rf"{re.escape(bound)}(\.0)*", pins[name]), requirement
