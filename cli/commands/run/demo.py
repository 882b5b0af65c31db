"""`fruitsctl demo`: the whole pipeline on a few photos, also on a machine without data and without a network."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from cli.photos import assets
from cli.photos.demo_data import CLASSES, IMAGES, DemoData, Origin, demo_data, fallback, plan_demo
from cli.settings.config import Settings, settings
from cli.settings.folders import local
from cli.targets.local.run import execute, java_for_spark, make_archive, plan_local
from cli.targets.runs.launch import new_run_id
from cli.ui import run_files
from cli.ui.output import emit, say
from cli.ui.summary import summary
from job.contract.locations import check_folder
from job.contract.params import Params
from job.contract.uris import from_text

WEIGHTS_MB, PHOTOS_MB = 9, 13  # the photos with the directory of their archive


def demo(
    folder: Annotated[str, typer.Argument(help="Receives photos and results.")] = "build/demo",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show which weights, photos and folders would be used; download and write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was used, the manifest and the report's path as JSON.")] = False,
) -> None:
    """Run the pipeline on 500 photos and write a report.

    Weights and photos come from FRUITS_ASSETS, an earlier call or the network. Without them the demo uses an untrained network
    and generated photos, and says so.
    """
    place = local(folder, "give a local folder")
    check_folder(str(place))
    config = settings()
    java_for_spark(config)  # fails before anything is downloaded
    if dry_run:
        preview(plan_demo(place, config), config, as_json)
        return
    data = demo_data(place, config)
    params = Params(
        input=from_text(str(data.photos)),
        output=from_text(str(data.output)),
        run_id=new_run_id(),
        model=data.model,
        weights=str(data.weights) if data.weights else None,
        cache=str(config.cache),
        target="local",
    )
    log = run_files.log_path(params.output, params.run_id)
    manifest = execute(plan_local(params, config, log), params, config)
    report = data.output / "runs" / params.run_id / "report.html"
    result = {
        "photos": str(data.photos),
        "output": str(data.output),
        "model": data.model,
        "report": str(report),
        "manifest": json.loads(manifest.to_json()),
    }
    emit(result, f"{summary(manifest, params, '--local')}\n\nOpen the report: {report}", as_json)
    make_archive(config)


def preview(data: DemoData, config: Settings, as_json: bool) -> None:
    """Say what a demo would use, and what it would download or generate."""
    weights = {
        Origin.ASSETS: f"from FRUITS_ASSETS, {config.assets}",
        Origin.EARLIER: f"downloaded before, {assets.cached(config.cache, assets.KERAS_WEIGHTS_URL)}",
        Origin.DOWNLOAD: f"download {WEIGHTS_MB} MB from {assets.KERAS_WEIGHTS_URL}",
        Origin.GENERATED: "none, random numbers from a seed",
    }
    photos = {
        Origin.ASSETS: f"copied from FRUITS_ASSETS, {config.assets}",
        Origin.EARLIER: "here from an earlier call",
        Origin.DOWNLOAD: f"download {PHOTOS_MB} MB from {assets.SAMPLE_URL}",
        Origin.GENERATED: "generated from a seed",
    }
    report = data.output / "runs" / "RUN_ID" / "report.html"
    lines = [
        "Dry run: nothing is started, downloaded or written",
        "",
        f"  model       {data.model}",
        f"  weights     {weights[data.weights_from]}",
        f"  photos      {IMAGES} of {CLASSES} labels in {data.photos}: {photos[data.photos_from]}",
        f"  OUTPUT      {data.output}",
        f"  report      {report}",
    ]
    result = {
        "model": data.model,
        "weights": data.weights_from,
        "photos": str(data.photos),
        "photos_from": data.photos_from,
        "output": str(data.output),
        "report": str(report),
    }
    if note := fallback(data, config):
        say(note)
    emit(result, "\n".join(lines), as_json)
