"""`fruitsctl run`: what the user wants as Params, sent to a backend, and what came of it as a summary."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated

import typer

from cli import java, jvm_archive, results, user
from cli.backends import compose, local
from cli.commands import run_eks, run_serverless
from cli.commands.choices import Engine, Model
from cli.commands.target_options import RUN, Target, chosen, given, refuse_foreign
from cli.config import Settings, environment, settings
from cli.errors import FruitsError, UsageError
from cli.folders import local as local_file
from cli.java import Java, say_passed_over
from cli.output import Stages, emit, progress_bar
from job.listing_rows import ignored_in_words
from job.params import DEFAULT_COMPONENTS, Arguments, Params, RangeError
from job.places import check_apart, check_input_folder, check_output_folder
from job.records import Manifest, counted, stage_title
from job.uris import from_text, is_s3, join, local_path

if TYPE_CHECKING:
    from boto3.session import Session

NO_HINTS: Mapping[str, str] = {}
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
        check_apart(*places)
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
        PlaceError: INPUT is on this machine and cannot be read, or OUTPUT is and cannot be written.
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
    from cli.commands.run_preview import in_words, preview

    session = results.session() if is_s3(params.input) or is_s3(params.output) else None
    with credentials_for(session) as extra:
        found = preview(todo, merged(environment(), extra))
    data = asdict(todo) | {"log": str(todo.log), "input": params.input, "output": params.output, "preview": asdict(found)}
    emit(data, in_words(found, params, str(todo.log)), as_json)


def execute(todo: local.Plan, params: Params, config: Settings, hints: Mapping[str, str] = NO_HINTS) -> Manifest:
    """
    Run the job with its stages on stderr, and return what it published. `hints`, by kind of the outcome, come before the job's own.

    Raises:
        FruitsError: the run failed; with the job's own exit code.
    """
    session = results.session() if is_s3(params.input) or is_s3(params.output) else None
    with credentials_for(session) as extra, Stages() as stages:
        outcome = local.start(
            todo,
            params.run_id,
            merged(environment(), extra),
            stages.show,
        )
    log = results.keep_log(todo.log, params.output, params.run_id, session)
    if outcome.code:
        raise FruitsError(outcome.message, hints.get(outcome.kind) or outcome.hint or f"see the log {log}", outcome.code)
    results.remember(params.output, config)
    return Manifest.from_json(results.read(join(params.output, "runs", params.run_id, "manifest.json"), session))


def plan(params: Params, config: Settings, submit: bool) -> local.Plan:
    """
    Raises:
        UsageError: this machine has no Spark, or no Java, for it.
    """
    log = results.log_path(params.output, params.run_id)
    if submit:
        if config.spark_home is None:
            raise UsageError("SPARK_HOME is not set", "use --local or --compose: --submit works inside the image only")
        user.require_name()
        return local.plan_submit(params, config.spark_home, log)
    return plan_local(params, config, log)


def plan_local(arguments: Arguments, config: Settings, log: Path, module: str = "job") -> local.Plan:
    """
    Return the plan of a Python `module` on this machine's Spark, whose JVM starts from an archive where there is one.

    Raises:
        UsageError: this machine has no Spark, or no Java, for it.
    """
    found = java_for_spark(config)
    say_passed_over(config.java_home, found)
    jvm = {} if config.jvm_options else jvm_archive.options_for(jvm_archive.archive_of(config.cache, found.home))
    return local.plan(arguments, found.home, config.driver_memory, log, jvm, module)


def make_archive(config: Settings) -> None:
    """Let the next run's JVM start from an archive, unless the user has options for it."""
    if not config.jvm_options:
        jvm_archive.make_in_background(jvm_archive.archive_of(config.cache, java_for_spark(config).home))


def java_for_spark(config: Settings) -> Java:
    """
    The Java for a Spark of this installation.

    Raises:
        UsageError: this machine has no Spark, no Java, or no name of this user for it.
    """
    if find_spec("pyspark") is None:
        raise UsageError("the extra `job` is not installed", "run `uv tool install '.[job]'` in the checkout")
    user.require_name()
    return java.java_for_spark(config.java_home)


