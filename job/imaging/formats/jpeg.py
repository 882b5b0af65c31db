"""Read JPEG files that end too soon but have all of their first picture. Pure: no I/O."""

from __future__ import annotations

import io
import re
from contextlib import suppress

from PIL import Image

from job.imaging.formats.strips import strips

MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd9\xff]|\xff\xd9")  # of those with a length, or the end of the image: ITU-T T.81, table B.1
END, START_OF_SCAN = 0xD9, 0xDA
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of frames, the same table
PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
COEFFICIENTS, MISSING = 64, 16  # coefficients of a block; a number above the bits of any coefficient
# What a decoder would read where data is missing: nothing, or bits for it, also behind each restart marker that it may wait for.
FILLERS = (b"", *(bits * 64 + b"".join(bytes([0xFF, 0xD0 + number]) + bits * 64 for number in range(8)) for bits in (b"\xaa", b"\x7e")))


def read_without_end_marker(content: bytes, draft_px: int | None = None) -> Image.Image | None:
    """
    Decode the first picture of a file without an end marker, as a whole one of that `draft_px`; None if data is missing.

    Decoders treat such files differently: a progressive one waits for its end. Both kinds are read if nothing is missing: all scans are
    there, and what is appended to the last one does not change a pixel.
    """
    if not has_all_scans(content):
        return None
    data = content.rstrip(b"\xff")  # part of the end marker, or of truncated data: then the fillers change pixels
    found: Image.Image | None = None
    for filler in FILLERS:
        image: Image.Image = Image.open(io.BytesIO(data + filler + b"\xff\xd9"), formats=("JPEG",))
        if draft_px:
            image.draft(None, (draft_px, draft_px))
        try:
            image.load()
        except OSError:  # no data at all
            return None
        found = found or image
        if not pixels_equal(found, image):
            return None
    return found


def pixels_equal(one: Image.Image, other: Image.Image) -> bool:
    """Return whether all pixels are equal."""
    return all(part == that for part, that in zip(strips(one), strips(other), strict=True))


def has_all_scans(content: bytes) -> bool:
    """Return whether every coefficient of every component is sent to its last bit: ITU-T T.81, G.1.1 and B.2.3."""
    lowest: dict[int, list[int]] = {}  # component -> lowest bit sent so far, of each coefficient
    progressive, at = False, 2
    with suppress(LookupError, ValueError):  # tables that are shorter than they say
        while found := MARKER.search(content, at):
            code, begin = found[0][1], found.end()
            at = begin + max(2, int.from_bytes(content[begin : begin + 2]))
            if code == END or at > len(content):  # it ends, or inside a table
                return False
            data = content[begin + 2 : at]
            if code in FRAMES:
                progressive = code in PROGRESSIVE
                lowest = {data[6 + 3 * number]: [MISSING] * COEFFICIENTS for number in range(data[5])}
            elif code == START_OF_SCAN:
                first, last, bits = data[1 + 2 * data[0] : 4 + 2 * data[0]] if progressive else (0, COEFFICIENTS - 1, 0)
                for number in range(data[0]):
                    lowest[data[1 + 2 * number]][first : last + 1] = [bits & 15] * (last + 1 - first)
        return bool(lowest) and not any(map(any, lowest.values()))
    return False
