"""Checks of the structure of ASDF, in a file or in a FITS extension, against its size."""

import math
import re
import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Final

import yaml

__all__ = ["Tree", "check_asdf"]

END_OF_TREE: Final = re.compile(rb"\r?\n\.\.\.(?:\r?\n|$)")
MAGIC: Final = b"\xd3BLK"
INDEX: Final = b"#ASDF BLOCK INDEX"
BLOCK_HEADER: Final = struct.Struct(">I4sQQQ16s")
STREAMED: Final = 1
PLAIN: Final = b"\0\0\0\0"  # no compression
# Most bytes to which one byte can expand, for each method of compression.
LARGEST_RATIOS: Final = {b"zlib": 1100, b"lz4\0": 260, b"bzp2": 50_000}
# Levels of a tree; the deepest tree of the JWST files that were tried has 45.
LARGEST_DEPTH: Final = 300
# Readers walk a tree with each alias written out: the number of nodes may grow by this factor.
# Trees with fewer nodes than the second number are always accepted, because they are read quickly.
LARGEST_GROWTH: Final = 20
SMALL_TREE: Final = 20_000
# Most dimensions of a transform: readers make one object for each.
LARGEST_COUNT: Final = 1000
COUNTS: Final = ("n_dims", "n_inputs", "n_outputs")
ITEM_SIZES: Final = {
    "int8": 1, "int16": 2, "int32": 4, "int64": 8, "uint8": 1, "uint16": 2, "uint32": 4,
    "uint64": 8, "float16": 2, "float32": 4, "float64": 8, "complex64": 8, "complex128": 16,
    "bool8": 1,
}  # fmt: skip
# From this version of the standard on, the history is a mapping and not a list of entries.
LEAD: Final = 200  # bytes of the first lines
STANDARD: Final = re.compile(rb"#ASDF_STANDARD (\d{1,9})\.(\d{1,9})")
HISTORY_BRANCH: Final = (1, 2)
Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(frozen=True)
class Tree:
    """What the tree of an ASDF extension says about the FITS file that contains it.

    Parameters
    ----------
    fits_hash : str
        Hash of the headers; empty if there is none.
    arrays : mapping
        By extension, (name, version) or number, the name of the top-level branch whose array
        the extension is; empty if it belongs deeper in the tree.
    """

    fits_hash: str = ""
    arrays: Mapping[Any, str] = field(default_factory=dict)


def check_asdf(stream: IO[bytes], size: int, *, arrays: Collection[Any]) -> Tree:
    """Check that ASDF content is complete and consistent.

    Parameters
    ----------
    stream : binary file
        Positioned at the beginning of the ASDF content.
    size : int
        Size of the content in bytes.
    arrays : collection
        Extensions of the surrounding FITS file whose data a tree may refer to: (name, version)
        or number.

    Returns
    -------
    Tree
        What the tree says about that file.

    Raises
    ------
    OSError
        If something is wrong; the message says what.
    """
    if stream.read(6) != b"#ASDF ":
        msg = "it does not begin with #ASDF"
        raise OSError(msg)
    text, rest = _split(stream)
    blocks = _blocks(stream, rest, size)
    if not text.strip():
        return Tree()
    stream.seek(0)
    return _check_tree(text, blocks, arrays, standard=STANDARD.search(stream.read(LEAD)))


def _split(stream: IO[bytes]) -> tuple[bytes, int]:
    """Text of the tree, empty if there is none, and the position of its end."""
    stream.seek(0)
    content = bytearray()
    searched = 0
    while True:
        chunk = stream.read(1 << 20)
        content += chunk
        start = content.find(b"%YAML")
        magic = content.find(MAGIC)
        if magic >= 0 and not 0 <= start < magic:
            return b"", magic
        if start >= 0:
            found = END_OF_TREE.search(content, max(searched, start))
            if found and (found.end() < len(content) or not chunk):
                return bytes(content[start : found.end()]), found.end()
        searched = max(len(content) - 8, 0)
        if not chunk:
            if start >= 0:
                msg = "its tree has no end (a line of three dots)"
                raise OSError(msg)
            return b"", len(content)


