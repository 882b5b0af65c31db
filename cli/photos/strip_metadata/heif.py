"""
Remove from HEIC and AVIF files all but the primary picture, in place: no offset changes, so the pixels keep every bit.

The numbers are of sections of ISO/IEC 14496-12 (ISO base media file) and ISO/IEC 23008-12 (HEIF).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from job.contract.orientation import FileChunk, iso_boxes

PICTURES = {b"hvc1", b"av01", b"grid", b"iden", b"iovl"}  # types of items that are pixels, or are made of others' pixels
SHOWING_FILE = {b"ftyp", b"meta", b"mdat"}
SHOWING_META = {b"hdlr", b"pitm", b"iinf", b"iloc", b"iref", b"iprp", b"idat", b"dinf", b"grpl"}
SHOWING_PROPERTIES = {
    *(
        b"hvcC",
        b"av1C",
        b"lhvC",
        b"ispe",
        b"pixi",
        b"colr",
        b"pasp",
        b"irot",
        b"imir",
        b"clap",
        b"auxC",
        b"rloc",
        b"lsel",
        b"a1op",
        b"a1lx",
    ),
    *(b"clli", b"mdcv", b"cclv", b"amve"),  # brightness of HDR
}
ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0")


class _Item(NamedTuple):
    """An item of a HEIF file: its type and where its data lies, in the file or in the box `idat`."""

    kind: bytes
    at: int  # offset of the type in the file
    end: int  # of its entry
    parts: list[tuple[int, int]]  # begin and end in the file


def strip(content: bytes) -> bytes:
    """
    Return `content` with zeros in place of all that is not the primary picture.

    Raises:
        ValueError, LookupError, struct.error: metadata might remain.
    """
    kept = bytearray(content)
    boxes = _parts_of(content, 0, len(content))
    (meta,) = [box for box in boxes if box.kind == b"meta"]  # without one, or with two: ValueError
    in_meta = _parts_of(content, meta.data + 4, meta.end)
    inside = {box.kind: box for box in in_meta if box.kind in SHOWING_META}
    items = _items(content, inside)
    (primary,) = struct.unpack_from(">I" if content[inside[b"pitm"].data] else ">H", content, inside[b"pitm"].data + 4)
    shown = _shown(content, inside, primary)
    if not all(items[item].kind in PICTURES for item in shown) or len(inside) != sum(box.kind in SHOWING_META for box in in_meta):
        raise ValueError("an unknown kind of HEIF")
    in_iprp = _within(content, inside[b"iprp"])
    properties = [each for box in in_iprp if box.kind == b"ipco" for each in _within(content, box)]
    for found, showing in ((boxes, SHOWING_FILE), (in_meta, SHOWING_META), (in_iprp, {b"ipco", b"ipma"}), (properties, SHOWING_PROPERTIES)):
        for box in found:
            if box.kind not in showing:
                _blank(kept, box)
    _zero(kept, inside[b"hdlr"].data + 24, inside[b"hdlr"].end)  # a name, mostly of a program
    for number, item in items.items():
        _zero(kept, item.at + 4, item.end)  # a name, a type of content
        if number not in shown:
            kept[item.at : item.at + 4] = b"free"
    _keep_data(kept, content, [box for box in (*boxes, *in_meta) if box.kind in (b"mdat", b"idat")], [items[each] for each in shown])
    return bytes(kept)


def _parts_of(content: bytes, begin: int, end: int) -> list[FileChunk]:
    """Return the boxes between `begin` and `end`; raise ValueError if they do not fill it, or some kind may hold anything."""
    boxes = list(iso_boxes(content, begin, end))
    if not boxes or boxes[-1].end != end or any(box.kind == b"moov" for box in boxes):
        raise ValueError("broken, or with a film in it")
    return boxes


def _within(content: bytes, box: FileChunk) -> list[FileChunk]:
    return _parts_of(content, box.data, box.end)


def _items(content: bytes, inside: dict[bytes, FileChunk]) -> dict[int, _Item]:
    """Return the items by number: 14496-12, 8.11.6."""
    box, places = inside[b"iinf"], _places(content, inside)
    entries = _parts_of(content, box.data + (8 if content[box.data] else 6), box.end)
    items = {}
    for entry in entries:
        version = content[entry.data]
        if entry.kind != b"infe" or version not in (2, 3):
            raise ValueError("an unknown kind of HEIF")
        (number,) = struct.unpack_from(">H" if version == 2 else ">I", content, entry.data + 4)
        at = entry.data + (8 if version == 2 else 10)
        items[number] = _Item(content[at : at + 4], at, entry.end, places.get(number, []))
    return items


def _places(content: bytes, inside: dict[bytes, FileChunk]) -> dict[int, list[tuple[int, int]]]:
    """Return where the data of each item lies: 14496-12, 8.11.3."""
    at, places = inside[b"iloc"].data, dict[int, list[tuple[int, int]]]()
    version, sizes = content[at], struct.unpack_from(">H", content, at + 4)[0]
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    reader = _Reader(content, at + 6)
    for _ in range(reader.number(4 if version == 2 else 2)):
        number, method = reader.number(4 if version == 2 else 2), reader.number(2) & 15 if version else 0
        source, base = reader.number(2), reader.number(base_size)
        if source or method > 1:
            raise ValueError("an unknown kind of HEIF")
        start = base + (inside[b"idat"].data if method else 0)
        places[number] = []
        for _ in range(reader.number(2)):
            if version:
                reader.number(index_size)
            begin = start + reader.number(offset_size)
            places[number].append((begin, begin + reader.number(length_size)))
    return places


class _Reader:
    def __init__(self, content: bytes, at: int) -> None:
        self._content, self._at = content, at

    def number(self, size: int) -> int:
        """Return the next big-endian number of `size` bytes."""
        self._at += size
        if self._at > len(self._content):
            raise ValueError("broken")
        return int.from_bytes(self._content[self._at - size : self._at])


def _shown(content: bytes, inside: dict[bytes, FileChunk], primary: int) -> set[int]:
    """Return the items that the primary picture is made of: itself, its tiles, its transparency. Not depth, thumbnails or EXIF."""
    made_of: dict[int, set[int]] = {}
    if b"iref" in inside:
        box = inside[b"iref"]
        size = 4 if content[box.data] else 2
        for entry in _parts_of(content, box.data + 4, box.end):
            reader = _Reader(content, entry.data)
            begin, ends = reader.number(size), [reader.number(size) for _ in range(reader.number(2))]
            if entry.kind == b"dimg":
                made_of.setdefault(begin, set()).update(ends)
            elif entry.kind == b"auxl" and _is_alpha(content, inside, begin):
                for end in ends:
                    made_of.setdefault(end, set()).add(begin)
    found, todo = set[int](), [primary]
    while todo:
        item = todo.pop()
        if item not in found:
            found.add(item)
            todo += made_of.get(item, ())
    return found


def _is_alpha(content: bytes, inside: dict[bytes, FileChunk], item: int) -> bool:
    """Return whether the property `auxC` of an item says transparency: 23008-12, 6.5.8, by way of the list `ipma`, 6.5.3."""
    properties: list[FileChunk] = []
    mine: set[int] = set()
    for box in _within(content, inside[b"iprp"]):
        if box.kind != b"ipma":
            properties = _within(content, box) if box.kind == b"ipco" else properties
            continue
        large, reader = content[box.data + 3] & 1, _Reader(content, box.data + 4)
        for _ in range(reader.number(4)):
            number = reader.number(4 if content[box.data] else 2)
            indexes = [reader.number(2) & 0x7FFF if large else reader.number(1) & 0x7F for _ in range(reader.number(1))]
            mine |= set(indexes) if number == item else set()
    chosen = [prop for number, prop in enumerate(properties, 1) if number in mine and prop.kind == b"auxC"]
    return any(content.startswith(ALPHA, prop.data + 4) for prop in chosen)


def _keep_data(kept: bytearray, content: bytes, boxes: list[FileChunk], items: list[_Item]) -> None:
    """Zero the data in `boxes` but for that of `items`; raise ValueError if some of these lies elsewhere."""
    parts = [part for item in items for part in item.parts]
    if not all(any(box.data <= begin and end <= box.end for box in boxes) for begin, end in parts):
        raise ValueError("broken")
    for box in boxes:
        _zero(kept, box.data, box.end)
    for begin, end in parts:
        kept[begin:end] = content[begin:end]


def _blank(kept: bytearray, box: FileChunk) -> None:
    """Make a box one of free space."""
    kept[box.start + 4 : box.start + 8] = b"free"
    _zero(kept, box.data, box.end)


def _zero(kept: bytearray, begin: int, end: int) -> None:
    kept[begin:end] = bytes(max(0, end - begin))
