"""The files of a complete run as the job leaves them, made of photos and given scores, without Spark."""

import io
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from job.contract.records import Manifest, Stage
from job.storage.schema import FEATURES

RUN = "20260102T030405Z-abcd"


def write_run(output: Path, photos: Path, uris, labels, scores, rejects=(), ignored=None, **about) -> Manifest:
    """`scores` (n, k). `rejects` are (uri, stage, reason)."""
    scores = np.asarray(scores, np.float32)
    run = output / "runs" / RUN
    (run / "pca").mkdir(parents=True)
    table = pa.table({"uri": list(uris), "label": pa.array(labels, pa.string()), "pc": pa.array(list(scores), pa.list_(pa.float32()))})
    half = len(table) // 2
    pq.write_table(table.slice(0, half), run / "pca" / "part-0.parquet")  # a large run has many
    pq.write_table(table.slice(half), run / "pca" / "part-1.parquet")
    (run / "pca" / "_SUCCESS").touch()
    buffer = io.BytesIO()
    np.savez(buffer, eigenvalues=scores.var(axis=0)[np.argsort(-scores.var(axis=0))].astype(np.float64) + 1e-9)
    (run / "pca.npz").write_bytes(buffer.getvalue())
    reasons = [reason for _, _, reason in rejects]
    if rejects:
        write_rejects(output / "rejects", rejects)
    manifest = Manifest(
        run_id=RUN,
        created_at="2026-01-02T03:04:05+00:00",
        generation=1,
        params={"input": f"file://{photos}", "output": f"file://{output}", "run_id": RUN, "components": scores.shape[1]},
        model="mean_colour-v2",
        versions={"python": "3.11.7"},
        counts={
            "listed": len(table) + len(rejects),
            "ignored": sum((ignored or {}).values()),
            "new": len(table),
            "embedded": len(table),
            "rejected": len(rejects),
            "removed": 0,
            "rows": len(table),
            "labels": len(set(labels)),
        },
        rejects={reason: reasons.count(reason) for reason in reasons},
        ignored=ignored or {},
        stages={"embed": Stage(2.0, len(table)), "fit": Stage(0.5, len(table))},
        k=scores.shape[1],
        variance=0.9,
        fitted_by=RUN,
        **about,
    )
    (run / "manifest.json").write_text(manifest.to_json())
    return manifest


def write_rejects(path: Path, rejects):
    from deltalake import write_deltalake

    columns = {"uri": [], "stage": [], "reason": []}
    for row in rejects:
        for name, value in zip(columns, row, strict=True):
            columns[name].append(value)
    write_deltalake(str(path), pa.table(columns | {"model": ["mean_colour-v2"] * len(rejects)}))


def copy_photos(sample: Path, target: Path, labels, each=3):
    """[(uri, label)] of photos below `target`."""
    found = []
    for label in labels:
        (target / label).mkdir(parents=True)
        for path in sorted((sample / "Test" / label).iterdir())[:each]:
            shutil.copyfile(path, target / label / path.name)
            found.append((f"file://{target / label / path.name}", label))
    return found


def write_features(path: Path, uris, features, model="mean_colour-v2"):
    """Add one file to the table at `path`; `features` (n, d)."""
    from deltalake import write_deltalake

    columns = {"uri": list(uris), "model": [model] * len(uris), "embedding": list(np.asarray(features, np.float32))}
    empty = {field.name: pa.nulls(len(uris), field.type) for field in FEATURES if field.name not in columns}
    rows = pa.table({name: (columns | empty)[name] for name in FEATURES.names}, FEATURES)
    write_deltalake(str(path), rows, mode="append")
