"""A progress bar, shown only where a user can see it."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["progress"]

DELAY: Final = 2.0  # seconds; shorter work needs no bar


@contextmanager
def progress(
    total: int, *, wanted: bool, unit: str = "difference"
) -> Iterator[Callable[[], object]]:
    """Show a bar on a terminal or in a notebook, and nowhere else.

    Parameters
    ----------
    total : int
        Number of pieces of work.
    wanted : bool
        Whether it may be shown. The environment variable ``TQDM_DISABLE=1`` turns it
        off too.
    unit : str, optional
        What a piece is.

    Yields
    ------
    callable
        To be called after each piece.
    """
    on_terminal = getattr(sys.stderr, "isatty", bool)()
    if not wanted or not (_in_notebook() or on_terminal):
        yield lambda: None
        return
    with warnings.catch_warnings():
        # tqdm warns in a notebook without widgets, where it shows a bar of text instead.
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm

    with tqdm(
        total=total,
        desc="Cleaning",
        unit=unit,
        delay=DELAY,
        leave=False,
        dynamic_ncols=True,
    ) as bar:
        yield bar.update


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and "IPKernelApp" in shell.config
