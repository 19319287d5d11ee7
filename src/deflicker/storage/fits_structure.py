"""Checks of the structure of FITS files against their size, before anything is read.

The readers of FITS and ASDF trust the numbers in a header. With a damaged header they may loop
over a thousand million columns or ask for terabytes, so each number is compared with the file.
"""

import bz2
import gzip
import hashlib
import io
import lzma
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from astropy.io import fits

from deflicker.storage.asdf_structure import Tree, check_asdf

__all__ = ["ASDF_NAME", "Extension", "check_file", "hash_of_headers"]

ASDF_NAME: Final = "ASDF"  # name of the extension that contains a tree
BLOCK: Final = 2880  # bytes, of FITS
CARD: Final = 80  # characters
CHUNK: Final = 1 << 22  # bytes read at once
LARGEST_FILE: Final = 1 << 43  # bytes
LARGEST: Final = 999  # axes and columns, according to the FITS standard
# EXTVER may exceed the number of extensions by this; a larger value means damage. Models look for
# each version up to the largest, which would take long.
EXTRA_VERSIONS: Final = 1000
# No compression of images expands a byte to more bytes than this.
LARGEST_RATIO: Final = 10_000
PIXEL_BITS: Final = (8, 16, 32, 64, -32, -64)
KINDS: Final = ("IMAGE", "BINTABLE", "TABLE")
# Bits of an element of a column of a binary table.
COLUMN_BITS: Final = {
    "L": 8, "X": 1, "B": 8, "I": 16, "J": 32, "K": 64, "A": 8, "E": 32, "D": 64, "C": 64,
    "M": 128, "P": 64, "Q": 128,
}  # fmt: skip
COLUMN: Final = re.compile(r"\s*(\d{0,18})([LXBIJKAEDCMPQ])(.*)", re.DOTALL)
ASCII_COLUMN: Final = re.compile(r"\s*(?:A|[IFED])(\d{1,9})(?:\.\d{1,9})?\s*")
COMMENTARY: Final = ("COMMENT", "HISTORY", "")
OPENERS: Final[Mapping[bytes, Callable[..., Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZ": bz2.open,
    b"\xfd7": lzma.open,
}


@dataclass(frozen=True, kw_only=True)
class Extension:
    """A header and data unit of a FITS file.

    Parameters
    ----------
    number : int
        0 for the first.
    name : str
        EXTNAME in capitals; PRIMARY for the first extension if it has none.
    version : int
        EXTVER.
    header : astropy.io.fits.Header
        Its header.
    size : int
        Bytes of data, without padding.
    branch : str, optional
        Top-level branch of the ASDF tree that has these data, if the reader trusts the tree;
        otherwise empty.
    """

    number: int
    name: str
    version: int
    header: fits.Header
    size: int
    branch: str = ""

    def __str__(self) -> str:
        name = f"{self.name},{self.version}" if self.version != 1 else self.name
        return f"extension {name or 'without name'} (number {self.number})"


def check_file(path: Path) -> list[Extension]:
    """Check that a file contains what its headers promise, and nothing that cannot be read.

    Parameters
    ----------
    path : pathlib.Path
        FITS file, which may be compressed, or ASDF file. Other files are not checked.

    Returns
    -------
    list of Extension
        Extensions of a FITS file; empty for other files.

    Raises
    ------
    OSError
        If something is wrong; the message names the extension and the keyword.
    """
    suffixes = path.suffixes[-2:]
    if ".fits" in suffixes:
        with _open(path) as stream:
            return _check_fits(stream)
    if suffixes[-1:] == [".asdf"]:
        with path.open("rb") as stream:
            check_asdf(stream, path.stat().st_size, arrays=set())
    return []


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as stream:
        magic = stream.read(2)
        stream.seek(0)
        if magic not in OPENERS:
            yield stream
            return
        with OPENERS[magic](stream) as expanded:
            try:
                yield expanded
            except (EOFError, lzma.LZMAError) as error:
                msg = f"the compressed file is damaged: {error}"
                raise OSError(msg) from error


def _check_fits(stream: IO[bytes]) -> list[Extension]:
    extensions: list[Extension] = []
    asdf: bytes | None = None
    while (text := _read_header(stream, len(extensions))) is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            extension = _describe(text, len(extensions))
        extensions.append(extension)
        try:
            data = _check_data(stream, extension)
        except OSError as error:
            msg = f"{extension}: {error}"
            raise OSError(msg) from error
        if extension.name == ASDF_NAME and asdf is None:
            asdf = data
    _check_names(extensions)
    if asdf is not None:
        arrays: set[Any] = {(one.name, one.version) for one in extensions}
        arrays |= set(range(len(extensions)))
        try:
            tree = check_asdf(io.BytesIO(asdf), len(asdf), arrays=arrays)
            extensions = _named(tree, extensions)
        except OSError as error:
            msg = f"extension ASDF: {error}; delete it, the keywords hold the same"
            raise OSError(msg) from error
    return extensions


def hash_of_headers(extensions: Sequence[Extension]) -> str:
    """Hash of all headers, as writers of data models store it in the tree.

    Parameters
    ----------
    extensions : sequence of Extension
        All extensions of a file.

    Returns
    -------
    str
        SHA-256 of the text of all headers except that of ASDF. Readers skip the headers if
        the tree has the same hash.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = "".join(str(each.header) for each in extensions if each.name != ASDF_NAME)
    return hashlib.sha256(text.encode()).hexdigest()


def _named(tree: Tree, extensions: list[Extension]) -> list[Extension]:
    """Note which branch of the tree has the data of each extension, if readers trust the tree."""
    if tree.fits_hash != hash_of_headers(extensions):
        return extensions
    found = []
    for one in extensions:
        branch = tree.arrays.get((one.name, one.version), tree.arrays.get(one.number))
        if branch is None and one.size and one.name != ASDF_NAME:
            msg = f"its tree does not name {one}"
            raise OSError(msg)
        found.append(replace(one, branch=branch or ""))
    return found


def _read_header(stream: IO[bytes], number: int) -> str | None:
    """Text of the next header; None after the last."""
    parts: list[bytes] = []
    while True:
        block = stream.read(BLOCK)
        if not parts:
            if number and not block.strip(b"\0 "):
                _check_blank(stream, number)
                return None
            first = b"XTENSION=" if number else b"SIMPLE  ="
            if not block.startswith(first):
                what = f"what follows extension {number - 1} is" if number else "it is"
                msg = f"{what} no FITS header: it does not begin with {first.decode()}"
                raise OSError(msg)
        if len(block) < BLOCK:
            msg = f"the file ends within the header of extension number {number}"
            raise OSError(msg)
        end = next(
            (i for i in range(0, BLOCK, CARD) if block[i : i + CARD].rstrip() == b"END"), None
        )
        parts.append(block if end is None else block[:end])
        _check_characters(parts[-1], number)
        if end is not None:
            if block[end + CARD :].strip(b"\0 "):
                msg = f"extension number {number}: keywords follow END in its header"
                raise OSError(msg)
            return b"".join(parts).decode("ascii")


def _check_blank(stream: IO[bytes], number: int) -> None:
    """Refuse anything that follows the last extension, except padding."""
    while chunk := stream.read(CHUNK):
        if chunk.strip(b"\0 "):
            msg = f"what follows extension number {number - 1} is no extension"
            raise OSError(msg)


def _check_characters(cards: bytes, number: int) -> None:
    for start in range(0, len(cards), CARD):
        card = cards[start : start + CARD]
        if any(not 32 <= byte < 127 for byte in card):
            keyword = card[:8].decode("ascii", "replace").strip()
            msg = f"extension number {number}: keyword {keyword} holds characters that are no ASCII"
            raise OSError(msg)


def _describe(text: str, number: int) -> Extension:
    """Parse a header and check each of its cards."""
    header = fits.Header.fromstring(text)
    for card in header.cards:
        _check_card(card, number)
    try:
        return Extension(
            number=number,
            name=_text(header, "EXTNAME", "" if number else "PRIMARY").strip().upper(),
            version=_integer(header, "EXTVER", default=1, low=0),
            header=header,
            size=_data_size(header, number),
        )
    except OSError as error:
        msg = f"extension number {number}: {error}"
        raise OSError(msg) from error


def _check_card(card: fits.Card, number: int) -> None:
    """Refuse a card that could not be written again."""
    try:
        keyword = card.keyword
        if keyword in COMMENTARY:
            return
        str(fits.Card(keyword, _defined(card.value), card.comment))
    except Exception as error:
        keyword = _shown_keyword(card)
        msg = (
            f"extension number {number}: keyword {keyword} cannot be read "
            f"({' '.join(str(error).split())[:200]}); give it a value that FITS allows, or "
            "delete it"
        )
        raise OSError(msg) from error


def _shown_keyword(card: fits.Card) -> str:
    """Keyword of a card for messages, if it is readable at all."""
    with suppress(Exception):
        return str(card.image[:8].strip())
    return "(unreadable)"


def _defined(value: Any) -> Any:
    if isinstance(value, fits.card.Undefined):
        msg = "it has no value"
        raise ValueError(msg)  # noqa: TRY004 - astropy marks a missing value by its type
    return value


def _text(header: fits.Header, keyword: str, default: str) -> str:
    value = header.get(keyword, default)
    if not isinstance(value, str):
        msg = f"{keyword} must be a text, not {value!r}"
        raise OSError(msg)
    return value


def _integer(
    header: fits.Header,
    keyword: str,
    *,
    default: int | None = None,
    low: int | None = None,
    high: int | None = None,
) -> int:
    value = header.get(keyword, default)
    if value is None:
        msg = f"keyword {keyword} is missing"
        raise OSError(msg)
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"{keyword} must be an integer, not {value!r}"
        raise OSError(msg)
    if (low is not None and value < low) or (high is not None and value > high):
        msg = f"{keyword} = {value} is not possible"
        raise OSError(msg)
    return value


def _number(header: fits.Header, keyword: str) -> None:
    value = header.get(keyword, 0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"{keyword} must be a number, not {value!r}"
        raise OSError(msg)


def _shape(header: fits.Header, prefix: str = "") -> list[int]:
    n_axes = _integer(header, f"{prefix}NAXIS", low=0, high=LARGEST)
    return [_integer(header, f"{prefix}NAXIS{i + 1}", low=0) for i in range(n_axes)]


def _data_size(header: fits.Header, number: int) -> int:
    """Bytes of data that a header promises."""
    if number and header.get("XTENSION") not in KINDS:
        msg = f"XTENSION must be one of {', '.join(KINDS)}, not {header.get('XTENSION')!r}"
        raise OSError(msg)
    if not number and header.get("SIMPLE") is not True:
        msg = "SIMPLE must be T"
        raise OSError(msg)
    if header.get("GROUPS", False) is not False:
        msg = "GROUPS: random groups are not supported"
        raise OSError(msg)
    bits = _integer(header, "BITPIX")
    if bits not in PIXEL_BITS:
        msg = f"BITPIX = {bits} is not possible"
        raise OSError(msg)
    axes = _shape(header)
    is_table = bool(number) and header["XTENSION"] != "IMAGE"
    if is_table and (bits != 8 or len(axes) != 2):
        msg = "BITPIX and NAXIS of a table must be 8 and 2"
        raise OSError(msg)
    extra = _integer(header, "PCOUNT", default=0, low=0, high=None if is_table else 0)
    _integer(header, "GCOUNT", default=1, low=1, high=1)
    for keyword in ("BSCALE", "BZERO", "BLANK"):
        _number(header, keyword)
    if not is_table and header.get("ZIMAGE", False) is not False:
        msg = "ZIMAGE marks a compressed image, which only a table can hold"
        raise OSError(msg)
    return abs(bits) // 8 * math.prod(axes) + extra if axes else 0


def _check_data(stream: IO[bytes], extension: Extension) -> bytes | None:
    """Skip the data of an extension; data of tables that must be checked are read and returned."""
    header = extension.header
    kind = header["XTENSION"] if extension.number else "IMAGE"
    rows = 0
    columns: list[tuple[int, int, str]] = []
    if kind == "BINTABLE":
        columns = _columns(header)
        rows = header["NAXIS2"]
    elif kind == "TABLE":
        _check_ascii_columns(header)
    padded = -(-extension.size // BLOCK) * BLOCK
    looked_at = extension.name == ASDF_NAME or any(code[0] in "PQ" for _, _, code in columns)
    if not looked_at:
        _skip(stream, padded)
        return None
    # Read in parts, so that a wrong size in the header does not use memory.
    content = io.BytesIO()
    while content.tell() < padded:
        chunk = stream.read(min(CHUNK, padded - content.tell()))
        if not chunk:
            raise _ends_early(padded, content.tell())
        content.write(chunk)
    data = content.getvalue()[: extension.size]
    if kind == "BINTABLE":
        _check_heap(header, columns, data, rows=rows)
    return data[: extension.size - header.get("PCOUNT", 0)]


def _ends_early(promised: int, there: int) -> OSError:
    return OSError(
        f"its header (BITPIX, NAXISn, PCOUNT) promises {promised} bytes of data, the file holds "
        f"{there} of them"
    )


def _skip(stream: IO[bytes], size: int) -> None:
    """Skip data; a compressed file must be expanded for this."""
    start = stream.tell()
    if not size:
        return
    there = 0
    # Systems refuse to seek beyond this.
    if size < LARGEST_FILE:
        stream.seek(start + size - 1)
        if stream.read(1):
            return
        with suppress(ValueError):  # from a gzip stream, which is already at its end
            stream.seek(0, io.SEEK_END)
        there = max(stream.tell() - start, 0)
    raise _ends_early(size, there)


def _columns(header: fits.Header) -> list[tuple[int, int, str]]:
    """Offset in the row, number of elements and type of the columns of a binary table."""
    width = 0
    columns = []
    for number in range(1, _integer(header, "TFIELDS", low=0, high=LARGEST) + 1):
        form = header.get(f"TFORM{number}")
        match = COLUMN.fullmatch(form) if isinstance(form, str) else None
        if match is None:
            msg = f"TFORM{number} = {form!r} is no format of a column"
            raise OSError(msg)
        repeat = int(match[1] or 1)
        code = match[2]
        if code in "PQ" and (repeat > 1 or not re.match(r"[LXBIJKAEDCM]", match[3])):
            msg = f"TFORM{number} = {form!r} is no format of a column"
            raise OSError(msg)
        columns.append((width, repeat, code if code not in "PQ" else code + match[3][0]))
        width += -(-repeat * COLUMN_BITS[code] // 8)
        _check_column(header, number, repeat=None if code in "PQ" else repeat)
    if width != header["NAXIS1"]:
        msg = f"the columns (TFORMn) need {width} bytes of a row, NAXIS1 = {header['NAXIS1']}"
        raise OSError(msg)
    if header.get("ZIMAGE", False) is not False:
        _check_compressed(header)
    return columns


def _check_column(header: fits.Header, number: int, *, repeat: int | None) -> None:
    """Check the keywords of a column other than its format."""
    for keyword in ("TTYPE", "TUNIT", "TDISP"):
        _text(header, f"{keyword}{number}", "")
    for keyword in ("TSCAL", "TZERO", "TNULL"):
        _number(header, f"{keyword}{number}")
    shape = header.get(f"TDIM{number}")
    if shape is None or repeat is None:
        return
    if not isinstance(shape, str) or not re.fullmatch(
        r"\s*\(\s*\d{1,18}(\s*,\s*\d{1,18})*\s*\)\s*", shape
    ):
        msg = f"TDIM{number} = {shape!r} is no shape"
        raise OSError(msg)
    if math.prod(map(int, re.findall(r"\d+", shape))) > repeat:
        msg = f"TDIM{number} = {shape!r} is larger than the column (TFORM{number})"
        raise OSError(msg)


def _check_ascii_columns(header: fits.Header) -> None:
    for number in range(1, _integer(header, "TFIELDS", low=0, high=LARGEST) + 1):
        form = header.get(f"TFORM{number}")
        match = ASCII_COLUMN.fullmatch(form) if isinstance(form, str) else None
        start = _integer(header, f"TBCOL{number}", low=1)
        if match is None or start - 1 + int(match[1]) > header["NAXIS1"]:
            msg = f"TFORM{number} = {form!r} and TBCOL{number} = {start} do not fit the rows"
            raise OSError(msg)
        _check_column(header, number, repeat=None)


def _check_compressed(header: fits.Header) -> None:
    """Check that an image does not expand to more than its compressed bytes can contain."""
    shape = _shape(header, "Z")
    bits = _integer(header, "ZBITPIX")
    held = header["NAXIS1"] * header["NAXIS2"] + header.get("PCOUNT", 0)
    if bits not in PIXEL_BITS or math.prod(shape) * abs(bits) // 8 > LARGEST_RATIO * held:
        msg = f"ZBITPIX = {bits} and ZNAXISn = {shape} are not what {held} bytes can hold"
        raise OSError(msg)
    tiles = []
    for number, length in enumerate(shape, start=1):
        default = length if number == 1 else 1
        tile = _integer(header, f"ZTILE{number}", default=default, low=1)
        tiles.append(-(-length // tile))
    if math.prod(tiles) != header["NAXIS2"]:
        msg = f"NAXIS2 = {header['NAXIS2']} is not the number of tiles (ZTILEn), {math.prod(tiles)}"
        raise OSError(msg)


def _check_heap(
    header: fits.Header, columns: list[tuple[int, int, str]], data: bytes, *, rows: int
) -> None:
    """Check that arrays of variable length are within the heap of a table."""
    width = header["NAXIS1"]
    table = np.frombuffer(data, np.uint8, count=rows * width).reshape(rows, width)
    end = len(data)
    heap = _integer(header, "THEAP", default=rows * width, low=rows * width, high=end)
    total = 0
    for number, (offset, repeat, code) in enumerate(columns, start=1):
        if code[0] not in "PQ" or not repeat:
            continue
        size, kind = (8, ">i4") if code[0] == "P" else (16, ">i8")
        cells = np.ascontiguousarray(table[:, offset : offset + size]).view(kind)
        counts, starts = cells[:, 0].astype(object), cells[:, 1].astype(object)
        lengths = [-(-int(count) * COLUMN_BITS[code[1]] // 8) for count in counts]
        ends = [heap + int(start) + length for start, length in zip(starts, lengths, strict=True)]
        total += sum(lengths)
        if any(length < 0 for length in lengths) or any(
            int(start) < 0 or (length and stop > end)
            for start, stop, length in zip(starts, ends, lengths, strict=True)
        ):
            msg = f"column {number} points to data outside the table"
            raise OSError(msg)
    if total > end - heap:
        msg = f"its columns point to {total} bytes, its heap holds {end - heap}"
        raise OSError(msg)


def _check_names(extensions: list[Extension]) -> None:
    """Refuse two extensions with the same name and version: only one of them could be kept."""
    seen: dict[tuple[str, int], int] = {}
    for extension in extensions:
        if extension.version > len(extensions) + EXTRA_VERSIONS:
            msg = f"{extension}: EXTVER is not possible in a file of {len(extensions)} extensions"
            raise OSError(msg)
        key = (extension.name, extension.version)
        if key in seen:
            msg = (
                f"{extension} is there twice, also as number {seen[key]}; delete one, or give it "
                "another EXTNAME or EXTVER"
            )
            raise OSError(msg)
        seen[key] = extension.number
