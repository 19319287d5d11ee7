"""All noise methods, by the values of ``fit_method``."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from deflicker.noise.median import MEDIAN
from deflicker.noise.method import NoiseMethod
from deflicker.noise.nsclean.method import NSCLEAN
from deflicker.noise.rowwise.method import RowMethod
from deflicker.noise.wiener.method import WIENER
from deflicker.options import CleanOptions

__all__ = ["AUTO", "METHODS", "row_method"]

AUTO: Final = "auto"  # value of fit_method that stands for the best method of an exposure

METHODS: Mapping[str, NoiseMethod] = MappingProxyType(
    {method.name: method for method in (MEDIAN, NSCLEAN, WIENER)}
)


def row_method(options: CleanOptions) -> RowMethod:
    """Row-wise noise model that the options ask for.

    Parameters
    ----------
    options : CleanOptions
        Options with ``fit_method``.

    Returns
    -------
    RowMethod
        The method.

    Raises
    ------
    TypeError
        If the method does not fit rows.
    """
    method = METHODS[options.fit_method]
    if not isinstance(method, RowMethod):
        msg = f"fit_method={method.name!r} is no noise model of rows"
        raise TypeError(msg)
    return method
