"""
Make small pictures of photos for a page: WebP, encoded again, so that no metadata (place, camera) is kept.

Reads as the job does, with many requests in flight: in this process, or in tasks of Spark (`shrink`). A photo that is gone, or not the
listed one any more, gives no picture and no error.
"""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate

import pyarrow as pa
from PIL import Image, ImageFile, ImageOps

from job.contract.errors import DecodeError, FetchError, RegionError
from job.contract.filenames import taught_digest
from job.imaging.decode import convert, load_pixels, open_image, turn_of, upright
from job.imaging.formats.colour import to_srgb
from job.inputs.fetch import IN_FLIGHT, ListedImage, fetch, find_image
from job.storage.s3_client import S3_ERRORS

FindImages = Callable[[list[str]], list[ListedImage]]  # returns the images of URIs; those that are gone are left out
MakeTiles = Callable[[list[ListedImage]], dict[str, Image.Image]]  # returns tiles by URI; unreadable images are left out

TILES = pa.schema([("uri", pa.string()), ("rgb", pa.binary())])  # rgb: TILE_PX x TILE_PX x 3 bytes

TILE_PX, TILE_COLUMNS = 48, 50  # in the sprite
PICTURE_PX = 96  # longer side of a single picture
READ_BYTES = 512 << 20  # of photos at most: seconds on a good line, whether they come from a phone or from Fruits-360
SPRITE_BYTES = 2 << 20
SPRITE_EFFORT = 2  # of WebP: less than half the time of its default of 4, 3 % more bytes
QUALITIES = (70, 45, 20)
PARSERS = (struct.error, zlib.error)
# What Pillow's parsers raise; `decode_image` met everything else before this photo got its features.
BROKEN = (OSError, ValueError, SyntaxError, TypeError, IndexError, EOFError, MemoryError, RuntimeError, DecodeError, *PARSERS)


def small_photos(uris: Iterable[str], keys_of: FindImages) -> dict[str, Image.Image]:
    """Return pictures by URI: RGB, upright, PICTURE_PX or less at the longer side. Later URIs are dropped beyond READ_BYTES."""
    return dict(_pictures(_affordable(uris, keys_of)))


def make_tiles(keys: Iterable[ListedImage]) -> dict[str, Image.Image]:
    """Make the tile of each of `keys` in this process, by URI."""
    return {uri: tile(picture) for uri, picture in _pictures(keys)}


def tiles(uris: Iterable[str], keys_of: FindImages, tiles_of: MakeTiles = make_tiles) -> dict[str, Image.Image]:
    """Return square tiles of TILE_PX by URI, RGB. Later URIs are dropped beyond READ_BYTES."""
    return tiles_of(_affordable(uris, keys_of))


