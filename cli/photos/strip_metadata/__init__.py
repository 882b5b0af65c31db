"""
Remove metadata from photos (place, time, camera, names, thumbnails) without changing a pixel.

Nothing is decoded: the parts of the file that hold metadata are left out, in HEIC and AVIF overwritten by zeros. What a viewer needs stays:
colour profile, transparency, and the orientation, alone in a new EXIF block or in the boxes of HEIC and AVIF.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from cli.photos.strip_metadata import heif
from job.contract.orientation import (
    EXIF_HEADER,
    JPEG,
    PNG,
    TAG,
    UPRIGHT,
    WEBP_EXIF,
    WEBP_XMP,
    FileChunk,
    orientation,
    png_chunks,
    webp_chunks,
)

# Only chunks and segments on these lists, which show the picture, are kept.
# APPn and COM, https://www.w3.org/Graphics/JPEG/itu-t81.pdf, table B.1; of them JFIF, colour profile and Adobe's transform are kept.
DESCRIBING_JPEG = {0xFE, *range(0xE0, 0xF0)}
SHOWING_PNG = {b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"bKGD", b"pHYs", b"sBIT", b"hIST", b"acTL", b"fcTL", b"fdAT"}
SHOWING_WEBP = {
    b"VP8 ",
    b"VP8L",
    b"VP8X",
    b"ICCP",
    b"ANIM",
    b"ANMF",
    b"ALPH",
}  # https://developers.google.com/speed/webp/docs/riff_container


class UnknownFormat(ValueError):  # noqa: N818 - what it is, not what went wrong
    """Not JPEG, PNG, WebP, HEIC or AVIF, or damaged: metadata might remain in it."""


def strip(content: bytes) -> bytes:
    """
    Return `content` without metadata.

    Raises:
        UnknownFormat: this cannot be guaranteed for the file.
    """
    try:
        if content.startswith(JPEG):
            return _strip_jpeg(content)
        if content.startswith(PNG):
            return _strip_png(content)
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return _strip_webp(content)
        if content[4:8] == b"ftyp":
            return heif.strip(content)
    except UnknownFormat:
        raise
    except (struct.error, LookupError, ValueError) as error:
        raise UnknownFormat("broken, or of an unknown kind") from error
    raise UnknownFormat("not a JPEG, PNG, WebP, HEIC or AVIF file")


def _strip_jpeg(content: bytes) -> bytes:
    kept: list[bytes] = []
    position = 2
    while True:
        while content[position : position + 2] == b"\xff\xff":  # fill bytes
            position += 1
        marker, code, length = struct.unpack_from(">BBH", content, position)
        if marker != 0xFF:
            raise UnknownFormat("broken")
        end = position + 2 + length
        segment = content[position:end]
        if code == 0xDA:  # the picture; what cameras append to it (a second picture, a film) is dropped
            picture = content[position : _end_of_picture(content, end)]
            return b"".join([content[:2], _exif_segment(orientation(content)), *kept, picture])
        if code not in DESCRIBING_JPEG:
            kept.append(segment)
        elif code == 0xE0 and segment[4:9] == b"JFIF\0":
            kept.append(b"\xff\xe0\x00\x10" + segment[4:16].ljust(12, b"\0") + b"\0\0")  # without its thumbnail
        elif segment[4:16] == b"ICC_PROFILE\0" or segment[4:9] == b"Adobe":
            kept.append(segment)
        position = end


def _end_of_picture(content: bytes, position: int) -> int:
    """
    Return the offset after the End Of Image marker.

    In the data 0xFF is followed by 0x00 or a restart marker, and scans follow each other.
    """
    while True:
        position = content.find(b"\xff", position)
        if position < 0:
            return len(content)  # truncated: sent as it is, the job reports it
        code = content[position + 1] if position + 1 < len(content) else 0
        if code == 0xD9:
            return position + 2
        if code == 0xFF:
            position += 1
        elif code == 0x00 or 0xD0 <= code <= 0xD7:
            position += 2
        elif code in DESCRIBING_JPEG:
            raise UnknownFormat("a JPEG with metadata between its scans")
        else:  # tables and headers between the scans of a progressive picture
            position += 2 + struct.unpack_from(">H", content, position + 2)[0]


def _strip_png(content: bytes) -> bytes:
    kept, turn = [PNG], orientation(content)
    for chunk in _whole(png_chunks(content), content):
        if (
            chunk.kind in SHOWING_PNG or chunk.kind[:1].isupper()
        ):  # upper case: critical, https://www.w3.org/TR/png-3/#5Chunk-naming-conventions
            kept.append(content[chunk.start : chunk.end])
    if turn != UPRIGHT:
        data = b"eXIf" + _exif(turn)
        kept.insert(2, struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data)))
    return b"".join(kept)


def _strip_webp(content: bytes) -> bytes:
    kept, turn = [], orientation(content)
    for chunk in _whole(webp_chunks(content), content):
        if chunk.kind in SHOWING_WEBP:
            kept.append(bytearray(content[chunk.start : chunk.end] + bytes((chunk.end - chunk.data) % 2)))
    if kept and kept[0][:4] == b"VP8X":
        kept[0][8] &= ~(WEBP_EXIF | WEBP_XMP)
        if turn != UPRIGHT:
            kept[0][8] |= WEBP_EXIF
            data = _exif(turn)
            kept.append(bytearray(struct.pack("<4sI", b"EXIF", len(data)) + data))
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _whole(chunks: Iterator[FileChunk], content: bytes) -> list[FileChunk]:
    """Return the chunks; raise UnknownFormat if bytes after them are not a chunk."""
    found = list(chunks)
    if found[-1].kind != b"IEND" and found[-1].end + 1 < len(content):  # WebP's are filled up to an even length
        raise UnknownFormat("broken")
    return found


def _exif(turn: int) -> bytes:
    """Return a TIFF structure with one directory and one SHORT."""
    return b"MM\0\x2a" + struct.pack(">IHHHIHHI", 8, 1, TAG, 3, 1, turn, 0, 0)


def _exif_segment(turn: int) -> bytes:
    if turn == UPRIGHT:
        return b""
    data = EXIF_HEADER + _exif(turn)
    return b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data
