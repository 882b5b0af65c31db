"""
Hostile image files without end, from a seed: (kind, bytes). Mutated headers, polyglots, dimensions and lengths that lie, bombs by
compression, by scans, by comments, by tiles. Base images are made here; nothing is downloaded.
"""

from __future__ import annotations

import gzip
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

from tests.unit.job import hostile

Make = Callable[[random.Random], bytes]
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "HEIC", "AVIF")
HEADER_BYTES = 200
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF)


def base(chance: random.Random) -> bytes:
    """A good image, in one of many kinds of its format."""
    kind = chance.choice(FORMATS)
    image = hostile.fruit(chance.randint(8, 90), chance.randint(8, 90))
    mode = {
        "JPEG": ("RGB", "L", "CMYK"),
        "PNG": ("RGB", "RGBA", "P", "1", "I;16"),
        "GIF": ("P", "L"),
        "WEBP": ("RGB", "RGBA"),
        "TIFF": ("RGB", "L", "CMYK", "1"),
        "BMP": ("RGB", "P", "1"),
        "HEIC": ("RGB", "RGBA", "L"),
        "AVIF": ("RGB", "RGBA", "L"),
    }
    chosen = chance.choice(mode[kind])
    image = image.convert("L").convert("I").convert("I;16") if chosen == "I;16" else image.convert(chosen)
    options: dict[str, object] = {}
    if kind == "JPEG":
        options = {"progressive": chance.random() < 0.5, "quality": chance.choice((5, 60, 95))}
    if kind == "TIFF" and chosen != "1":
        options = {"compression": chance.choice(("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"))}
    return hostile.heic_of(image, quality=50) if kind == "HEIC" else hostile.save(image, kind, **options)


def flipped(chance: random.Random) -> bytes:
    """A few bytes of the header are something else, extremes above all."""
    content = bytearray(base(chance))
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(min(len(content), HEADER_BYTES))
        content[at] = chance.choice((*EXTREMES, chance.randrange(256)))
    return bytes(content)


def scrambled(chance: random.Random) -> bytes:
    """Damage anywhere: bytes changed, doubled, cut out."""
    content = bytearray(base(chance))
    for _ in range(chance.randint(1, 12)):
        at, length = chance.randrange(len(content)), chance.randint(1, 16)
        change = chance.randrange(3)
        if change == 0:
            content[at : at + length] = chance.randbytes(length)
        elif change == 1:
            content[at:at] = content[at : at + length]
        elif len(content) > 32:
            del content[at : at + length]
    return bytes(content)


def cut(chance: random.Random) -> bytes:
    content = base(chance)
    return content[: chance.randrange(1, len(content))]


def polyglot(chance: random.Random) -> bytes:
    """Two files in one: an image that is also a ZIP, a PDF, a page, or another image."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.jpg", hostile.jpeg(10, 10))
    others = (buffer.getvalue(), b"%PDF-1.7\n", b"<html><script>0</script>", b"#!/bin/sh\nexit\n", base(chance))
    first, second = base(chance), chance.choice(others)
    return first + second if chance.random() < 0.7 else second + first


def lying_png(chance: random.Random) -> bytes:
    """Its header says other dimensions, depths or colours than its data has."""
    side = chance.choice((1, 300, 9_000, 0x7FFFFFFF))
    depth, colours = chance.choice((1, 8, 16)), chance.choice((0, 2, 3, 4, 6))
    return hostile._png(side, chance.choice((1, 9_000)), depth, colours, bytes(chance.randrange(4000)))


def endless_png(chance: random.Random) -> bytes:
    """Compressed a thousand times: pixels behind its last row, or a text or a profile of many megabytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    bomb = zlib.compress(bytes(chance.choice((1, 8, 80)) << 20), 9)
    extra = {
        b"zTXt": b"Comment\0\0" + bomb,
        b"iTXt": b"Comment\0\1\0\0\0" + bomb,
        b"iCCP": b"profile\0\0" + bomb,
        b"IDAT": bomb,
    }
    name = chance.choice(tuple(extra))
    good = hostile.save(hostile.fruit(20, 20), "PNG")
    return good[:33] + chunk(name, extra[name]) + (good[33:] if name != b"IDAT" else good[-12:])


def nested_zip(chance: random.Random) -> bytes:
    """A ZIP bomb of several layers, or gzip within gzip, called an image."""
    content = bytes(10 << 20)
    for _ in range(chance.randint(2, 5)):
        if chance.random() < 0.5:
            content = gzip.compress(content)
            continue
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(4):
                archive.writestr(f"{number}.jpg", content)
        content = buffer.getvalue()
    return content


def scans(chance: random.Random) -> bytes:
    """A progressive JPEG of many megapixels with thousands of scans that change nothing: LJT-01-003, see job/imaging/decode.py."""
    side = chance.choice((4_000, 9_000))
    return scan_bomb(side, side, chance.choice((200, 2_000)))