def shrink(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Make TILES for batches of images: the work of one task."""
    keys = (ListedImage(**row) for batch in batches for row in batch.to_pylist())
    yield pa.RecordBatch.from_pylist([{"uri": uri, "rgb": made.tobytes()} for uri, made in make_tiles(keys).items()], TILES)


def tiles_from_rows(rows: pa.Table) -> dict[str, Image.Image]:
    """Return tiles by URI from rows of TILES."""
    return {row["uri"]: Image.frombytes("RGB", (TILE_PX, TILE_PX), row["rgb"]) for row in rows.to_pylist()}


def tile(picture: Image.Image) -> Image.Image:
    """Return the middle of `picture` as a square of TILE_PX."""
    return ImageOps.fit(picture, (TILE_PX, TILE_PX))


def _affordable(uris: Iterable[str], keys_of: FindImages) -> list[ListedImage]:
    """Return the first images whose files together are not larger than READ_BYTES."""
    wanted = list(dict.fromkeys(uris))
    known = {key.uri: key for key in keys_of(wanted)}
    keys = [known[uri] for uri in wanted if uri in known]
    return keys[: sum(total <= READ_BYTES for total in accumulate(key.size or 0 for key in keys))]


def _pictures(keys: Iterable[ListedImage]) -> Iterator[tuple[str, Image.Image]]:
    for key, content in fetch(keys):
        picture = None if isinstance(content, FetchError) or not _is_what_its_name_says(key.uri, content) else small_photo(content)
        if picture is not None:
            yield key.uri, picture


def _is_what_its_name_says(uri: str, content: bytes) -> bool:
    """Return whether a taught photo has the content that it was taught with; all other names say nothing about it."""
    digest = taught_digest(uri)
    return digest is None or hashlib.sha256(content).hexdigest().startswith(digest)


def small_photo(content: bytes, even_if_cut: bool = False) -> Image.Image | None:
    """Decode one photo small; None if it cannot be decoded. `even_if_cut`: show the part of a truncated file that is there."""
    # Pillow knows this as a global only. Neither the driver nor a worker decodes anything else at this time.
    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, even_if_cut
    try:
        image = open_image(content)
        turn, conversion = turn_of(image, content), to_srgb(image, content)
        image = load_pixels(image, content, even_if_blank=True, draft_px=2 * PICTURE_PX)  # a 12-megapixel JPEG in an eighth of the time
        if image.mode in ("RGB", "RGBA", "L"):  # the others do not resize well
            image.thumbnail((2 * PICTURE_PX, 2 * PICTURE_PX))
        picture = upright(image, turn, conversion.mode if conversion else "RGB")
        picture.thumbnail((PICTURE_PX, PICTURE_PX))
        picture = convert(picture, conversion)
    except BROKEN:
        return None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before
    return picture


def as_webp(key: ListedImage) -> bytes | None:
    """Return one photo as a small WebP file; None if it is gone, has changed or cannot be decoded."""
    picture = small_photos([key.uri], lambda _: [key]).get(key.uri)
    if picture is None:
        return None
    content = io.BytesIO()
    picture.save(content, "WEBP", quality=75)
    return content.getvalue()


def data_uri(picture: Image.Image, quality: int = 75, effort: int = 4) -> str:
    """Return `picture` as WebP in a data URI; `effort` 0 to 6 makes it smaller."""
    content = io.BytesIO()
    picture.save(content, "WEBP", quality=quality, method=effort)
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode()


def sprite(squares: list[Image.Image]) -> str:
    """
    Put all `squares` (tiles) into one picture, TILE_COLUMNS in a row, within one size limit.

    Returns:
        A data URI of at most SPRITE_BYTES before base64, or "" if that cannot be reached.
    """
    if not squares:
        return ""
    rows = -(-len(squares) // TILE_COLUMNS)
    sheet = Image.new("RGB", (min(len(squares), TILE_COLUMNS) * TILE_PX, rows * TILE_PX), "white")
    for number, square in enumerate(squares):
        row, column = divmod(number, TILE_COLUMNS)
        sheet.paste(square, (column * TILE_PX, row * TILE_PX))
    for quality in QUALITIES:
        uri = data_uri(sheet, quality, SPRITE_EFFORT)
        if len(uri) * 3 // 4 <= SPRITE_BYTES:
            return uri
    return ""


def find_unchanged_since(created: float) -> FindImages:
    """
    Return a function that looks up images without a listing: local files by stat, objects by HEAD.

    It leaves out images that are gone or have changed since `created` (seconds since 1970): a report shows what its run saw. A taught
    photo is newer than its run: its content is compared with its name when it is read.
    """

    def keys_of(uris: list[str]) -> list[ListedImage]:
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            return [key for key in pool.map(lambda uri: _key(uri, created), uris) if key]

    return keys_of


def _key(uri: str, changed_before: float) -> ListedImage | None:
    try:
        found = find_image(uri)
    except (OSError, *S3_ERRORS, RegionError):
        return None
    return found[0] if found and (found[1] <= changed_before or taught_digest(uri)) else None
