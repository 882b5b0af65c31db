"""
Read HEIC photos by libheif, and set Pillow's AVIF decoder. Pure: no I/O.

libheif turns and crops the pixels itself, as the file's boxes `irot`, `imir` and `clap` say; EXIF and XMP do not count, by
https://aomediacodec.github.io/av1-avif/ and ISO/IEC 23008-12, 6.5.10. Pillow leaves AVIF as it is stored, and writes the boxes' turn into
the EXIF block that it returns.
"""

from __future__ import annotations

import struct

import pi_heif
import pi_heif.options
from PIL import AvifImagePlugin, Image, ImageFile

from job.contract.errors import DecodeError
from job.contract.orientation import iso_boxes

HEIC, AVIF = "HEIC", "AVIF"  # Pillow's names of formats
UNSUPPORTED = "video or unsupported kind of HEIF"
# https://mp4ra.org/registered-types/brands; files of the general brands mif1 and msf1 hold pictures of either kind.
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
BRANDS = (*HEIC_BRANDS, b"avif", b"avis")
WITH_PIXELS = (b"ftyp", b"meta", b"mdat", b"moov")  # a photo without the end of such a box misses some

# Spark owns the parallelism: one thread for each worker.
pi_heif.options.DECODE_THREADS = 1
pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False
AvifImagePlugin.DEFAULT_MAX_THREADS = 1


class HeicImageFile(ImageFile.ImageFile):
    """The primary picture of a HEIC file. pi-heif's own plugin refuses a photo whose EXIF is damaged."""

    format = HEIC
    format_description = "HEIC photo"

    def _open(self) -> None:
        assert self.fp is not None
        self._heif = pi_heif.open_heif(self.fp.read())  # reads the boxes only
        self._size, self._mode = self._heif.size, self._heif.mode
        kept = self._heif.info
        self.info = {name: kept[name] for name in ("icc_profile", "nclx_profile") if name in kept}

    def load(self) -> Image.core.PixelAccess | None:
        """Decode the picture, once."""
        if self._heif is not None:
            picture, self._heif = self._heif, None
            data = picture.data
            self._size = picture.size  # the boxes may have said something else
            self.load_prepare()
            self.frombytes(data, "raw", (picture.mode, picture.stride))
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
