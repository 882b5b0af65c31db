"""
Read the EXIF orientation of a photo from its bytes, 1 to 8. Standard library only, no I/O.

The decoder and `data push --strip-metadata` both use it: if one of them read an orientation that the other does not, it would turn the
photo.

Where a file has several orientations, the answer is Pillow's: EXIF comes before XMP.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

TAG = 0x0112  # https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf, 4.6.4
UPRIGHT, MOST = 1, 8
JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"

EXIF_HEADER, XMP_HEADER = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"  # of APP1; the second: XMP specification part 3, 1.1.3
WHOLE_NUMBERS = {3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}  # TIFF's types, https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf
IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')

XMP_KEY = b"XML:com.adobe.xmp"
RAW_PROFILES = (b"Raw profile type exif", b"Raw profile type APP1")  # https://imagemagick.org: EXIF as hexadecimal digits in a PNG's text
TEXT_BYTES = 16 << 20  # of a compressed text that are read; EXIF and XMP take kilobytes
WEBP_EXIF, WEBP_XMP = 0x08, 0x04  # flags of VP8X, https://developers.google.com/speed/webp/docs/riff_container


class FileChunk(NamedTuple):
    """A chunk of a PNG or WebP file, or a box of a HEIF file: its kind and the offsets of its start, its data and its end."""

    kind: bytes
    start: int
    data: int
    end: int


def orientation(content: bytes) -> int:
    """
    Return the EXIF orientation, 1 to 8; 1 if there is none or it is invalid.

    TIFF, HEIC and AVIF files are not read: their decoders know the turn, which in the latter two is not EXIF's.
    """
    if content.startswith(JPEG):
        exif, xmp = _of_jpeg(content)
    elif content.startswith(PNG):
        exif, xmp = _of_png(content)
    elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        exif, xmp = _of_webp(content)
    else:
        return UPRIGHT
    found = in_exif(exif)
    if found is None and (match := IN_XMP.search(xmp)):
        found = int(match[1])
    return found if found is not None and UPRIGHT <= found <= MOST else UPRIGHT


def _of_jpeg(content: bytes) -> tuple[bytes, bytes]:
    """Return EXIF, joined from its segments, and the last XMP packet before the pixels."""
    exif, xmp = [], b""
    for code, data in _segments(content):
        if code == 0xE1 and data.startswith(EXIF_HEADER):
            exif.append(data.removeprefix(EXIF_HEADER))
        elif code == 0xE1 and data.startswith(XMP_HEADER):
            xmp = data.removeprefix(XMP_HEADER)
    return b"".join(exif), xmp


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield code and data of each marker segment before the first scan; skip bytes between segments, as decoders do."""
    at = 2
    while 0 <= (at := content.find(b"\xff", at)) <= len(content) - 4:
        code, length = struct.unpack_from(">BH", content, at + 1)
        if code == 0xDA:
            return
        if code == 0xFF:  # a fill byte
            at += 1
        elif code == 0x00 or 0xD0 <= code <= 0xD9:  # those without a length
            at += 2
        else:
            yield code, content[at + 4 : at + 2 + length]
            at += 2 + max(length, 2)


def _of_png(content: bytes) -> tuple[bytes, bytes]:
    """Return the last EXIF chunk, else ImageMagick's, and the last XMP packet. Chunks after the pixels count too."""
    exif, texts = b"", {}
    for chunk in png_chunks(content):
        data = content[chunk.data : chunk.end - 4]
        if chunk.kind == b"eXIf":
            exif = data
        elif chunk.kind in (b"tEXt", b"zTXt", b"iTXt"):
            key = data.partition(b"\0")[0]
            if key == XMP_KEY or key in RAW_PROFILES:
                texts[key] = chunk.kind, data
    if not exif:
        exif = next((_raw_profile(_text(*texts[key])) for key in RAW_PROFILES if key in texts), b"")
    return exif, _text(*texts[XMP_KEY]) if XMP_KEY in texts else b""


