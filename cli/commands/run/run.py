"""`fruitsctl run`: what the user wants as Params, sent to a target, and what came of it as a summary."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection
from dataclasses import asdict
from datetime import UTC, datetime
from secrets import token_hex
from typing import Annotated

import typer

from cli.errors import UsageError
from cli.settings.config import Settings, environment, settings
from cli.settings.folders import local as local_file
from cli.targets import compose
from cli.targets.emr_eks import run as run_eks
from cli.targets.emr_serverless import run as run_serverless
from cli.targets.local import process as local
from cli.targets.local.run import NO_HINTS, credentials_for, execute, make_archive, merged, plan, with_weights
from cli.targets.options import RUN, Target, chosen, given, refuse_foreign
from cli.ui import run_files
from cli.ui.choices import Engine, Model
from cli.ui.output import emit
from cli.ui.summary import shown, summary
from job.contract.locations import check_input_folder, check_no_overlap, check_output_folder
from job.contract.params import DEFAULT_COMPONENTS, Params, RangeError
from job.contract.uris import from_text, is_s3, local_path

HINTS_OF_THE_STACK = {"NoPhotosError": "start the stack with your photos: PHOTOS=./photos docker compose up"}


def run(
    context: typer.Context,
    input: Annotated[  # noqa: A002
        str | None, typer.Argument(metavar="INPUT", help="Folder or s3://bucket/prefix with one sub-folder per label. [or fruits.toml]")
    ] = None,
    output: Annotated[
        str | None, typer.Argument(metavar="OUTPUT", help="Folder or s3://bucket/prefix that receives features and runs. [or fruits.toml]")
    ] = None,
    local_: Annotated[bool, typer.Option("--local", help="Run on this machine, without Docker.")] = False,
    compose_: Annotated[bool, typer.Option("--compose", help="Run in the local stack of docker-compose.yml.")] = False,
    submit: Annotated[bool, typer.Option("--submit", help="Run by spark-submit of SPARK_HOME, inside the image.")] = False,
    serverless: Annotated[bool, typer.Option("--serverless", help="Run on EMR Serverless, in the European Union.")] = False,
    eks: run_eks.Eks = False,
    components: Annotated[int | None, typer.Option(min=1, help=f"Principal components to keep. [default: {DEFAULT_COMPONENTS}]")] = None,
    variance: Annotated[
        float | None, typer.Option(help="Keep as many components as explain this share of the variance, for example 0.90.")
    ] = None,
    standardize: Annotated[bool, typer.Option("--standardize", help="Scale every feature to unit variance first.")] = False,
    fit_on: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Fit the PCA on these labels or folders only; project all photos.")
    ] = None,
    pca: Annotated[str | None, typer.Option(metavar="RUN_ID", help="Use the PCA of this run and fit none.")] = None,
    model: Annotated[Model, typer.Option(help="Network that computes the features.")] = Params.model,
    engine: Annotated[Engine, typer.Option(help="Library that runs the network; tensorflow is the reference and slower.")] = Params.engine,
    weights: Annotated[
        str | None, typer.Option(metavar="FILE", help="With --local: Keras HDF5 file to use instead of the official one.")
    ] = None,
    max_reject_ratio: Annotated[float, typer.Option(help="Fail if a larger share of the images cannot be read.")] = Params.max_reject_ratio,
    retry_rejects: Annotated[bool, typer.Option("--retry-rejects", help="Try again what an earlier run could not decode.")] = False,
    content_hash: Annotated[
        bool, typer.Option("--content-hash", help="With --local: find changed files by content, not by size and time.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="For a try: take only N photos, the first of each label by name, then the second of each, and so on."
            " A run without it continues with the rest.",
        ),
    ] = None,
    chunk_images: Annotated[int | None, typer.Option(min=1, help="Images per commit. [default: one or two minutes' worth]")] = None,
    keep_runs: Annotated[int, typer.Option(min=1, help="Older published runs are removed.")] = Params.keep_runs,
    lease_seconds: Annotated[float, typer.Option(hidden=True)] = Params.lease_seconds,
    run_id: Annotated[str | None, typer.Option(hidden=True)] = None,
    detach: Annotated[bool, typer.Option("--detach", help="With --serverless or --eks: send the run and do not wait.")] = False,
    max_cost: run_serverless.MaxCost = None,
    executors: run_serverless.Executors = None,
    executor_memory: run_serverless.ExecutorMemory = None,
    images: run_serverless.Images = None,
    deadline: run_serverless.Deadline = None,
    timeout: run_serverless.Timeout = None,
    attempts: run_serverless.Attempts = 1,
    virtual_cluster: run_eks.VirtualCluster = None,
    execution_role: run_eks.ExecutionRole = None,
    image: run_eks.Image = None,
    log_group: run_eks.LogGroup = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --serverless: create a missing application without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what the run would find and do; start and send nothing.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the manifest as JSON, with --dry-run the command line or the request.")
    ] = False,
) -> None:
    """Embed the photos that are new, fit a PCA, publish the matrix.

    An option that the chosen target does not take is an error.
    """
    flags = {Target.LOCAL: local_, Target.COMPOSE: compose_, Target.SUBMIT: submit, Target.SERVERLESS: serverless, Target.EKS: eks}
    refuse_foreign(context, chosen(flags), RUN)
    config = settings()
    source, target = input or config.input, output or config.output
    if not submit:  # the command line of the stack, which names every option
        refuse_unused(given(context), source, model)

    own_weights = weights_file(weights) if weights else None

    def make_params(source: str, target: str) -> Params:
        places = from_text(source), from_text(target)
        check_no_overlap(*places)
        try:
            return Params(
                input=places[0],
                output=places[1],
                run_id=run_id or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{token_hex(2)}",
                model=model,
                engine=engine,
                weights=own_weights,
                cache=str(config.cache),
                components=components,
                variance=variance,
                standardize=standardize,
                fit_on=fit_on,
                pca=pca,
                limit=limit,
                chunk_images=chunk_images,
                max_reject_ratio=max_reject_ratio,
                retry_rejects=retry_rejects,
                content_hash=content_hash,
                keep_runs=keep_runs,
                lease_seconds=lease_seconds,
            )
        except RangeError as error:
            raise UsageError(str(error), error.hint) from error

    if serverless:
        wishes = run_serverless.Wishes(
            detach, executors, executor_memory, images, deadline, timeout, attempts, max_cost, yes=yes, dry_run=dry_run, as_json=as_json
        )
        run_serverless.run(make_params, source, target, config, wishes)
        return
    if source is None or target is None:
        raise UsageError("no INPUT and OUTPUT given", "add both, or set them in fruits.toml with `fruitsctl init`")
    params = make_params(source, target)
    if eks:
        wanted = run_eks.Wanted(virtual_cluster, execution_role, image, log_group, executors, attempts)
        run_eks.run_eks(params, config, wanted, dry_run, detach, as_json)
        return
    start(params, config, compose_, submit, dry_run, as_json)


def refuse_unused(options: Collection[str], source: str | None, model: str) -> None:
    """Raises UsageError if one of `options`, the parameters on the command line, has no effect on this run."""
    if "images" in options and "deadline" not in options:
        raise UsageError("`--images` is given without `--deadline`", "add --deadline MINUTES, or remove --images")
    if "content_hash" in options and source and is_s3(from_text(source)):
        raise UsageError(f"`--content-hash` cannot be used with `{source}`", "remove it: S3 has an ETag for each photo")
    for option in ("weights", "engine"):
        if option in options and model == "mean_colour":
            raise UsageError(f"`--{option}` cannot be used with `--model {model}`", "remove it: this model is not a network")


def weights_file(text: str) -> str:
    """Return the absolute path of the file `text`. Raises UsageError if it is not a file here, or cannot be read."""
    hint = "check the path, or omit --weights to use the official file"
    path = local_file(text, hint).resolve()
    if not path.is_file():
        raise UsageError(f"`{path}` is a folder" if path.is_dir() else f"there are no weights at `{path}`", hint)
    if not os.access(path, os.R_OK):
        raise UsageError(f"cannot read `{path}`: Permission denied", hint)
    return str(path)


def start(params: Params, config: Settings, compose_: bool, submit: bool, dry_run: bool, as_json: bool) -> None:
    """
    On this machine, in the local stack or inside the image.

    Raises:
        LocationError: INPUT is on this machine and cannot be read, or OUTPUT is and cannot be written.
        FruitsError: something is missing, or the run failed; with the job's own exit code.
    """
    if compose_:
        inside = compose.plan(params, compose.program(), as_json, terminal=sys.stdin.isatty() and sys.stdout.isatty())
        if dry_run:
            compose.require_file()
            emit(asdict(inside), inside.as_shell(), as_json)
            return
        raise typer.Exit(compose.start(inside))
    if not is_s3(params.input):
        check_input_folder(local_path(params.input))  # before weights are downloaded and the log is written to OUTPUT
    if not is_s3(params.output):
        check_output_folder(shown(params.output))
    if params.model == "mobilenet_v2" and params.weights is None and not dry_run:
        params = with_weights(params, config)
    todo = plan(params, config, submit)
    if dry_run and submit:
        emit(asdict(todo) | {"log": str(todo.log)}, todo.as_shell(), as_json)
        return
    if dry_run:
        show(todo, params, as_json)
        return
    manifest = execute(todo, params, config, HINTS_OF_THE_STACK if submit else NO_HINTS)
    emit(json.loads(manifest.to_json()), summary(manifest, params, "--compose" if submit else "--local"), as_json)
    if not submit:
        make_archive(config)


def show(todo: local.Plan, params: Params, as_json: bool) -> None:
    """
    What a run on this machine would find and do.

    Raises:
        FruitsError: INPUT or OUTPUT cannot be read.
    """
    from cli.targets.local.preview import in_words, preview

    session = run_files.session() if is_s3(params.input) or is_s3(params.output) else None
    with credentials_for(session) as extra:
        found = preview(todo, merged(environment(), extra))
    data = asdict(todo) | {"log": str(todo.log), "input": params.input, "output": params.output, "preview": asdict(found)}
    emit(data, in_words(found, params, str(todo.log)), as_json)
