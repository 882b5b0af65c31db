"""Handle TIFF files that Pillow reads wrong or not at all. Pure: no I/O."""

from __future__ import annotations

import struct

import numpy as np
from PIL import Image, TiffImagePlugin
from PIL.TiffImagePlugin import TiffImageFile

from job.contract.errors import DecodeError

UNSUPPORTED = "unsupported kind of TIFF"
SIGNATURES = (b"II*\0", b"MM\0*")
# https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf, the values of PhotometricInterpretation
WHITE_IS_ZERO, YCBCR, CIELAB = 0, 6, 8
SEPARATE, SIGNED, ASSOCIATED_ALPHA = 2, 2, 1


def refuse_misread(image: TiffImageFile) -> None:
    """Raise DecodeError for kinds that Pillow reads wrong without an error."""
    tags, uncompressed = image.tag_v2, image.info.get("compression") == "raw"
    photometric, bits = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, WHITE_IS_ZERO), tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
    separate = tags.get(TiffImagePlugin.PLANAR_CONFIGURATION) == SEPARATE
    # Of uncompressed planes it reads each as 8 bits a pixel, in their usual order and from black to white.
    plain = set(bits) == {8} and photometric != WHITE_IS_ZERO and tags.get(TiffImagePlugin.FILLORDER, 1) == 1
    premultiplied = ASSOCIATED_ALPHA in tags.get(TiffImagePlugin.EXTRASAMPLES, ())
    wrong = (
        separate and uncompressed and not (plain and not premultiplied),
        separate and photometric == CIELAB,  # a and b are signed
        photometric == YCBCR and uncompressed and tags.get(TiffImagePlugin.YCBCRSUBSAMPLING, (1, 1)) != (1, 1),
        SIGNED in tags.get(TiffImagePlugin.SAMPLEFORMAT, ()) and set(bits) == {8},
    )
    if any(wrong):
        raise DecodeError(UNSUPPORTED)


def scale_grey(image: TiffImageFile) -> Image.Image:
    """Scale a decoded 12 or 16 bit grey image to 0 for black and 65,535 for white; return others unchanged."""
    tags = image.tag_v2
    shift = 16 - tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))[0]
    inverted = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, WHITE_IS_ZERO) == WHITE_IS_ZERO
    if not image.mode.startswith("I;16") or not (shift or inverted):
        return image
    grey = np.asarray(image).astype(np.uint16) << shift
    return Image.fromarray(~grey if inverted else grey)


def has_dimensions(content: bytes) -> bool:
    """Return whether the first directory has width and height: then the file is an unsupported kind, not damaged."""
    order = "<" if content.startswith(b"II") else ">"
    try:
        (directory,) = struct.unpack_from(order + "I", content, 4)
        (count,) = struct.unpack_from(order + "H", content, directory)
        tags = {struct.unpack_from(order + "H10x", content, directory + 2 + 12 * number)[0] for number in range(count)}
    except struct.error:
        return False
    return tags >= {TiffImagePlugin.IMAGEWIDTH, TiffImagePlugin.IMAGELENGTH}
