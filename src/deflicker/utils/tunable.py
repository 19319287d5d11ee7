"""Numbers that were chosen and not derived, with unit, meaning, and how much they matter."""

from dataclasses import dataclass, field, fields
from typing import Any

__all__ = ["Tunable", "table_of_tunables", "tunable", "tunables"]


@dataclass(frozen=True, kw_only=True)
class Tunable:
    """Description of a number that was chosen.

    Parameters
    ----------
    name : str
        Name of the field.
    default : float
        Its value.
    unit : str
        Its unit; empty for a ratio or a count.
    meaning : str
        What the number determines.
    low, high : float
        Limits between which the figures of ``python -m benchmarks.tuning`` change by less than
        two points. Values beyond them were not tried and may be equally good.
    """

    name: str
    default: float
    unit: str
    meaning: str
    low: float
    high: float


def tunable(
    default: float, meaning: str, *, unit: str = "", between: tuple[float, float] | None = None
) -> Any:
    """Make a field of a frozen dataclass of tunables.

    Parameters
    ----------
    default : float
        Its value.
    meaning : str
        What the number determines.
    unit : str, optional
        Its unit; empty for a ratio or a count.
    between : tuple of float, optional
        Limits between which it hardly matters, see `Tunable`; both are the value itself by
        default.

    Returns
    -------
    dataclasses.Field
        With the description as metadata.
    """
    low, high = between or (default, default)
    metadata = {"unit": unit, "meaning": meaning, "low": low, "high": high}
    return field(default=default, metadata=metadata)


def tunables(tuning: Any) -> list[Tunable]:
    """List the numbers of a tuning.

    Parameters
    ----------
    tuning : dataclass
        Dataclass whose fields were made by `tunable`, or an instance of it.

    Returns
    -------
    list of Tunable
        One for each field.
    """
    return [
        Tunable(name=one.name, default=getattr(tuning, one.name), **one.metadata)
        for one in fields(tuning)
    ]


def table_of_tunables(tuning: Any) -> str:
    """Write the table of the docs.

    Parameters
    ----------
    tuning : dataclass
        See `tunables`.

    Returns
    -------
    str
        A ``list-table`` in reStructuredText.
    """
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 22 10 8 42 18", ""]
    lines += ["   * - number", "     - value", "     - unit", "     - what it decides"]
    lines += ["     - hardly matters between"]
    for one in tunables(tuning):
        lines += [f"   * - ``{one.name}``", f"     - {one.default:g}", f"     - {one.unit}"]
        lines += [f"     - {one.meaning}", f"     - {one.low:g} and {one.high:g}"]
    return "\n".join(lines) + "\n"
