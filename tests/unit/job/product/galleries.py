"""What `identify` reads of a run, written by hand: mean colours of plain pictures, so that every distance is known."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

RUN = "20260102T030405Z-abcd"


def picture(colour, kind="PNG", size=(60, 40)):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind)
    return buffer.getvalue()


def write_gallery(root, colours, run=RUN, components=3, parts=1, **about):
    """`colours`: [(label, (r, g, b))]. The axes of the PCA are red, green and blue, its centre is grey. The pictures are in `photos/`."""
    folder = root / "runs" / run
    (folder / "pca").mkdir(parents=True)
    rows = []
    for number, (label, colour) in enumerate(colours):
        path = root / "photos" / label / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(colour))
        scores = (np.array(colour) / 255 - 0.5)[:components]
        rows.append({"uri": f"file://{path}", "label": label, "pc": scores.tolist()})
    schema = pa.schema([("uri", pa.string()), ("label", pa.string()), ("pc", pa.list_(pa.float32()))])
    for part in range(parts):
        pq.write_table(pa.Table.from_pylist(rows[part::parts], schema), folder / "pca" / f"part-{part}.parquet")
    (folder / "pca" / "_SUCCESS").touch()
    np.savez(folder / "pca.npz", mean=np.full(3, 0.5), scale=np.ones(3), components=np.eye(3)[:, :components], eigenvalues=np.ones(3), n=3)
    manifest = {
        "run_id": run,
        "created_at": "2100-01-01T00:00:00+00:00",  # after the pictures
        "model": "mean_colour-v2",
        "fitted_by": run,
        "params": {"model": "mean_colour"},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest | about))
    (root / "latest.json").write_text(json.dumps({"run_id": run, "generation": 1}))
    return f"file://{root}"
