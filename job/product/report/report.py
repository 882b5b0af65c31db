"""
Write `runs/<run_id>/report.html`: one page about a run that needs no network and is smaller than MAX_BYTES.

Bounded whatever the run's size: see `review` (numbers) and `thumbnails` (pictures). Photos are read from INPUT as they are listed.
"""

from __future__ import annotations

import io
import json
import shlex
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from job.contract.errors import JobError, SetupError
from job.contract.filenames import describe_ignored
from job.contract.params import Params
from job.contract.records import STAGES, Manifest, counted
from job.contract.uris import is_s3, local_path, shown
from job.product.report import charts, review
from job.product.report.duplicates import COMPONENTS, NEAR, Duplicates, duplicates
from job.product.report.probe import RIDGE, Probe, measure_probe
from job.product.report.rejected import Rejected, first_rejects
from job.product.report.splits import ONE_IN, top_folders
from job.product.report.vega import bundle
from job.product.thumbnails import (
    TILE_COLUMNS,
    TILE_PX,
    FindImages,
    MakeTiles,
    data_uri,
    find_unchanged_since,
    make_tiles,
    small_photos,
    sprite,
    tiles,
)
from job.storage.folders import open_folder
from job.storage.lease import Lease
from job.storage.object_store import Folder

MAX_BYTES = 5_000_000
TABLE_ROWS = 300  # shown per table; the CSV has all
NAME_LENGTH = 100
CHOSEN = 8  # labels in colour at first
# What may fail in a report while the results are good. Anything else is a bug and must be visible.
ERRORS = (JobError, OSError, ImportError, pa.ArrowException)


def build(folder: Folder, manifest: Manifest, keys_of: FindImages, tiles_of: MakeTiles = make_tiles) -> tuple[str, dict[str, float]]:
    """
    Return the page and the manifest's field `identify` of a run whose `pca/` and `pca.npz` exist.

    `keys_of` finds photos in INPUT, `tiles_of` makes the map's pictures of them.

    Raises:
        one of ERRORS.
    """
    sample = review.read_sample(folder, manifest.run_id, manifest.counts["rows"])
    found = review.neighbours(sample)
    return page(folder, manifest, sample, found, keys_of, tiles_of), found.identify


def rebuild(output: str, run_id: str, cache: Path | None) -> None:
    """
    Write the report of a complete run in `output` (URI) again, under a lease: an erasure that ran meanwhile could not see what it holds.

    Raises:
        SetupError: there is no such complete run.
        LeaseError: another run or an erasure holds OUTPUT, or took it over.
        ERRORS: as `build`.
    """
    folder = open_folder(output)
    _manifest(folder, run_id)  # before a lease is written into an OUTPUT without this run
    with Lease.acquire(folder, f"report-{token_hex(4)}") as lease:  # not `run_id`: its own run may not be over
        rewrite(folder, run_id, cache, lease)


def rewrite(folder: Folder, run_id: str, cache: Path | None, lease: Lease) -> None:
    """
    Write the report again under a lease that is held already, and the manifest's field `identify` from the rows as they are.

    A photo that has changed since the run has no picture. Raises the errors of `rebuild`.
    """
    manifest = _manifest(folder, run_id)
    keys_of = find_unchanged_since(datetime.fromisoformat(manifest.created_at).timestamp() + 1)
    params = {**manifest.params, "cache": str(cache) if cache else None}
    html, identify = build(folder, replace(manifest, params=params), keys_of)
    lease.check()
    if identify != manifest.identify:
        folder.write(f"runs/{run_id}/manifest.json", replace(manifest, identify=identify).to_json().encode())
    folder.write(f"runs/{run_id}/report.html", html.encode())


def _manifest(folder: Folder, run_id: str) -> Manifest:
    stored = folder.read(f"runs/{run_id}/manifest.json")
    if stored is None:
        raise SetupError(f"there is no finished run `{run_id}` in `{shown(folder.uri)}`", "omit RUN_ID to use the newest run")
    return Manifest.from_json(stored.content)


