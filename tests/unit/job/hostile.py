"""Odd image files, as bytes, made on the spot; and a whole folder of them under odd names (`write_hostile_folder`)."""

from __future__ import annotations

import io
import struct
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

ORIENTATION = 0x0112  # EXIF tag
STORED = {  # how a camera held in that position stores an upright picture: the inverse of what a viewer does
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def save(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def fruit(width: int = 100, height: int = 100) -> Image.Image:
    """A red disc with a green leaf in its upper left, on white: no symmetry, so every wrong rotation shows."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((width * 0.2, height * 0.25, width * 0.8, height * 0.9), fill=(200, 30, 40))
    draw.rectangle((width * 0.1, height * 0.1, width * 0.4, height * 0.3), fill=(30, 160, 60))
    return image


def jpeg(width: int = 100, height: int = 100) -> bytes:
    return save(fruit(width, height), "JPEG", quality=95)


def truncated_jpeg() -> bytes:
    return jpeg()[:-400]


def cut_in_header_jpeg() -> bytes:
    return jpeg()[:40]


def text() -> bytes:
    return b"This is a note about fruit, and no picture.\n"


def heic_of(image: Image.Image, **options: Any) -> bytes:
    """A HEIC photo; an EXIF orientation becomes a turn by the file's boxes, as phones write it."""
    import pillow_heif  # never registered: Pillow would read by it what the job reads by pi-heif

    plain, buffer = image.copy(), io.BytesIO()
    plain.info = {}  # of which it would turn the pixels
    file = pillow_heif.from_pillow(plain)
    file.info.update(image.info)
    file.save(buffer, **{"quality": 90, **options})
    return buffer.getvalue()


def film() -> bytes:
    return struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"isom", 0, b"mp41", b"isom") + struct.pack(">I4s", 208, b"mdat") + bytes(200)


def heic() -> bytes:
    """The start of an iPhone photo, and zeros."""
    return struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"heic", 0, b"mif1", b"heic") + bytes(200)


def svg() -> bytes:
    return b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle r="4"/></svg>'


def trailing_garbage_jpeg() -> bytes:
    return jpeg() + bytes(range(256)) * 8


