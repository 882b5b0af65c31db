"""
Photos of INPUT in, small pictures for a page out: WebP, encoded again, so that no metadata (place, camera) comes along.

Reads as the job does, with many requests in flight: in this process, or in tasks of Spark (`shrink`). A photo that is gone, or not the
listed one any more, gives no picture and no error.
"""

from __future__ import annotations

import base64
import io
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate

import pyarrow as pa
from PIL import Image, ImageFile, ImageOps

from job.decode import open_image, orientation_of, upright_rgb8
from job.errors import DecodeError, FetchError
from job.fetch import IN_FLIGHT, Key, fetch, stat_etag
from job.s3 import S3_ERRORS, client
from job.uris import bucket_and_key, is_s3, local_path

KeysOf = Callable[[list[str]], list[Key]]  # URIs to what is known of them; those that are gone are left out
PicturesOf = Callable[[list[Key]], dict[str, Image.Image]]  # URI -> picture of those that can be read

PICTURES = pa.schema([("uri", pa.string()), ("width", pa.int32()), ("height", pa.int32()), ("rgb", pa.binary())])

TILE_PX, TILE_COLUMNS = 48, 50  # in the sprite
PICTURE_PX = 96  # the longer side of one that stands alone
READ_BYTES = 512 << 20  # of photos at most: seconds on a good line, whether they come from a phone or from Fruits-360
SPRITE_BYTES = 2 << 20
QUALITIES = (70, 45, 20)
# What Pillow's parsers raise; `decode_image` met everything else before this photo got its features.
BROKEN = (OSError, ValueError, SyntaxError, TypeError, IndexError, EOFError, MemoryError, struct.error, zlib.error, DecodeError)


def pictures_here(keys: Iterable[Key]) -> dict[str, Image.Image]:
    """URI -> picture of `keys`, made by this process."""
    return dict(_pictures(keys))


def small_photos(uris: Iterable[str], keys_of: KeysOf, pictures_of: PicturesOf = pictures_here) -> dict[str, Image.Image]:
    """
    URI -> RGB, upright, PICTURE_PX or less at its longer side.

    The first URIs come first where not all fit into READ_BYTES.
    """
    wanted = list(dict.fromkeys(uris))
    known = {key.uri: key for key in keys_of(wanted)}
    keys = [known[uri] for uri in wanted if uri in known]
    return pictures_of(keys[: sum(total <= READ_BYTES for total in accumulate(key.size for key in keys))])


def shrink(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Keys to PICTURES: the work of one task."""
    keys = (Key(**row) for batch in batches for row in batch.to_pylist())
    rows = [{"uri": uri, "width": made.width, "height": made.height, "rgb": made.tobytes()} for uri, made in _pictures(keys)]
    yield pa.RecordBatch.from_pylist(rows, PICTURES)


def unpacked(pictures: pa.Table) -> dict[str, Image.Image]:
    """URI -> picture, of PICTURES."""
    return {row["uri"]: Image.frombytes("RGB", (row["width"], row["height"]), row["rgb"]) for row in pictures.to_pylist()}


def _pictures(keys: Iterable[Key]) -> Iterator[tuple[str, Image.Image]]:
    for key, content in fetch(keys):
        picture = None if isinstance(content, FetchError) else small_photo(content)
        if picture is not None:
            yield key.uri, picture


def small_photo(content: bytes, even_if_cut: bool = False) -> Image.Image | None:
    """One photo, or None if it cannot be decoded; `even_if_cut`: the part of a truncated file that is there."""
    # Pillow knows this as a global only. Neither the driver nor a worker decodes anything else at this time.
    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, even_if_cut
    try:
        image = open_image(content)
        image.draft("RGB", (2 * PICTURE_PX, 2 * PICTURE_PX))  # a 12-megapixel JPEG in an eighth of the time
        orientation = orientation_of(image)
        if image.mode in ("RGB", "RGBA", "L"):  # the others do not resize well
            image.thumbnail((2 * PICTURE_PX, 2 * PICTURE_PX))
        picture = upright_rgb8(image, orientation)
        picture.thumbnail((PICTURE_PX, PICTURE_PX))
        picture.load()  # a small one is not decoded before
    except BROKEN:
        return None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before
    return picture


def data_uri(picture: Image.Image, quality: int = 75) -> str:
    """`picture` as WebP inside a URI."""
    content = io.BytesIO()
    picture.save(content, "WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode()


def sprite(pictures: list[Image.Image]) -> str:
    """
    All `pictures` in one, row by row in squares of TILE_PX, TILE_COLUMNS in a row: one bound for all of them.

    Returns:
        A data URI of at most SPRITE_BYTES before base64, "" if that cannot be reached.
    """
    if not pictures:
        return ""
    rows = -(-len(pictures) // TILE_COLUMNS)
    sheet = Image.new("RGB", (min(len(pictures), TILE_COLUMNS) * TILE_PX, rows * TILE_PX), "white")
    for number, picture in enumerate(pictures):
        row, column = divmod(number, TILE_COLUMNS)
        sheet.paste(ImageOps.fit(picture, (TILE_PX, TILE_PX)), (column * TILE_PX, row * TILE_PX))
    for quality in QUALITIES:
        uri = data_uri(sheet, quality)
        if len(uri) * 3 // 4 <= SPRITE_BYTES:
            return uri
    return ""


def keys_unchanged_since(created: float) -> KeysOf:
    """
    What is known without a listing: local files by their status, objects by HEAD.

    Left out is what is gone, and what has changed since `created` (seconds since 1970): a report shows what its run saw.
    """

    def keys_of(uris: list[str]) -> list[Key]:
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            return [key for key in pool.map(lambda uri: _key(uri, created), uris) if key]

    return keys_of


def _key(uri: str, changed_before: float) -> Key | None:
    if not is_s3(uri):
        try:
            status = os.stat(local_path(uri))
        except OSError:
            return None
        return Key(uri, stat_etag(status), status.st_size, None) if status.st_mtime <= changed_before else None
    bucket, name = bucket_and_key(uri)
    try:
        head = client().head_object(Bucket=bucket, Key=name)
    except S3_ERRORS:
        return None
    unchanged = head["LastModified"].timestamp() <= changed_before
    return Key(uri, head["ETag"].strip('"'), head["ContentLength"], None) if unchanged else None
