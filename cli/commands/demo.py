"""`fruitsctl demo`: the whole pipeline on a few photos, also on a machine without data and without a network."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Annotated

import typer

from cli.commands.run import execute, java_for_spark, plan, summary
from cli.config import settings
from cli.output import emit
from cli.photos.demo_data import demo_data
from job.params import Params
from job.uris import from_text


def demo(
    folder: Annotated[Path, typer.Argument(help="Receives photos and results.")] = Path("build/demo"),
    as_json: Annotated[bool, typer.Option("--json", help="Print what was used, the manifest and the report's path as JSON.")] = False,
) -> None:
    """Run the pipeline on 500 photos and write a report.

    Weights and photos come from FRUITS_ASSETS, an earlier call or the network. Without them the demo uses an untrained network
    and generated photos, and says so.
    """
    config = settings()
    java_for_spark(config)  # fails before anything is downloaded
    data = demo_data(folder, config)
    params = Params(
        input=from_text(str(data.photos)),
        output=from_text(str(data.output)),
        run_id=f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{token_hex(2)}",
        model=data.model,
        weights=str(data.weights) if data.weights else None,
        cache=str(config.cache),
    )
    manifest = execute(plan(params, config, submit=False), params, config)
    report = data.output / "runs" / params.run_id / "report.html"
    result = {
        "photos": str(data.photos),
        "output": str(data.output),
        "model": data.model,
        "report": str(report),
        "manifest": json.loads(manifest.to_json()),
    }
    emit(result, f"{summary(manifest, params, '--local')}\n\nOpen the report: {report}", as_json)
