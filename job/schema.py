"""The schema on each arrow between stages, as Spark DDL."""

from __future__ import annotations

# work/<run_id>/missing: what is to embed. `id` numbers the rows, so that a chunk is a range of it.
MISSING = "uri string, etag string, size bigint, label string, id bigint"

# out of embed_images; the store adds model, run_id and embedded_at. One row per image that could be read.
EMBEDDED = "uri string, etag string, label string, width int, height int, embedding array<float>"

# the Delta table features/: one row per image and model
FEATURES = (
    "uri string, etag string, label string, width int, height int, model string, "
    "embedding array<float>, run_id string, embedded_at timestamp"
)

# the Delta table rejects/: what could not be listed, fetched or decoded, and why
REJECTS = "uri string, etag string, label string, model string, stage string, reason string, run_id string, rejected_at timestamp"

# a chunk's second moments, folded by one task: float64 bytes of sum (d) and of the Gram matrix (d, d)
MOMENTS = "chunk string, n bigint, sum binary, gram binary"

# runs/<run_id>/pca/
SCORES = "uri string, label string, pc array<float>"
