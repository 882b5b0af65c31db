"""
Photos that broke other people's pipelines, as bytes, made on the spot: metadata of any size and in any place, unused alpha channels,
TIFF files of every kind, ends that are missing. All show `hostile.fruit`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.unit.job.hostile import STORED, fruit, jpeg, save

UPRIGHT, FRUIT, GREY = (
    (120, 80),
    (100, 100),
    "grey",
)  # how a photo comes out: the fruit of that size, or it in grey; else why it is rejected
XMP_NAME = b"http://ns.adobe.com/xap/1.0/\0"
SIZES = {1: 1, 3: 2, 4: 4, 11: 4}  # TIFF's types: BYTE, SHORT, LONG, FLOAT
CODES = {1: "B", 3: "H", 4: "I", 11: "f"}


def turned() -> Image.Image:
    """As a camera stores it: only orientation 6 shows the fruit upright, 120 x 80."""
    return fruit(*UPRIGHT).transpose(STORED[6])


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(image: Image.Image, *chunks: bytes, last: bool = False) -> bytes:
    """`chunks` behind the header, or behind the pixels."""
    content = save(image, "PNG")
    at = len(content) - 12 if last else 33
    return content[:at] + b"".join(chunks) + content[at:]


def jpeg_with(*app1: bytes) -> bytes:
    content = save(turned(), "JPEG", quality=95)
    segments = (struct.pack(">HH", 0xFFE1, len(data) + 2) + data for data in app1)
    return content[:2] + b"".join(segments) + content[2:]


def exif(value: int, order: str = ">", kind: int = 3) -> bytes:
    """One directory with the orientation alone, of type BYTE, SHORT or LONG."""
    values = struct.pack(order + CODES[kind], value).ljust(4, b"\0")
    name = {">": b"MM", "<": b"II"}[order]
    return name + struct.pack(order + "HIHHHI", 42, 8, 1, 0x0112, kind, 1) + values + bytes(4)


def exif_segment(value: int, order: str = ">", kind: int = 3) -> bytes:
    return b"Exif\0\0" + exif(value, order, kind)


def xmp(value: int, as_element: bool = False) -> bytes:
    said = (" >", f"<tiff:Orientation>{value}</tiff:Orientation>") if as_element else (f' tiff:Orientation="{value}">', "")
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/"{said[0]}{said[1]}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


def raw_profile(data: bytes) -> bytes:
    """As ImageMagick puts EXIF into the text of a PNG."""
    digits = data.hex().encode()
    lines = b"\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return f"\nexif\n{len(data):8}\n".encode() + lines + b"\n"


def itxt(key: bytes, text: bytes, compressed: bool = False) -> bytes:
    return chunk(b"iTXt", key + (b"\0\1\0\0\0" + zlib.compress(text) if compressed else b"\0\0\0\0\0" + text))


def ztxt(key: bytes, text: bytes) -> bytes:
    return chunk(b"zTXt", key + b"\0\0" + zlib.compress(text))


def tiff(entries: Mapping[int, tuple[int, Sequence[float]]], data: bytes, order: str = "<") -> bytes:
    """One directory; `entries`: tag -> (type, values). StripOffsets (273) count from the start of `data`."""
    begin = 8 + 2 + 12 * len(entries) + 4
    total = sum(len(values) * SIZES[kind] for kind, values in entries.values() if len(values) * SIZES[kind] > 4)
    body, extra = struct.pack(order + "H", len(entries)), b""
    for tag, (kind, values) in sorted(entries.items()):
        values = [begin + total + int(value) for value in values] if tag == 273 else values
        raw = struct.pack(order + CODES[kind] * len(values), *values)
        field = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack(order + "I", begin + len(extra))
        extra += raw if len(raw) > 4 else b""
        body += struct.pack(order + "HHI", tag, kind, len(values)) + field
    name = {">": b"MM", "<": b"II"}[order]
    return name + struct.pack(order + "HI", 42, 8) + body + bytes(4) + extra + data


def tiff_picture(
    planes: Sequence[NDArray[np.generic]],
    bits: int,
    photometric: int,
    separate: bool = False,
    order: str = "<",
    deflate: bool = False,
    **tags: tuple[int, Sequence[float]],
) -> bytes:
    """`planes`: (height, width) each; fewer than 8 bits are packed. `tags`: further ones, as `t317=(3, [2])`."""
    count, (height, width) = len(planes), planes[0].shape
    stored = list(planes) if separate else [np.stack(planes, axis=-1).reshape(height, width * count)]
    strips = [packed(plane, bits, order) for plane in stored]
    strips = [zlib.compress(strip) for strip in strips] if deflate else strips
    offsets = [sum(map(len, strips[:number])) for number in range(len(strips))]
    entries: dict[int, tuple[int, Sequence[float]]] = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * count),
        259: (3, [8 if deflate else 1]),
        262: (3, [photometric]),
        273: (4, offsets),
        277: (3, [count]),
        278: (4, [height]),
        279: (4, [len(strip) for strip in strips]),
        284: (3, [2 if separate else 1]),
    }
    entries |= {int(name[1:]): value for name, value in tags.items()}
    return tiff(entries, b"".join(strips), order)


def packed(rows: NDArray[np.generic], bits: int, order: str) -> bytes:
    if bits in (8, 16, 32):
        return rows.astype(rows.dtype.newbyteorder(order)).tobytes()
    single = (rows[..., np.newaxis] >> np.arange(bits)[::-1]) & 1
    return np.packbits(single.reshape(len(rows), -1).astype(np.uint8), axis=1).tobytes()


def grey_tiff(bits: int, white_is_zero: bool, **options: object) -> bytes:
    """Bits of the fruit in grey, rounded down."""
    grey = np.asarray(fruit().convert("L")).astype(np.uint16)
    values = grey * 257 >> (16 - bits)
    values = (1 << bits) - 1 - values if white_is_zero else values
    return tiff_picture([values.astype(np.uint8 if bits <= 8 else np.uint16)], bits, int(not white_is_zero), **options)  # type: ignore[arg-type]


def rgb_planes(bits: int = 8) -> list[NDArray[np.generic]]:
    rgb = np.asarray(fruit())
    wide = rgb.astype(np.uint16) * 257 if bits == 16 else rgb
    return [wide[..., band] for band in range(3)]


def clear(mode: str = "RGBA") -> Image.Image:
    """The fruit, with an alpha channel of zeros."""
    image = fruit().convert(mode)
    image.putalpha(0)
    return image


def clear_bmp() -> bytes:
    """32 bits a pixel with a mask for alpha: BITMAPV5HEADER, https://learn.microsoft.com/en-us/windows/win32/api/wingdi/"""
    bgra = np.dstack([np.asarray(fruit())[::-1, :, ::-1], np.zeros(FRUIT, np.uint8)]).tobytes()
    info = struct.pack("<IiiHHIIiiII", 124, *FRUIT, 1, 32, 3, len(bgra), 2835, 2835, 0, 0)
    info = (info + struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)).ljust(124, b"\0")
    return struct.pack("<2sIHHI", b"BM", 138 + len(bgra), 0, 0, 138) + info + bgra


