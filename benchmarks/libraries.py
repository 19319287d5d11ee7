"""Speed of the slowest pieces of code, compared with other libraries if they are installed.

Run with ``python -m benchmarks.libraries`` after ``pip install bottleneck numba``. It measures
medians of rows, and the sort that serves all clips, on one full-frame image and one core.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from deflicker.stats.clipping import SortedValues
from deflicker.stats.row_medians import row_medians

__all__ = ["main"]

SHAPE = (2048, 2048)


def main() -> None:
    """Print the times."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=SHAPE).astype(np.float32)
    usable = rng.random(SHAPE) < 0.9
    pieces: dict[str, Callable[[], object]] = {
        "row medians, deflicker": lambda: row_medians(values, usable),
        "sort, deflicker (numpy)": lambda: SortedValues.of(values, usable),
    }
    if find_spec("bottleneck"):
        import bottleneck

        masked = np.where(usable, values, np.float32(np.nan))
        pieces["row medians, bottleneck"] = lambda: bottleneck.nanmedian(masked, axis=1)
    if find_spec("numba"):
        medians, sort = _compiled()
        pieces["row medians, numba"] = lambda: medians(values, usable)
        pieces["sort, numba"] = lambda: sort(values[usable])
    for name in sorted(pieces):
        print(f"{name:28}{1e3 * _best(pieces[name]):8.1f} ms")


def _compiled() -> tuple[Callable[..., object], Callable[..., object]]:
    """Loops that numba compiles."""
    import numba

    @numba.njit
    def medians(values: NDArray[np.float32], usable: NDArray[np.bool_]) -> NDArray[np.float32]:
        found = np.empty(len(values), np.float32)
        for row in range(len(values)):
            found[row] = np.median(values[row][usable[row]])
        return found

    @numba.njit
    def sort(values: NDArray[np.float32]) -> None:
        values.sort()

    return medians, sort


def _best(piece: Callable[[], object]) -> float:
    """Shortest of three runs in seconds, after a first one."""
    times = []
    for _ in range(4):
        start = time.perf_counter()
        piece()
        times.append(time.perf_counter() - start)
    return min(times[1:])


if __name__ == "__main__":
    main()