def broken_exif_jpeg() -> bytes:
    return save(fruit(), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff" + b"\xde\xad" * 9)


def oriented_jpeg(orientation: int, width: int = 120, height: int = 80) -> bytes:
    """The same upright `fruit`, whatever the orientation; lossless enough to compare (quality 100, no chroma subsampling)."""
    image, method = fruit(width, height), STORED[orientation]
    stored = image.transpose(method) if method is not None else image
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return save(stored, "JPEG", quality=100, subsampling=0, exif=exif)


def grey_jpeg() -> bytes:
    return save(fruit().convert("L"), "JPEG", quality=95)


def cmyk_jpeg() -> bytes:
    """As Photoshop writes it: inverted, with Adobe's marker."""
    return save(fruit().convert("CMYK"), "JPEG", quality=95)


def half_transparent_png() -> bytes:
    """Left half: black without opacity; right half: pure red at opacity 128 of 255."""
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((255, 0, 0, 128), (32, 0, 64, 64))
    return save(image, "PNG")


def grey_alpha_png() -> bytes:
    """Left half: black without opacity; right half: opaque grey 100."""
    image = Image.new("LA", (64, 64), (0, 0))
    image.paste((100, 255), (32, 0, 64, 64))
    return save(image, "PNG")


def transparent_palette_png() -> bytes:
    """Left half: colour 0, black and transparent; right half: colour 1, (10, 200, 30)."""
    return save(_palette(), "PNG", transparency=0)


def _palette() -> Image.Image:
    image = Image.new("P", (64, 64), 0)
    image.putpalette([0, 0, 0, 10, 200, 30])
    image.paste(1, (32, 0, 64, 64))
    return image


def one_bit_png() -> bytes:
    """Left half black, right half white."""
    image = Image.new("1", (64, 64), 0)
    image.paste(1, (32, 0, 64, 64))
    return save(image, "PNG")


def grey16_png() -> bytes:
    """256 columns: column x holds 256 * x + 255, up to 65,535."""
    row = struct.pack(">256H", *(256 * x + 255 for x in range(256)))
    return _png(256, 256, bit_depth=16, colour_type=0, rows=(b"\x00" + row) * 256)


def rgb16_png() -> bytes:
    """Everywhere (0x0AFF, 0xC8FF, 0x1EFF): (10, 200, 30) in 8 bits."""
    row = struct.pack(">3H", 0x0AFF, 0xC8FF, 0x1EFF) * 64
    return _png(64, 64, bit_depth=16, colour_type=2, rows=(b"\x00" + row) * 64)


def grey32_tiff(value: int) -> bytes:
    return save(Image.new("I", (64, 64), value), "TIFF")


def float_tiff() -> bytes:
    return save(Image.new("F", (64, 64), 0.5), "TIFF")


def lab_tiff() -> bytes:
    """L*a*b* (54.3, 81, 70), pure red under D50; Pillow holds L * 2.55, a + 128, b + 128, the file has a and b signed."""
    return save(Image.new("LAB", (64, 64), (138, 209, 198)), "TIFF")


def ycbcr_tiff() -> bytes:
    return save(fruit().convert("YCbCr"), "TIFF")


def animated(kind: str) -> bytes:
    """A red frame, then a blue one."""
    red, blue = Image.new("RGB", (64, 64), (255, 0, 0)), Image.new("RGB", (64, 64), (0, 0, 255))
    options = {"lossless": True} if kind == "WEBP" else {}
    return save(red, kind, save_all=True, append_images=[blue], duration=100, **options)


def mpo() -> bytes:
    """Two JPEGs in one file, as phones and 3D cameras write: a red one, then a blue one."""
    red, blue = Image.new("RGB", (64, 64), (255, 0, 0)), Image.new("RGB", (64, 64), (0, 0, 255))
    return save(red, "MPO", save_all=True, append_images=[blue], quality=95)


def megapixels_60_jpeg() -> bytes:
    """9,504 x 6,336 pixels, as full-frame 60-megapixel cameras make them; about 2 MB, made in a second."""
    tile = fruit(297, 198)
    image = Image.new("RGB", (9504, 6336), "white")
    for left in range(0, 9504, 297 * 4):
        for top in range(0, 6336, 198 * 4):
            image.paste(tile, (left, top))
    return save(image, "JPEG", quality=80)


def claimed_bomb_png() -> bytes:
    """A few bytes that claim 50,000 x 50,000 pixels."""
    return _png(50_000, 50_000, bit_depth=8, colour_type=2, rows=b"\x00")


def real_bomb_png() -> bytes:
    """400 million true pixels in about 50 kB."""
    return save(Image.new("1", (20_000, 20_000)), "PNG")


def broken_crc_png() -> bytes:
    """One bit of the first chunk's checksum is flipped."""
    content = bytearray(save(fruit(), "PNG"))
    content[32] ^= 1  # 8 signature + 8 chunk head + 13 IHDR, then 4 of CRC
    return bytes(content)


def broken_data_png() -> bytes:
    """The compressed pixels are overwritten in the middle."""
    content = bytearray(save(Image.effect_noise((100, 100), 80), "PNG"))
    middle = len(content) // 2
    content[middle : middle + 64] = b"\xff" * 64
    return bytes(content)


def truncated(kind: str) -> bytes:
    """The first half of a noisy image."""
    content = save(Image.effect_noise((200, 200), 80).convert("RGB"), kind)
    return content[: len(content) // 2]


def _png(width: int, height: int, bit_depth: int, colour_type: int, rows: bytes) -> bytes:
    """https://www.w3.org/TR/png-3/#5Chunk-layout"""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, bit_depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


FOLDER: dict[str, tuple[Callable[[], bytes], str]] = {  # relative name -> its bytes, and "ok" or why it is rejected
    "straight in root.jpg": (jpeg, "ok"),
    "Apple/plain.jpg": (jpeg, "ok"),
    "Apple/the same again.jpg": (jpeg, "ok"),
    "Apple/UPPER.JPEG": (jpeg, "ok"),
    "Apple/camera.jfif": (jpeg, "ok"),
    "Apple Red 1/with spaces  twice.jpg": (jpeg, "ok"),
    "Apple Red 1/ leading.jpg": (jpeg, "ok"),
    "Pêche/" + unicodedata.normalize("NFC", "pêche é.jpg"): (jpeg, "ok"),
    "Pêche/" + unicodedata.normalize("NFD", "pêche é.jpg"): (jpeg, "ok"),
    "Emoji 🍎/🍏.jpg": (jpeg, "ok"),
    "100%20%/a%20b.jpg": (jpeg, "ok"),
    "100%20%/a b.jpg": (jpeg, "ok"),
    "sharp #1/no#1?.jpg": (jpeg, "ok"),
    "label=Apple/k=v.jpg": (jpeg, "ok"),
    "plus+plus/a+b.jpg": (jpeg, "ok"),
    'quotes/it\'s "ripe".jpg': (jpeg, "ok"),
    "comma, semicolon;/a,b;c.jpg": (jpeg, "ok"),
    "newline/two\nlines.jpg": (jpeg, "ok"),
    "back\\slash/[a-z]{1,2}*.jpg": (jpeg, "ok"),
    "_under/_hidden.jpg": (jpeg, "ok"),
    "deep/1/2/3/4/5/nested.jpg": (jpeg, "ok"),
    "modes/transparent.png": (half_transparent_png, "ok"),
    "modes/grey and alpha.png": (grey_alpha_png, "ok"),
    "modes/palette.png": (transparent_palette_png, "ok"),
    "modes/one bit.png": (one_bit_png, "ok"),
    "modes/grey 16.png": (grey16_png, "ok"),
    "modes/rgb 16.png": (rgb16_png, "ok"),
    "modes/grey.jpg": (grey_jpeg, "ok"),
    "modes/cmyk.jpg": (cmyk_jpeg, "ok"),
    "modes/lab.tif": (lab_tiff, "ok"),
    "modes/ycbcr.tiff": (ycbcr_tiff, "ok"),
    "modes/float.tif": (float_tiff, "floating-point pixels"),
    "modes/32 bit.tif": (lambda: grey32_tiff(1_000_000), "more than 16 bits per pixel"),
    "moving/animated.gif": (lambda: animated("GIF"), "ok"),
    "moving/animated.webp": (lambda: animated("WEBP"), "ok"),
    "moving/phone.jpg": (mpo, "ok"),
    "exif/broken.jpg": (broken_exif_jpeg, "ok"),
    **{f"exif/orientation {n}.jpg": ((lambda n=n: oriented_jpeg(n)), "ok") for n in STORED},  # type: ignore[misc]
    "sizes/60 megapixels.jpg": (megapixels_60_jpeg, "ok"),
    "sizes/one pixel.png": (lambda: save(Image.new("RGB", (1, 1), "red"), "PNG"), "ok"),
    "sizes/thin.bmp": (lambda: save(Image.new("RGB", (1, 20_000), "red"), "BMP"), "ok"),
    "sizes/claimed bomb.png": (claimed_bomb_png, "too many pixels: 50000x50000"),
    "sizes/real bomb.png": (real_bomb_png, "too many pixels: 20000x20000"),
    "broken/truncated.jpg": (truncated_jpeg, "truncated"),
    "broken/cut in header.jpg": (cut_in_header_jpeg, "truncated"),
    "broken/trailing garbage.jpg": (trailing_garbage_jpeg, "ok"),
    "broken/crc.png": (broken_crc_png, "damaged header"),
    "broken/data.png": (broken_data_png, "damaged image data"),
    "broken/empty.jpg": (bytes, "empty file"),
    "broken/text.jpg": (text, "not an image"),
    "broken/drawing.jpg": (svg, "not an image"),
    "broken/iphone.jpg": (heic, "damaged header"),
    "phone/iphone.heic": (lambda: heic_of(fruit()), "ok"),
    "phone/cut.heic": (lambda: heic_of(fruit())[:-100], "truncated"),
    "phone/android.avif": (lambda: save(fruit(), "AVIF"), "ok"),
    "phone/cut.avif": (lambda: save(fruit(), "AVIF")[:-100], "truncated"),
    "phone/film.jpg": (film, "video or unsupported kind of HEIF"),
}


def write_hostile_folder(root: Path) -> dict[str, str]:
    """Writes every file of FOLDER below `root`. Returns relative name -> "ok" or the reason for its rejection."""
    for name, (make, _) in FOLDER.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make())
    return {name: expected for name, (_, expected) in FOLDER.items()}
