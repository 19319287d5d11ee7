"""The noise method that is best for an exposure: ``fit_method='auto'``."""

import logging
from dataclasses import replace

from deflicker.cleaning.backgrounds import BACKGROUNDS
from deflicker.noise.registry import AUTO, METHODS
from deflicker.options import CleanOptions

__all__ = ["choose_method"]

log = logging.getLogger(__name__)

BEST, OTHERS = "wiener", "median"


def choose_method(options: CleanOptions, instrument: str | None = None) -> CleanOptions:
    """Replace ``fit_method='auto'`` by a method, and log the reason in one line.

    Parameters
    ----------
    options : CleanOptions
        Options of the cleaning.
    instrument : str, optional
        Name of the instrument; a near-infrared one by default.

    Returns
    -------
    CleanOptions
        The options with ``wiener`` for near-infrared detectors, and with ``median`` for others and
        for series of which a template is asked for; the same if they name a method.

    Examples
    --------
    >>> from deflicker import CleanOptions
    >>> from deflicker.cleaning.automatic import choose_method
    >>> choose_method(CleanOptions(fit_method="auto"), "MIRI").fit_method
    'median'
    """
    if options.fit_method != AUTO:
        return options
    if BACKGROUNDS[options.background_method].of_series:
        chosen = OTHERS
        reason = f"background_method={options.background_method!r} needs it"
    elif instrument is not None and instrument.upper() not in METHODS[BEST].instruments:
        chosen, reason = OTHERS, f"it is the one for {instrument.upper()}"
    else:
        chosen, reason = BEST, "it leaves the least noise of near-infrared detectors"
    log.info("fit_method='auto' is %r: %s", chosen, reason)
    return replace(options, fit_method=chosen)