def credentials_for(session: Session | None) -> AbstractContextManager[dict[str, str | None]]:
    """What the job's environment needs to reach S3 as `session` does; nothing without one."""
    if session is None:
        return nullcontext({})
    from cli.credentials import job_environment

    return job_environment(session)


def with_weights(params: Params, config: Settings) -> Params:
    """`params` with the official weights: from FRUITS_ASSETS, the cache, or downloaded once."""
    from cli.assets import weights

    with progress_bar("Download weights", "bytes") as progress:
        return replace(params, weights=str(weights(config.assets, config.cache, progress)))


def merged(base: dict[str, str], extra: Mapping[str, str | None]) -> dict[str, str]:
    """`base` with `extra` set; None takes a variable away."""
    values = {**base, **extra}
    return {name: value for name, value in values.items() if value is not None}


def summary(manifest: Manifest, params: Params, where: str) -> str:
    """What a person wants to know after a run, in a dozen lines; `where` are the options of the target that run it again."""
    counts, stages = manifest.counts, manifest.stages
    seconds = sum(stage.seconds for stage in stages.values())
    embedded = f"{counts['embedded']:,} embedded now" if counts["new"] else "nothing new, nothing embedded"
    lines = [
        f"Run {manifest.run_id}: finished in {seconds:.0f} s",
        "",
        f"  images      {counts['listed']:,} listed, {embedded}, {counts['rows']:,} in the result, {counted(counts['labels'], 'labels')}",
    ]
    others = {
        "rejected": ", ".join(f"{count} {reason}" for reason, count in sorted(manifest.rejects.items(), key=lambda item: -item[1])),
        "ignored": ignored_in_words(manifest.ignored),
    }
    lines += [f"  {name:<11} {counts[name]:,}: {text}" for name, text in others.items() if text]
    if counts["removed"]:
        lines.append(f"  removed     {counts['removed']:,} no longer in INPUT, kept in features/ but not in this result")
    source = "" if manifest.fitted_by == manifest.run_id else f", fitted by {manifest.fitted_by}"
    if params.fit_on:
        source = f", fitted on {counted(stages['fit'].images, 'images')} of `{params.fit_on}`"
    lines.append(f"  PCA         k = {manifest.k}, {manifest.variance:.1%} of the variance{source}")
    lines += [f"  note        {note}" for note in manifest.notes]
    lines += ["", "  stage            seconds   images/s"]
    for name, stage in stages.items():
        rate = f"{stage.images_per_second:>10,.0f}" if stage.images else ""
        lines.append(f"  {stage_title(name):<17}{stage.seconds:>7.1f} {rate}".rstrip())
    here = shown(params.output)
    lines.append("")
    if manifest.identify is not None:  # known by the report; why there is none is a note
        # Of the other targets OUTPUT is not remembered, and that of the local stack is not reached from outside.
        opens = {"--local": "   (fruitsctl report opens it)", "--compose": ""}.get(where, f"   (fruitsctl report --output {here} opens it)")
        lines.append(f"  report      {here}/runs/{manifest.run_id}/report.html{opens}")
    lines += [
        f"  matrix      {here}/runs/{manifest.run_id}/csv/   (uri, label, pc1 … pc{manifest.k}; the same as Parquet in pca/)",
        f"  variance    {here}/runs/{manifest.run_id}/variance.csv",
        f"  features    {here}/features/   (Delta table, one row per image)",
        "",
        "Next: add photos and run again; only new photos are embedded:",
        " ".join([f"  fruitsctl run {shlex.quote(shown(params.input))} {shlex.quote(here)} {where}", *map(shlex.quote, params.options())]),
    ]
    return "\n".join(lines)


def shown(uri: str) -> str:
    """A local path below the working directory as the user would type it."""
    if is_s3(uri):
        return uri
    path = os.path.relpath(local_path(uri))
    return local_path(uri) if path.startswith("..") else path