def page(
    folder: Folder, manifest: Manifest, sample: review.Sample, found: review.Neighbours, keys_of: FindImages, tiles_of: MakeTiles
) -> str:
    """Return the HTML. Raises one of ERRORS."""
    ends = review.component_extremes(sample)
    points = list(range(min(len(sample.uris), review.POINTS)))
    named = [row for end in ends for row in (*end.low, *end.high)] + [row for c in found.confusions for row in (c.row, c.neighbour)]
    pictures = small_photos((sample.uris[row] for row in named), keys_of)
    squares = tiles((sample.uris[row] for row in points), keys_of, tiles_of)
    ratios = _ratios(folder, manifest.run_id)
    photo = {row: _photo(manifest, sample, row, pictures) for row in named}
    rejects = first_rejects(folder, manifest, keys_of)
    folders = top_folders(sample.uris, manifest.params["input"])
    probe = measure_probe(folder, manifest.model, sample, folders)
    alike = duplicates(sample.scores, folders)
    context = {
        "m": manifest,
        "stages": [(STAGES.get(name, name), stage) for name, stage in manifest.stages.items()],
        "seconds": sum(stage.seconds for stage in manifest.stages.values()),
        "sample": sample,
        "points": points,
        "found": found,
        "counts": _counts(sample),
        "rows": TABLE_ROWS,
        "ratios": ratios[:TABLE_ROWS],
        "cumulated": np.cumsum(ratios),
        "wrong_labels": sum(right < asked for _, asked, right in found.by_label),
        "ends": [(end.component, [photo[row] for row in end.low], [photo[row] for row in end.high]) for end in ends],
        "score": lambda row, component: sample.scores[row, component - 1],
        "confusions": [(c, photo[c.row], photo[c.neighbour]) for c in found.confusions],
        "counted": counted,
        "probe": probe,
        "ridge": RIDGE,
        "one_in": ONE_IN,
        "alike": alike,
        "near": NEAR,
        "fewest": COMPONENTS,
        "ignored": describe_ignored(manifest.ignored),
        "rejects": _rejects(manifest, rejects),
        "command": command(manifest.params),
        "local": not is_s3(manifest.params["output"]),
        "input": _shown(manifest.params["input"]),
        "output": _shown(manifest.params["output"]),
        "charts": _charts(manifest, sample, found, ratios) | _charts_of_measures(probe, alike),
        "vega": bundle(Path(manifest.params["cache"]) if manifest.params.get("cache") else None),
        "tile_px": TILE_PX,
    }
    in_sprite = [sample.uris[row] for row in points if sample.uris[row] in squares]
    sheet = sprite([squares[uri] for uri in in_sprite])
    made = _render(context | {"sheet": sheet, "map": _map(manifest, sample, points, in_sprite if sheet else [])})
    if len(made.encode()) >= MAX_BYTES:
        made = _render(context | {"sheet": "", "map": _map(manifest, sample, points, [])})
    return made


def command(params: dict[str, Any]) -> str:
    """Return the `fruitsctl run` command that repeats the run, quoted for a shell. The target makes no difference to the result."""
    where = "--serverless" if is_s3(params["output"]) else "--local"
    return shlex.join(
        ["fruitsctl", "run", _shown(params["input"]), _shown(params["output"]), where, *Params.from_manifest(params).options()]
    )


def _charts(manifest: Manifest, sample: review.Sample, found: review.Neighbours, ratios: npt.NDArray[np.float64]) -> dict[str, Any]:
    made = {
        "scree": charts.scree(ratios, manifest.k, max(20, min(100, manifest.k * 2))),
        "stages": charts.bars([(STAGES.get(name, name), stage.seconds) for name, stage in manifest.stages.items()], "seconds", ",.1f"),
        "map": charts.scatter(),
    }
    counts = _counts(sample)
    if counts[0][1] > counts[-1][1]:  # otherwise the sentence above is enough
        made["labels"] = charts.bars(counts, "photos")
    shares = [(label, right / asked) for label, asked, right in found.by_label if right < asked]
    if shares:
        made["accuracy"] = charts.bars(shares, "nearest neighbour has the same label", ".0%", top=1)
    return made | {"palette": charts.PALETTE, "shapes": charts.SHAPES}


def _charts_of_measures(probe: Probe | None, alike: Duplicates) -> dict[str, Any]:
    made = {}
    if probe:
        made["probe"] = charts.accuracy_by_components(probe.by_components, probe.features, probe.dim)
    if any(leak.share for leak in alike.leaks):
        rows = [(f"{leak.folder} → {leak.other}", leak.share) for leak in alike.leaks]
        made["leaks"] = charts.bars(rows, "photos with a near-duplicate in the other folder", ".0%", top=1)
    return made