def _blocks(stream: IO[bytes], start: int, size: int) -> list[float]:
    """Bytes of data of each block; a streamed block extends to the end."""
    stream.seek(start)
    lead = stream.read(1 << 20)
    found = lead.find(MAGIC)
    if found < 0:
        return []
    offsets: list[int] = []
    sizes: list[float] = []
    position = start + found
    stream.seek(position)
    while stream.read(len(MAGIC)) == MAGIC:
        offsets.append(position)
        number = len(sizes)
        try:
            length, end = _block(stream, size)
        except OSError as error:
            msg = f"block {number}: {error}"
            raise OSError(msg) from error
        sizes.append(length)
        if end is None:
            return sizes
        position = end
        stream.seek(position)
    stream.seek(position)
    rest = stream.read(max(size - position, 0))
    if rest.startswith(INDEX):
        _check_index(rest, offsets)
    elif rest.strip(b"\0"):
        msg = f"what follows block {len(sizes) - 1} is no block"
        raise OSError(msg)
    return sizes


def _block(stream: IO[bytes], size: int) -> tuple[int, int | None]:
    """Bytes of data of a block, and the position of its end; None if the block is streamed."""
    length = int.from_bytes(stream.read(2), "big")
    begin = stream.tell() + length
    head = stream.read(BLOCK_HEADER.size)
    if length < BLOCK_HEADER.size or len(head) < BLOCK_HEADER.size:
        msg = "it has no whole header"
        raise OSError(msg)
    flags, method, allocated, used, expanded, _ = BLOCK_HEADER.unpack(head)
    if flags & STREAMED:
        return size - begin, None
    if begin + allocated > size or used > allocated:
        msg = f"it promises {max(allocated, used)} bytes, the file holds {size - begin}"
        raise OSError(msg)
    plain = method == PLAIN
    possible = expanded == used if plain else expanded <= used * LARGEST_RATIOS.get(method, 0)
    if not possible:
        msg = f"it cannot hold {expanded} bytes in {used} with compression {method!r}"
        raise OSError(msg)
    return expanded, begin + allocated


def _check_index(text: bytes, offsets: list[int]) -> None:
    try:
        index = [int(one) for one in yaml.load(text, Loader=Loader)]  # noqa: S506 - only texts
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        msg = "its index of blocks cannot be read"
        raise OSError(msg) from error
    if index != offsets:
        msg = "its index of blocks does not fit the blocks"
        raise OSError(msg)


def _check_tree(
    text: bytes,
    blocks: list[float],
    arrays: Collection[Any],
    *,
    standard: re.Match[bytes] | None,
) -> Tree:
    try:
        _check_depth(text)
        root = yaml.compose(text, Loader=Loader)
    except (yaml.YAMLError, UnicodeError) as error:
        msg = f"its tree is no YAML: {' '.join(str(error).split())}"
        raise OSError(msg) from error
    top = _values(root)
    _check_history(top.get("history"), standard)
    branches = {id(node): name for name, node in top.items()}
    named: dict[Any, str] = {}
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()
    plain = 0
    # Children are visited before parents, without recursion, because trees may be deep.
    todo = [(root, False)] if root is not None else []
    while todo:
        node, done = todo.pop()
        key = id(node)
        if done:
            open_nodes.discard(key)
            sizes[key] = 1 + sum(sizes[id(child)] for child in _children(node))
            plain += 1
            extension = _check_node(node, blocks, arrays)
            if extension is not None:
                named[extension] = branches.get(key, "")
            continue
        if key in open_nodes:
            msg = "its tree contains itself (an alias within the node that it refers to)"
            raise OSError(msg)
        if key in sizes:
            continue
        open_nodes.add(key)
        todo.append((node, True))
        todo += [
            (child, False)
            for child in _children(node)
            if id(child) not in sizes or id(child) in open_nodes
        ]
    whole = sizes.get(id(root), 0)
    if whole > max(SMALL_TREE, LARGEST_GROWTH * plain):
        msg = f"its tree of {plain} nodes grows to {whole} by its aliases"
        raise OSError(msg)
    return Tree(getattr(top.get("_fits_hash"), "value", ""), named)


