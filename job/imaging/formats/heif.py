"""
Read HEIC photos by libheif, and set Pillow's AVIF decoder. Pure: no I/O.

libheif turns and crops the pixels itself, as the file's boxes `irot`, `imir` and `clap` say; EXIF and XMP do not count, by
https://aomediacodec.github.io/av1-avif/ and ISO/IEC 23008-12, 6.5.10. Pillow leaves AVIF as it is stored, and writes the boxes' turn into
the EXIF block that it returns.
"""

from __future__ import annotations

import struct
from typing import Any

import _pi_heif
from PIL import AvifImagePlugin, Image, ImageFile

from job.contract.errors import DecodeError
from job.contract.orientation import iso_boxes

HEIC, AVIF = "HEIC", "AVIF"  # Pillow's names of formats
UNSUPPORTED = "video or unsupported kind of HEIF"
# https://mp4ra.org/registered-types/brands; files of the general brands mif1 and msf1 hold pictures of either kind.
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
BRANDS = (*HEIC_BRANDS, b"avif", b"avis")
WITH_PIXELS = (b"ftyp", b"meta", b"mdat", b"moov")  # a photo without the end of such a box misses some

THREADS = 1  # Spark owns the parallelism
TO_8_BITS, BGR, TIGHT_ROWS, TO_16_BITS, ANY_DECODER, WITHOUT_LIMITS = True, False, False, True, "", False  # of libheif's images
AvifImagePlugin.DEFAULT_MAX_THREADS = THREADS


class HeicImageFile(ImageFile.ImageFile):
    """
    The primary picture of a HEIC file, by the C module of pi-heif.

    Its Python part reads all metadata first: it ends the process at an item whose type is no text, and refuses a photo with damaged EXIF.
    """

    format = HEIC
    format_description = "HEIC photo"

    def _open(self) -> None:
        assert self.fp is not None
        given = self.fp.read(), THREADS, TO_8_BITS, BGR, TIGHT_ROWS, TO_16_BITS, ANY_DECODER, WITHOUT_LIMITS
        try:
            pictures = _pi_heif.load_file(*given)  # reads the boxes only
            self._picture: Any = next(picture for picture in pictures if picture is not None and picture.primary)
        except (ValueError, RuntimeError, EOFError, OSError, StopIteration) as error:
            raise SyntaxError(str(error)) from error  # as Pillow's own plugins say so
        self._size, self._mode = self._picture.size_mode
        profile = self._picture.color_profile
        if profile:
            self.info["icc_profile" if profile["type"] in ("rICC", "prof") else "nclx_profile"] = profile["data"]

    def load(self) -> Any:
        """Decode the picture, once."""
        if self._picture is not None:
            picture, self._picture = self._picture, None
            data = picture.data
            self._size, self._mode = picture.size_mode  # the boxes may have said something else
            self.load_prepare()
            self.frombytes(data, "raw", (self.mode, picture.stride))
        return super().load()


def _is_heic(prefix: bytes) -> bool:
    return prefix[4:8] == b"ftyp" and prefix[8:12] in HEIC_BRANDS


Image.register_open(HEIC, HeicImageFile, _is_heic)


def is_iso(content: bytes) -> bool:
    """Return whether `content` is an ISO base media file: ISO/IEC 14496-12, its first box."""
    return content[4:8] == b"ftyp"


def refuse_cut(content: bytes) -> None:
    """Raise DecodeError if a box with pixels is longer than the file: libheif and libavif read what is there, and may show grey."""
    boxes = list(iso_boxes(content))
    if boxes and boxes[-1].end > len(content) and boxes[-1].kind in WITH_PIXELS:
        raise DecodeError("truncated")


def reason_unidentified(content: bytes) -> str:
    """Return why no decoder takes an ISO base media file."""
    return "damaged header" if content[8:12] in BRANDS else UNSUPPORTED


def nclx_in(content: bytes) -> tuple[int, int] | None:
    """Return primaries and transfer characteristics, by ITU-T H.273, of the first `colr` box of the kind `nclx`; Pillow does not tell."""
    found = content.find(b"colrnclx")
    return struct.unpack_from(">HH", content, found + 8) if 0 <= found <= len(content) - 12 else None
