"""Damage of headers: values of another type, undefined or huge values, or no value at all."""

from typing import Final

from numpy.random import Generator

from benchmarks.faults.raw import CARD, RawExtension, RawFits

__all__ = ["damage_header"]

# Text after the keyword of a card.
VALUES: Final = (
    b"= ",
    b"= ''",
    b"= 'NaN     '",
    b"= NaN",
    b"=                1E999",
    b"=               -1E999",
    b"=                1E-400",
    b"= 99999999999999999999999",
    b"=           2147483648",
    b"=                   -1",
    b"=                    0",
    b"=                    1",
    b"=                 1000",
    b"=              1000000",
    b"=                  3.7",
    b"=                    T",
    b"= 'text    '",
    b"= '5       '",
    b"= 'None    '",
    b"= (1.0, 2.0)",
    b"= 'without an end",
    b"= 1 2 3",
    b"= '\xe9\xff\xfe'",
    b"= '\x00\x01\x7f'",
    b"= '../../../away/x_ramp.fits'",
    b"= '/'",
    b"= 'a/b.fits'",
    b"= '''quoted'' & '",
    b"= '" + b"x" * 68 + b"'",
    b"no equals sign",
    b"= {'a': 1}",
)
# Keywords on which readers depend are damaged more often.
IMPORTANT: Final = (  # noqa: SIM905 - many short words
    "SIMPLE XTENSION BITPIX NAXIS NAXIS1 NAXIS2 NAXIS3 NAXIS4 PCOUNT GCOUNT EXTEND TFIELDS "
    "TFORM1 TTYPE1 EXTNAME EXTVER DATAMODL FILENAME TELESCOP INSTRUME DETECTOR EXP_TYPE "
    "SUBARRAY FASTAXIS SLOWAXIS NOUTPUTS NINTS NGROUPS TGROUP READPATT BUNIT S_CLNFNS DATE "
    "DATE-OBS PROGRAM TARGPROP"
).split()
ADDED: Final = (  # noqa: SIM905 - many short words
    "BZERO BSCALE BLANK CHECKSUM DATASUM THEAP TNULL1 TZERO1 TSCAL1 TDIM1 ZIMAGE ZCMPTYPE "
    "GROUPS CONTINUE HIERARCH COMMENT HISTORY INHERIT LONGSTRN READPATT S_CLNFNS S_JUMP "
    "EXTLEVEL FILTER lower NAXIS5 PUPIL"
).split()


def damage_header(rng: Generator, fits: RawFits) -> str:
    """Damage up to three cards.

    Parameters
    ----------
    rng : numpy.random.Generator
        Random numbers.
    fits : RawFits
        The file; changed.

    Returns
    -------
    str
        What was done.
    """
    return "; ".join(_damage_card(rng, fits) for _ in range(rng.choice([1, 1, 2, 3])))


def _damage_card(rng: Generator, fits: RawFits) -> str:
    extension = _pick(rng, fits)
    at = _card(rng, extension)
    card = extension.cards[at]
    keyword = card[:8].decode("ascii", "replace").strip() or "a blank card"
    how = rng.choice(["value", "delete", "double", "move", "add", "noise"], p=_CHANCES)
    where = f"{keyword} of {extension.name}"
    value = VALUES[rng.integers(len(VALUES))]
    if how == "value":
        extension.cards[at] = _made(card[:8], value)
        return f"{where} {value.decode('latin1')!r}"
    if how == "delete":
        del extension.cards[at]
        return f"{where} deleted"
    if how == "double":
        extension.cards.insert(at, _made(card[:8], value))
        return f"{where} doubled with {value.decode('latin1')!r}"
    if how == "move":
        to = int(rng.integers(len(extension.cards)))
        extension.cards.insert(to, extension.cards.pop(at))
        return f"{where} moved to card {to}"
    if how == "add":
        keyword = str(rng.choice(ADDED))
        extension.cards.insert(max(at, 1), _made(keyword.ljust(8).encode(), value))
        return f"{keyword} added to {extension.name}: {value.decode('latin1')!r}"
    extension.cards[at] = rng.bytes(CARD) if rng.random() < 0.5 else b"END".ljust(CARD)
    return f"{where} overwritten"


_CHANCES: Final = (0.6, 0.08, 0.08, 0.06, 0.12, 0.06)


def _pick(rng: Generator, fits: RawFits) -> RawExtension:
    """Pick the first header in four of ten cases, otherwise a random one."""
    if rng.random() < 0.4:
        return fits.extensions[0]
    return fits.extensions[rng.integers(len(fits.extensions))]


def _card(rng: Generator, extension: RawExtension) -> int:
    important = [
        n
        for n, card in enumerate(extension.cards)
        if card[:8].decode("ascii", "replace").strip() in IMPORTANT
    ]
    if important and rng.random() < 0.8:
        return int(rng.choice(important))
    return int(rng.integers(len(extension.cards)))


def _made(keyword: bytes, value: bytes) -> bytes:
    return (keyword + value)[:CARD].ljust(CARD)
