"""Numbers that were chosen and not derived: their unit, their meaning and how much they matter."""

from dataclasses import dataclass, field, fields
from typing import Any

__all__ = ["Tunable", "table_of_tunables", "tunable", "tunables"]


@dataclass(frozen=True, kw_only=True)
class Tunable:
    """What is known of a number that was chosen.

    Parameters
    ----------
    name : str
        Name of the field.
    default : float
        Its value.
    unit : str
        Its unit; empty for a ratio or a count.
    meaning : str
        What it decides.
    low, high : float
        Between these the figures of ``python -m benchmarks.tuning`` change by less than two
        points; they may go on beyond them, which was not tried.
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
        What it decides.
    unit : str, optional
        Its unit; empty for a ratio or a count.
    between : tuple of float, optional
        Between these it hardly matters, see `Tunable`; the default alone by default.

    Returns
    -------
    dataclasses.Field
        With all of it as metadata.
    """
    low, high = between or (default, default)
    metadata = {"unit": unit, "meaning": meaning, "low": low, "high": high}
    return field(default=default, metadata=metadata)


def tunables(tuning: Any) -> list[Tunable]:
    """List the numbers of a tuning.

    Parameters
    ----------
    tuning : dataclass
        Whose fields `tunable` made, or an instance of it.

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
