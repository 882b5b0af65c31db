"""Remove from PNG files the chunks that a decoder reads but the pixels do not need. Pure: no I/O."""

from __future__ import annotations

from job.contract.orientation import png_chunks

# Compressed ones may be of any size, and Pillow refuses the file of one with more than 1 MiB:
# https://pillow.readthedocs.io/en/stable/handbook/image-file-formats.html#png-opening
METADATA = (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf")


def without_metadata(content: bytes) -> bytes:
    """Return `content` without texts, EXIF and colour profile, which are then neither decompressed nor checked."""
    kept, begin, view = [], 0, memoryview(content)
    for chunk in png_chunks(content):
        if chunk.kind in METADATA:
            kept.append(view[begin : chunk.start])
            begin = chunk.end
    return b"".join([*kept, view[begin:]]) if kept else content
