"""Sphinx configuration."""

from importlib import import_module
from importlib.metadata import version as package_version

from sphinx.util.docutils import SphinxDirective

from deflicker.parameters import table_of_parameters
from deflicker.utils.tunable import table_of_tunables

project = "deflicker"
author = "The deflicker developers"
copyright = "2026, The deflicker developers"  # noqa: A001
release = package_version("deflicker")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "myst_nb",
    "numpydoc",
]
html_theme = "alabaster"
html_static_path = ["_static"]
html_theme_options = {"description": "JWST images without stripes", "page_width": "1100px"}
exclude_patterns = ["_build"]

numpydoc_show_class_members = False
numpydoc_validation_checks = {"PR01", "PR02", "PR03", "RT01", "RT03", "SS01", "YD01"}
# Their numbers are described where they stand, and in the tables of `TunableTable`.
numpydoc_validation_exclude = {r"Tuning$", r"\.NoiseMethod$"}
autodoc_typehints = "none"

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600


class ParameterTable(SphinxDirective):
    """The table of the step's parameters, made from the one in the code."""

    def run(self) -> list:
        return self.parse_text_to_nodes(table_of_parameters())


class TunableTable(SphinxDirective):
    """The numbers that were chosen for a method, made of those in the code."""

    required_arguments = 1

    def run(self) -> list:
        package, _, name = self.arguments[0].rpartition(".")
        tuning = getattr(import_module(package), name)
        return self.parse_text_to_nodes(table_of_tunables(tuning()))


def setup(app) -> None:
    app.add_directive("parameter-table", ParameterTable)
    app.add_directive("tunable-table", TunableTable)
