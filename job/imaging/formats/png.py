"""PNG files without what decoders read beside the pixels. Pure: no I/O."""

from __future__ import annotations

from job.contract.orientation import png_chunks

# Compressed ones may be of any size, and Pillow refuses the file of one with more than 1 MiB:
# https://pillow.readthedocs.io/en/stable/handbook/image-file-formats.html#png-opening
METADATA = (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf")


def without_metadata(content: bytes) -> bytes:
    """`content` without texts, EXIF and colour profile: they are neither decompressed nor checked."""
    kept, begin, view = [], 0, memoryview(content)
    for chunk in png_chunks(content):
        if chunk.kind in METADATA:
            kept.append(view[begin : chunk.start])
            begin = chunk.end
    return b"".join([*kept, view[begin:]]) if kept else content
