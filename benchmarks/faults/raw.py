"""Files as raw parts, without any reader: cards and data units, trees and blocks."""

import math
import re
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK", "CARD", "RawAsdf", "RawExtension", "RawFits"]

BLOCK = 2880
CARD = 80
END = b"END".ljust(CARD)
DTYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
# Only whole numbers are parsed, so that all other cards may contain anything.
_INTEGER = re.compile(rb"= *(-?\d+)")
_END_OF_TREE = b"\n...\n"


@dataclass
class RawExtension:
    """A header and its data unit; also the primary header of a file.

    Parameters
    ----------
    cards : list of bytes
        Cards of 80 bytes, without END.
    data : bytes
        The data unit without padding.
    """

    cards: list[bytes]
    data: bytes

    def number(self, keyword: str, default: int = 0) -> int:
        """Whole number in a card.

        Parameters
        ----------
        keyword : str
            Keyword of the card.
        default : int, optional
            Value if there is no such card.

        Returns
        -------
        int
            Value of the first such card.
        """
        at = self.find(keyword)
        match = None if at is None else _INTEGER.match(self.cards[at][8:])
        return default if match is None else int(match[1])

    def find(self, keyword: str) -> int | None:
        """Find a card.

        Parameters
        ----------
        keyword : str
            Its keyword.

        Returns
        -------
        int or None
            Index of the first such card; None if there is none.
        """
        wanted = keyword.ljust(8).encode()
        return next((n for n, card in enumerate(self.cards) if card[:8] == wanted), None)

    def set(self, keyword: str, value: int | str) -> None:
        """Set a card, or add one.

        Parameters
        ----------
        keyword : str
            Its keyword.
        value : int or str
            Whole number or text.
        """
        shown = f"'{value:8}'" if isinstance(value, str) else f"{value:>20}"
        card = f"{keyword:8}= {shown}".encode().ljust(CARD)
        at = self.find(keyword)
        if at is None:
            self.cards.append(card)
        else:
            self.cards[at] = card

    @property
    def name(self) -> str:
        """EXTNAME, even if it is damaged; PRIMARY if there is none."""
        at = self.find("EXTNAME")
        if at is None:
            return "PRIMARY"
        value = self.cards[at][10:].decode("latin1")
        return (value.split("'")[1] if "'" in value else value).strip()

    @property
    def is_image(self) -> bool:
        """Whether the data are an array of numbers."""
        return self.number("NAXIS") > 0 and self.find("TFIELDS") is None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array in the order of numpy."""
        return tuple(self.number(f"NAXIS{k}") for k in range(self.number("NAXIS"), 0, -1))

    def array(self) -> NDArray:
        """Array of an image.

        Returns
        -------
        ndarray
            A copy, with the byte order and type of the file.
        """
        dtype = DTYPES[self.number("BITPIX")]
        return np.frombuffer(self.data, dtype=dtype).reshape(self.shape).copy()

    def set_array(self, array: NDArray) -> None:
        """Replace the array of an image by one of any shape, and of a type that FITS supports.

        Parameters
        ----------
        array : ndarray
            Unsigned bytes, signed integers or floating-point numbers.
        """
        bits = 8 * array.dtype.itemsize
        self.set("BITPIX", -bits if array.dtype.kind == "f" else bits)
        for axis in range(1, self.number("NAXIS") + 1):
            del self.cards[self.find(f"NAXIS{axis}")]
        self.set("NAXIS", array.ndim)
        at = self.find("NAXIS")
        for axis, size in enumerate(array.shape):
            card = f"NAXIS{array.ndim - axis:<3}= {size:>20}".encode().ljust(CARD)
            self.cards.insert(at + 1, card)
        self.data = array.astype(array.dtype.newbyteorder(">")).tobytes()

    def to_bytes(self) -> bytes:
        """Write the extension.

        Returns
        -------
        bytes
            Whole blocks.
        """
        header = b"".join(self.cards) + END
        return _padded(header, b" ") + _padded(self.data, b"\0")

    def copy(self) -> Self:
        """Copy the extension.

        Returns
        -------
        RawExtension
            With its own list of cards.
        """
        return type(self)(list(self.cards), self.data)


@dataclass
class RawFits:
    """A FITS file.

    Parameters
    ----------
    extensions : list of RawExtension
        All extensions, including the primary one.
    """

    extensions: list[RawExtension] = field(default_factory=list)

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Read a file that is not damaged.

        Parameters
        ----------
        content : bytes
            The file.

        Returns
        -------
        RawFits
            Parts of the file.
        """
        self, at = cls(), 0
        while at < len(content):
            cards = []
            while (card := content[at : at + CARD]) != END:
                cards.append(card)
                at += CARD
            at = _next_block(at + CARD)
            extension = RawExtension(cards, b"")
            size = 0
            if extension.number("NAXIS"):
                items = extension.number("PCOUNT") + math.prod(extension.shape)
                size = items * abs(extension.number("BITPIX")) // 8
            extension.data = content[at : at + size]
            at = _next_block(at + size)
            self.extensions.append(extension)
        return self

    def __getitem__(self, name: str) -> RawExtension:
        return next(extension for extension in self.extensions if extension.name == name)

    def names(self) -> list[str]:
        """Names of the extensions.

        Returns
        -------
        list of str
            Names, beginning with PRIMARY.
        """
        return [extension.name for extension in self.extensions]

    def to_bytes(self) -> bytes:
        """Write it.

        Returns
        -------
        bytes
            The file.
        """
        return b"".join(extension.to_bytes() for extension in self.extensions)


@dataclass
class RawAsdf:
    """An ASDF file, or the ASDF extension of a FITS file.

    Parameters
    ----------
    tree : bytes
        The YAML, without the line that ends it.
    blocks : bytes
        Everything after that line.
    """

    tree: bytes
    blocks: bytes

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Read a file that is not damaged.

        Parameters
        ----------
        content : bytes
            The file.

        Returns
        -------
        RawAsdf
            Parts of the file.
        """
        tree, _, blocks = content.partition(_END_OF_TREE)
        return cls(tree, blocks)

    def to_bytes(self) -> bytes:
        """Write it.

        Returns
        -------
        bytes
            The file.
        """
        return self.tree + _END_OF_TREE + self.blocks


def _next_block(at: int) -> int:
    return at + -at % BLOCK


def _padded(content: bytes, filler: bytes) -> bytes:
    return content + filler * (-len(content) % BLOCK)