def _check_history(node: Any, standard: re.Match[bytes] | None) -> None:
    """Refuse a mapping where the standard of the file requires a list of entries."""
    if isinstance(node, yaml.MappingNode) and (
        standard is None or (int(standard[1]), int(standard[2])) < HISTORY_BRANCH
    ):
        msg = "its history is not a list, which the standard named in its first lines requires"
        raise OSError(msg)


def _check_depth(text: bytes) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > LARGEST_DEPTH:
            msg = f"its tree is deeper than {LARGEST_DEPTH} levels"
            raise OSError(msg)


def _children(node: Any) -> Iterator[Any]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _values(node: Any) -> dict[str, Any]:
    """Nodes of a mapping by name; empty for any other node."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def _check_node(node: Any, blocks: list[float], arrays: Collection[Any]) -> Any:
    """Check values that would make a reader run for long, or refer to data that do not exist.

    Returns the FITS extension with the data of the node, if there is one.
    """
    values = _values(node)
    for name in COUNTS:
        count = _whole_number(values.get(name))
        if count is not None and abs(count) > LARGEST_COUNT:
            msg = f"{name}: {count} in its tree is not possible"
            raise OSError(msg)
    if "core/ndarray" in str(node.tag) and "source" in values:
        return _check_array(values, blocks, arrays)
    return None


def _whole_number(node: Any) -> int | None:
    text = node.value if isinstance(node, yaml.ScalarNode) else ""
    return int(text) if re.fullmatch(r"[-+]?\d{1,30}", text) else None


def _check_array(values: dict[str, Any], blocks: list[float], arrays: Collection[Any]) -> Any:
    """Check that the data of an array exist; returns the FITS extension that has them, if any."""
    source = values["source"]
    text = source.value if isinstance(source, yaml.ScalarNode) else ""
    match = re.fullmatch(r"fits:(?:([ -~]+),)?(\d{1,9})", text)
    if match is not None:
        key = (match[1].strip().upper(), int(match[2])) if match[1] else int(match[2])
        if key not in arrays:
            msg = f"its tree names extension {text.removeprefix('fits:')}, which is not there"
            raise OSError(msg)
        return key
    number = _whole_number(source)
    if number is None or not -1 <= number < len(blocks) or not blocks:
        msg = f"its tree names data that are not there (source: {text})"
        raise OSError(msg)
    needed = _array_size(values)
    if needed is not None and needed > blocks[number]:
        msg = f"an array of its tree needs {needed} bytes, block {number} holds {blocks[number]}"
        raise OSError(msg)
    return None


def _array_size(values: dict[str, Any]) -> int | None:
    """Bytes up to the end of an array; None if it has strides or a type of unknown size."""
    shape = values.get("shape")
    if not isinstance(shape, yaml.SequenceNode) or "strides" in values:
        return None
    lengths = [_whole_number(one) for one in shape.value if getattr(one, "value", "") != "*"]
    if any(length is None or length < 0 for length in lengths):
        msg = "an array of its tree has no shape"
        raise OSError(msg)
    item = _item_size(values.get("datatype"))
    if item is None:
        return None
    return math.prod(length or 0 for length in lengths) * item + (
        _whole_number(values.get("offset")) or 0
    )


def _item_size(node: Any) -> int | None:
    """Bytes of an element; None if unknown."""
    if isinstance(node, yaml.ScalarNode):
        return ITEM_SIZES.get(node.value)
    if not isinstance(node, yaml.SequenceNode):
        return None
    first = node.value[0].value if node.value else None
    if first in ("ascii", "ucs4") and len(node.value) == 2:
        length = _whole_number(node.value[1])
        return None if length is None else length * (1 if first == "ascii" else 4)
    total = 0
    for column in node.value:
        values = {key.value: value for key, value in getattr(column, "value", ()) if key.value}
        size = _item_size(values.get("datatype")) if isinstance(column, yaml.MappingNode) else None
        if size is None or "shape" in values:
            return None
        total += size
    return total