def scan_bomb(width: int, height: int, count: int) -> bytes:
    """Grey; each scan is a single end-of-band run after the other over all blocks: ITU-T T.81, G.1.2.2."""

    def segment(marker: int, data: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data

    frame = segment(0xC2, struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0))
    tables = segment(0xDB, bytes([0]) + bytes([1] * 64))
    # One code of one bit: EOB14, a run of 2**14 blocks and as many more as the next 14 bits say.
    huffman = segment(0xC4, bytes([0x10, 1, *[0] * 15, 0xE0])) + segment(0xC4, bytes([0x00, 1, *[0] * 15, 0x00]))
    blocks = -(-width // 8) * -(-height // 8)
    runs = -(-blocks // 32_767)
    bits = ("0" + "1" * 14) * runs
    packed = int(bits.ljust(-(-len(bits) // 8) * 8, "1"), 2).to_bytes(-(-len(bits) // 8)).replace(b"\xff", b"\xff\x00")
    zeros = bytes(-(-blocks // 8))
    first = segment(0xDA, bytes([1, 1, 0x00, 0, 0, 0x00])) + zeros  # the DC of all blocks: no difference
    scan = segment(0xDA, bytes([1, 1, 0x00, 1, 63, 0x00])) + packed
    return b"\xff\xd8" + tables + frame + huffman + first + scan * count + b"\xff\xd9"


def commented_gif(chance: random.Random) -> bytes:
    return gif_bomb(chance.choice((1_000, 200_000)))


def gif_bomb(comments: int) -> bytes:
    """Empty comments of three bytes each before the picture: a reader in Python looks at one after the other."""
    good = hostile.save(hostile.fruit(20, 20).convert("P"), "GIF")
    head = 13 + 3 * (2 << (good[10] & 7))  # header, screen, colours: https://www.w3.org/Graphics/GIF/spec-gif89a.txt
    return good[:head] + b"\x21\xfe\x00" * comments + good[head:]


def tiled_tiff(chance: random.Random) -> bytes:
    """One pixel, in a tile or a strip of gigabytes; counts of millions; a directory that is its own successor."""
    side = chance.choice((1, 4_096, 65_520))
    tags = {
        256: (4, 1, 1),  # ImageWidth
        257: (4, 1, chance.choice((1, 70_000))),  # ImageLength
        258: (3, 1, 8),
        259: (3, 1, chance.choice((1, 5, 8, 32773))),  # Compression: none, LZW, deflate, PackBits
        262: (3, 1, 1),
        273: (4, chance.choice((1, 1_000_000)), 8),  # StripOffsets
        277: (3, 1, chance.choice((1, 3, 4))),
        278: (4, 1, side * side),  # RowsPerStrip
        279: (4, 1, 1 << 20),
    }
    if chance.random() < 0.5:
        tags |= {322: (4, 1, side), 323: (4, 1, side), 324: (4, 1, 8), 325: (4, 1, 1 << 20)}
    entries = b"".join(struct.pack("<HHII", tag, *value) for tag, value in sorted(tags.items()))
    data = zlib.compress(bytes(1 << 20))
    at = 8 + len(data) + len(data) % 2
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", chance.choice((0, at)))
    return b"II*\0" + struct.pack("<I", at) + data + bytes(len(data) % 2) + directory


def coded_bmp(chance: random.Random) -> bytes:
    """Run-length codes, which Pillow reads in Python: runs of one, ends of lines, jumps."""
    width = chance.choice((1, 255, 100_000))
    height = chance.choice((1, 800))
    codes = chance.choice((b"\x01\x07", b"\0\0", b"\0\2\xff\xff", b"\xff\x07", b"\0\xff")) * chance.choice((100, 100_000))
    palette = bytes(1024)
    at = 14 + 40 + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(codes), 0, 0, 256, 0)
    return struct.pack("<2sIHHI", b"BM", at + len(codes), 0, 0, at) + info + palette + codes


def wide_webp(chance: random.Random) -> bytes:
    """Its canvas is of gigabytes, its one frame of a few pixels."""
    content = hostile.animated("WEBP")
    side = chance.choice((16_383, 16_777_215))
    return content[:24] + (side - 1).to_bytes(3, "little") + (16_383 - 1).to_bytes(3, "little") + content[30:]


KINDS: dict[str, tuple[Make, int]] = {  # and how often, of 100
    "flipped": (flipped, 32),
    "scrambled": (scrambled, 22),
    "cut": (cut, 8),
    "polyglot": (polyglot, 10),
    "lying_png": (lying_png, 6),
    "endless_png": (endless_png, 4),
    "nested_zip": (nested_zip, 1),
    "scans": (scans, 2),
    "commented_gif": (commented_gif, 2),
    "tiled_tiff": (tiled_tiff, 6),
    "coded_bmp": (coded_bmp, 4),
    "wide_webp": (wide_webp, 3),
}


def hostile_files(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """`count` files of all KINDS in their proportions, at least one of each; always the same ones for a seed."""
    chance = random.Random(seed)
    every = [name for name, (_, weight) in KINDS.items() for _ in range(weight)]
    for number in range(count):
        name = tuple(KINDS)[number] if number < len(KINDS) else chance.choice(every)
        yield name, KINDS[name][0](chance)
