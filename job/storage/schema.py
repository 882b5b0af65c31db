"""Define the schemas of the data between stages."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

# a listed image; without a size it is archived
LISTED = pa.schema([("uri", pa.string()), ("etag", pa.string()), ("size", pa.int64()), ("label", pa.string())])

# a listing: images, what could not be listed (`problem`), and counts of ignored `files` by `suffix`
FOUND = pa.schema([*LISTED, ("problem", pa.string()), ("suffix", pa.string()), ("files", pa.int64())])

# Returned by an embedding task: the file that it wrote (name, rows, size in bytes), and one row per rejected image.
WRITTEN = pa.schema(
    [
        ("name", pa.string()),
        ("rows", pa.int64()),
        ("size", pa.int64()),
        *((name, pa.string()) for name in ("uri", "etag", "label", "stage", "reason")),
    ]
)

_EMBEDDED = [
    ("uri", pa.string()),
    ("etag", pa.string()),
    ("label", pa.string()),
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("embedding", pa.list_(pa.field("element", pa.float32()))),
]
_TIME = pa.timestamp("us", tz="UTC")  # without a time zone the table would need readers of version 3

# from embed_batches: one row per image that could be read
EMBEDDED = pa.schema(_EMBEDDED)

# the Delta table features/: one row per image and model
FEATURES = pa.schema([*_EMBEDDED[:5], ("model", pa.string()), _EMBEDDED[5], ("run_id", pa.string()), ("embedded_at", _TIME)])

# the Delta table rejects/: what could not be listed, fetched or decoded, and why
REJECTS = pa.schema(
    [*((name, pa.string()) for name in ("uri", "etag", "label", "model", "stage", "reason", "run_id")), ("rejected_at", _TIME)]
)

# second moments of some rows: float64 bytes of sum (d) and of the Gram matrix (d, d)
MOMENTS = pa.schema([("n", pa.int64()), ("sum", pa.binary()), ("gram", pa.binary())])

# runs/<run_id>/pca/
SCORES = pa.schema([("uri", pa.string()), ("label", pa.string()), ("pc", pa.list_(pa.field("element", pa.float32())))])


def only(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """Return `schema` with the columns `names`, in their order."""
    return pa.schema([schema.field(name) for name in names])