def _counts(sample: review.Sample) -> list[tuple[str, int]]:
    """Return labels and their number of images, most first."""
    return sorted(((label or "(none)", count) for label, count in sample.counts.items()), key=lambda row: (-row[1], row[0]))


def _map(manifest: Manifest, sample: review.Sample, points: list[int], in_sprite: list[str]) -> dict[str, Any]:
    """Return the data of the page's map: scores, label, name and tile (-1: no picture) of each point."""
    numbers = {uri: number for number, uri in enumerate(in_sprite)}
    labels = sorted({sample.labels[row] or "" for row in points}, key=str.casefold)
    places = {label: place for place, label in enumerate(labels)}
    rows = [
        [
            [round(float(score), 3) for score in sample.scores[row, : review.COMPONENTS]],
            places[sample.labels[row] or ""],
            name_of(manifest, sample.uris[row]),
            numbers.get(sample.uris[row], -1),
        ]
        for row in points
    ]
    return {"labels": labels, "points": rows, "chosen": _chosen(labels), "tile": TILE_PX, "columns": TILE_COLUMNS}


def _chosen(labels: list[str]) -> list[int]:
    """Return the indices of CHOSEN labels whose first words differ, so that not all of them are apples."""
    first = {label.partition(" ")[0]: place for place, label in reversed(list(enumerate(labels)))}
    places = sorted(first.values())
    others = [place for place in range(len(labels)) if place not in places]
    spread = places[:: max(1, len(places) // CHOSEN)][:CHOSEN]
    return sorted((spread + others)[:CHOSEN])


def _rejects(manifest: Manifest, rejects: dict[str, list[Rejected]]) -> list[tuple[str, int, list[dict[str, Any]]]]:
    """Return reason, number of images and first images, most frequent first."""
    first = {
        reason: [{"name": name_of(manifest, one.uri), "src": data_uri(one.picture) if one.picture else ""} for one in found]
        for reason, found in rejects.items()
    }
    return [(reason, count, first.get(reason, [])) for reason, count in sorted(manifest.rejects.items(), key=lambda item: -item[1])]


def _photo(manifest: Manifest, sample: review.Sample, row: int, pictures: dict[str, Image.Image]) -> dict[str, Any]:
    picture = pictures.get(sample.uris[row])
    return {
        "row": row,
        "label": sample.labels[row] or "(none)",
        "name": name_of(manifest, sample.uris[row]),
        "src": data_uri(picture) if picture else "",
    }


def name_of(manifest: Manifest, uri: str) -> str:
    """Return the path below INPUT, shortened to its end if it is long."""
    name = uri.removeprefix(manifest.params["input"].rstrip("/") + "/")
    return name if len(name) <= NAME_LENGTH else "…" + name[1 - NAME_LENGTH :]


def _ratios(folder: Folder, run_id: str) -> npt.NDArray[np.float64]:
    """
    Return the share of variance by component, (r,).

    Raises:
        SetupError: the run has no `pca.npz`.
    """
    stored = folder.read(f"runs/{run_id}/pca.npz")
    if stored is None:
        raise SetupError(f"there is no `runs/{run_id}/pca.npz` in `{shown(folder.uri)}`", "run `fruitsctl run` again")
    with np.load(io.BytesIO(stored.content)) as arrays:
        eigenvalues: npt.NDArray[np.float64] = arrays["eigenvalues"]
    ratios: npt.NDArray[np.float64] = eigenvalues / eigenvalues.sum()
    return ratios


def _shown(uri: str) -> str:
    return uri if is_s3(uri) else local_path(uri)


def _render(context: dict[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    templates = Environment(
        loader=PackageLoader("job.product.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )

    def as_json(value: Any) -> Markup:
        return Markup(json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"))  # noqa: S704 - `</script>` cannot end it

    def script(text: str) -> Markup:
        return Markup(text.replace("</script", "<\\/script"))  # noqa: S704 - our own files

    templates.filters |= {"as_json": as_json, "script": script}
    return templates.get_template("report.html.j2").render(context)