def png_chunks(content: bytes) -> Iterator[FileChunk]:
    """Yield the chunks up to the last one, or up to the first that is incomplete."""
    at = len(PNG)
    while at + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length  # with the checksum
        if end > len(content):
            return
        yield FileChunk(kind, at, at + 8, end)
        if kind == b"IEND":
            return
        at = end


def _text(kind: bytes, data: bytes) -> bytes:
    """
    Return the text of a chunk, at most TEXT_BYTES of a compressed one.

    https://www.w3.org/TR/png-3/#11textinfo
    """
    rest = data.partition(b"\0")[2]
    if kind == b"tEXt":
        return rest
    if kind == b"zTXt":
        return _inflated(rest[1:]) if rest[:1] == b"\0" else b""
    compressed, text = rest[:2], rest[2:].split(b"\0", 2)[-1]  # drop language and translated keyword
    return text if compressed[:1] == b"\0" else _inflated(text) if compressed[1:] == b"\0" else b""


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, TEXT_BYTES)
    except zlib.error:
        return b""


def _raw_profile(profile: bytes) -> bytes:
    """Return the bytes of a raw profile: an empty line, a name, a length, then lines of hexadecimal digits."""
    try:
        return bytes.fromhex(b"".join(profile.split(b"\n")[3:]).decode("ascii"))
    except ValueError:
        return b""


def _of_webp(content: bytes) -> tuple[bytes, bytes]:
    """Return the first EXIF and XMP chunks that the header announces."""
    found: dict[bytes, bytes] = {}
    for chunk in webp_chunks(content):
        if not found and chunk.kind != b"VP8X":  # the simple layout has no metadata
            break
        found.setdefault(chunk.kind, content[chunk.data : chunk.end])
    flags = found.get(b"VP8X", b"\0")[0]
    return found.get(b"EXIF", b"") if flags & WEBP_EXIF else b"", found.get(b"XMP ", b"") if flags & WEBP_XMP else b""


def webp_chunks(content: bytes) -> Iterator[FileChunk]:
    """Yield the chunks up to the last one, or up to the first that is incomplete. Each is padded to an even length."""
    at = 12
    while at + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, at)
        end = at + 8 + length
        if end > len(content):
            return
        yield FileChunk(kind, at, at + 8, end)
        at = end + length % 2


def iso_boxes(content: bytes, begin: int = 0, end: int | None = None) -> Iterator[FileChunk]:
    """
    Yield the boxes of a HEIF file, or those in the box between `begin` and `end`. The last one may end beyond `end`.

    ISO/IEC 14496-12, 4.2
    """
    at, end = begin, len(content) if end is None else end
    while at + 8 <= end:
        length, kind = struct.unpack_from(">I4s", content, at)
        data = at + 8
        if length == 1 and at + 16 <= end:
            (length,), data = struct.unpack_from(">Q", content, at + 8), at + 16
        following = at + length if length else end  # 0: to the end of the file
        if following < data:
            return
        yield FileChunk(kind, at, data, following)
        at = following


def in_exif(exif: bytes) -> int | None:
    """Return the tag's value in the first directory, 0 if it is not a whole number, None if there is no such tag."""
    tiff = re.sub(rb"^(?:Exif\0\0)+", b"", exif)
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    found = None
    if order is None or tiff[2:4] not in (b"*\0", b"\0*"):
        return None
    try:
        (directory,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, directory)
        for number in range(count):
            entry = directory + 2 + 12 * number
            tag, kind, values = struct.unpack_from(order + "HHI", tiff, entry)
            if tag == TAG and values:
                found = _first_value(tiff, order, entry + 8, WHOLE_NUMBERS.get(kind), values)
    except struct.error:
        pass  # truncated: the entries before count
    return found


def _first_value(tiff: bytes, order: str, at: int, code: str | None, values: int) -> int:
    if code is None:
        return 0
    if values * struct.calcsize(order + code) > 4:
        (at,) = struct.unpack_from(order + "I", tiff, at)
    value: int = struct.unpack_from(order + code, tiff, at)[0]
    return value