def clear_palette() -> bytes:
    image = fruit().quantize(8)
    return save(image, "PNG", transparency=bytes(8))


def one_clear_colour(kind: str) -> bytes:
    """All pixels of the one colour that is transparent."""
    return save(Image.new("P", (64, 64), 0), kind, transparency=0)


def white_cut_out() -> bytes:
    """White where it can be seen."""
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (16, 16, 48, 48))
    return save(image, "PNG")


def progressive() -> bytes:
    return save(fruit(), "JPEG", progressive=True, quality=95)


BIG = bytes(2 << 20)
XMP_KEY, RAW, RAW_APP1 = b"XML:com.adobe.xmp", b"Raw profile type exif", b"Raw profile type APP1"
UNSUPPORTED = "unsupported kind of TIFF"
Maker = Callable[[], bytes]

ODD: dict[str, tuple[Maker, object]] = {
    "text/xmp of 2 MB.png": (lambda: png_with(fruit(), itxt(XMP_KEY, BIG, True)), FRUIT),
    "text/zTXt of 2 MB.png": (lambda: png_with(fruit(), ztxt(b"workflow", BIG)), FRUIT),
    "text/zTXt of 2 MB at the end.png": (lambda: png_with(fruit(), ztxt(b"workflow", BIG), last=True), FRUIT),
    "text/iTXt of 2 MB.png": (lambda: png_with(fruit(), itxt(b"prompt", BIG, True)), FRUIT),
    "text/profile of 2 MB.png": (lambda: png_with(fruit(), chunk(b"iCCP", b"icc\0\0" + zlib.compress(BIG))), FRUIT),
    "text/plain, 70 MB.png": (lambda: png_with(fruit(), chunk(b"tEXt", b"a\0" + bytes(70 << 20))), FRUIT),
    "text/bomb of 1 GB.png": (lambda: png_with(fruit(), ztxt(b"bomb", bytes(1 << 30))), FRUIT),
    "text/xmp before 2 MB.png": (lambda: png_with(turned(), itxt(XMP_KEY, xmp(6) + BIG, True)), UPRIGHT),
    "xmp/only.jpg": (lambda: jpeg_with(XMP_NAME + xmp(6)), UPRIGHT),
    "xmp/as element.jpg": (lambda: jpeg_with(XMP_NAME + xmp(6, as_element=True)), UPRIGHT),
    "xmp/beside exif without orientation.jpg": (
        lambda: jpeg_with(b"Exif\0\0MM\0\x2a" + struct.pack(">IHI", 8, 0, 0), XMP_NAME + xmp(6)),
        UPRIGHT,
    ),
    "xmp/exif comes first.jpg": (lambda: jpeg_with(XMP_NAME + xmp(3), exif_segment(6)), UPRIGHT),
    "xmp/beside broken exif.jpg": (lambda: jpeg_with(b"Exif\0\0no TIFF", XMP_NAME + xmp(6)), UPRIGHT),
    "xmp/only.webp": (lambda: save(turned(), "WEBP", lossless=True, xmp=xmp(6)), UPRIGHT),
    "xmp/only.png": (lambda: png_with(turned(), itxt(XMP_KEY, xmp(6))), UPRIGHT),
    "xmp/compressed.png": (lambda: png_with(turned(), itxt(XMP_KEY, xmp(6), compressed=True)), UPRIGHT),
    "xmp/at the end.png": (lambda: png_with(turned(), itxt(XMP_KEY, xmp(6)), last=True), UPRIGHT),
    "xmp/only.tif": (lambda: save(turned(), "TIFF", tiffinfo={700: xmp(6)}), UPRIGHT),
    "exif/of a tiff.tif": (lambda: save(turned(), "TIFF", tiffinfo={0x0112: 6}), UPRIGHT),
    "exif/in two segments.jpg": (lambda: jpeg_with(exif_segment(6) + bytes(60_000), b"Exif\0\0" + bytes(5_000)), UPRIGHT),
    "exif/directory in the second segment.jpg": (
        lambda: jpeg_with(b"Exif\0\0MM\0\x2a" + struct.pack(">I", 60_000) + bytes(59_992), b"Exif\0\0" + exif(6)[8:]),
        UPRIGHT,
    ),
    "exif/second block.jpg": (lambda: jpeg_with(exif_segment(6), exif_segment(1)), UPRIGHT),
    "exif/behind fill bytes.jpg": (lambda: (made := jpeg_with(exif_segment(6)))[:2] + b"\xff\xff\xff" + made[2:], UPRIGHT),
    **{
        f"exif/{name}.jpg": ((lambda order=order, kind=kind: jpeg_with(exif_segment(6, order, kind))), UPRIGHT)  # type: ignore[misc]
        for name, order, kind in (("MM LONG", ">", 4), ("II LONG", "<", 4), ("II SHORT", "<", 3))
    },
    "exif/in png.png": (lambda: png_with(turned(), chunk(b"eXIf", exif(6))), UPRIGHT),
    "exif/behind the pixels.png": (lambda: png_with(turned(), chunk(b"eXIf", exif(6)), last=True), UPRIGHT),
    "exif/in webp.webp": (lambda: save(turned(), "WEBP", lossless=True, exif=exif_segment(6)), UPRIGHT),
    "exif/raw profile.png": (lambda: png_with(turned(), ztxt(RAW, raw_profile(exif_segment(6)))), UPRIGHT),
    "exif/raw profile in plain text.png": (lambda: png_with(turned(), chunk(b"tEXt", RAW + b"\0" + raw_profile(exif_segment(6)))), UPRIGHT),
    "exif/raw profile APP1.png": (lambda: png_with(turned(), ztxt(RAW_APP1, raw_profile(exif_segment(6)))), UPRIGHT),
    "exif/raw profile at the end.png": (lambda: png_with(turned(), ztxt(RAW, raw_profile(exif_segment(6))), last=True), UPRIGHT),
    "alpha/unused.bmp": (clear_bmp, FRUIT),
    "alpha/unused.png": (lambda: save(clear(), "PNG"), FRUIT),
    "alpha/unused.tif": (lambda: save(clear(), "TIFF"), FRUIT),
    "alpha/unused.webp": (lambda: save(clear(), "WEBP", lossless=True, exact=True), FRUIT),
    "alpha/unused palette.png": (clear_palette, FRUIT),
    "alpha/unused, grey.png": (lambda: save(clear("L"), "PNG"), GREY),
    "alpha/unused, associated.tif": (
        lambda: tiff_picture([*rgb_planes(), np.zeros(FRUIT, np.uint8)], 8, 2, t338=(3, [1])),
        "nothing to see",  # its colours are multiplied by it
    ),
    "alpha/one clear colour.png": (lambda: one_clear_colour("PNG"), "nothing to see"),
    "alpha/one clear colour.gif": (lambda: one_clear_colour("GIF"), "nothing to see"),
    "alpha/black without opacity.png": (lambda: save(Image.new("RGBA", (64, 64)), "PNG"), "nothing to see"),
    "alpha/without opacity.webp": (lambda: save(Image.new("RGBA", (64, 64)), "WEBP", lossless=True), "nothing to see"),
    "alpha/white on white.png": (white_cut_out, "nothing to see"),
    "tiff/16 bits, planes.tif": (lambda: tiff_picture(rgb_planes(16), 16, 2, separate=True), UNSUPPORTED),
    "tiff/16 bits, white is zero.tif": (lambda: grey_tiff(16, white_is_zero=True), GREY),
    "tiff/float colour.tif": (
        lambda: tiff_picture([plane.astype("f4") / 255 for plane in rgb_planes()], 32, 2, t339=(3, [3] * 3)),
        UNSUPPORTED,
    ),
    "tiff/complex.tif": (lambda: tiff_picture([np.zeros((64, 64), "u4")], 32, 1, t339=(3, [6])), UNSUPPORTED),
    "tiff/four grey bands.tif": (
        lambda: tiff_picture([*rgb_planes(), rgb_planes()[0]], 8, 1, separate=True, t338=(3, [0] * 3)),
        UNSUPPORTED,
    ),
    "tiff/four grey bands, pixels.tif": (lambda: tiff_picture([*rgb_planes(), rgb_planes()[0]], 8, 1, t338=(3, [0] * 3)), UNSUPPORTED),
    "tiff/lab of 16 bits.tif": (lambda: tiff_picture(rgb_planes(16), 16, 8), UNSUPPORTED),
    "tiff/unknown compression.tif": (lambda: tiff_picture(rgb_planes(), 8, 2, t259=(3, [34712])), UNSUPPORTED),
    "tiff/signed.tif": (lambda: tiff_picture([rgb_planes()[0]], 8, 1, t339=(3, [2])), UNSUPPORTED),
    "end/progressive, end marker missing.jpg": (lambda: progressive()[:-2], FRUIT),
    "end/progressive, half of it missing.jpg": (lambda: progressive()[:-1], FRUIT),
    "end/baseline, end marker missing.jpg": (lambda: jpeg()[:-2], FRUIT),
    "end/progressive, half of the file.jpg": (lambda: progressive()[: len(progressive()) // 2], "truncated"),
}

TYPES: dict[str, Maker] = {  # orientations of all types and orders, some of them not valid
    f"{order}{CODES[kind]}{value}": (lambda order=order, kind=kind, value=value: jpeg_with(exif_segment(value, order, kind)))  # type: ignore[misc]
    for order in "<>"
    for kind in (1, 3, 4)
    for value in (0, 1, 6, 9)
}
