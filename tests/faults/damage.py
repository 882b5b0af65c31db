"""What a fault has done: photos and an OUTPUT on disk in, what is lost, doubled or half-visible out. Reads as users do, without Spark."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
from deltalake import DeltaTable

from job.imaging.decode import decode_image
from job.imaging.networks import MeanColour

FILES = ("pca.npz", "variance.csv", "pca_model/data", "pca_model/metadata", "report.html")


@dataclass(frozen=True)
class Damage:
    lost: int
    doubled: int


def half_visible(output: Path) -> int:
    """Runs that a reader of `output` finds, by its manifest or by latest.json, and that are not whole."""
    visible = {manifest.parent for manifest in output.glob("runs/*/manifest.json")}
    latest = output / "latest.json"
    if latest.exists():
        visible.add(output / "runs" / json.loads(latest.read_text())["run_id"])
    return sum(not is_whole(run) for run in visible)


def is_whole(run: Path) -> bool:
    try:
        rows = json.loads((run / "manifest.json").read_text())["counts"]["rows"]
    except (FileNotFoundError, ValueError):
        return False
    found = {len(matrix_uris(run)), ds.dataset(run / "pca").count_rows()}
    return found == {rows} and all((run / name).exists() for name in FILES)


def matrix_uris(run: Path) -> list[str]:
    uris = []
    for part in sorted((run / "csv").glob("*.csv")):
        with part.open(newline="", encoding="utf-8") as file:
            uris += [row[0] for row in list(csv.reader(file))[1:]]
    return uris


def table_of(output: Path, name: str) -> list[dict[str, object]]:
    """The rows of one Delta table, as they are now."""
    files = DeltaTable(str(output / name)).file_uris()
    rows: list[dict[str, object]] = ds.dataset(files).to_table().to_pylist() if files else []
    return rows


def damage(output: Path, run_id: str, photos: Mapping[str, bytes]) -> Damage:
    """Of `photos` (URI to content), embedded by `mean_colour`, after the run `run_id`."""
    features = table_of(output, "features")
    embedded = {row["uri"]: np.float32(row["embedding"]) for row in features}  # type: ignore[arg-type]
    published = matrix_uris(output / "runs" / run_id)
    network, lost = MeanColour(), 0
    for uri in photos:
        right = uri in embedded and np.array_equal(embedded[uri], network(decode_image(photos[uri], network.size_px).pixels))
        lost += not right or uri not in published
    return Damage(lost, len(features) - len(embedded) + len(published) - len(set(published)))
