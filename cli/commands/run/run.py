"""`fruitsctl run`: what the user wants as Params and the options of a target; `cli.targets` does the rest."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer

from cli.errors import UsageError
from cli.settings.config import Settings, settings
from cli.settings.folders import local as local_file
from cli.targets.base import Target
from cli.targets.emr.request import check_run_id
from cli.targets.options import FEATURES, OUTPUT, PCA, RELIABILITY, option, takes
from cli.targets.registry import chosen, options_of, parameters, taken_by
from cli.targets.runs.launch import launch, new_run_id
from cli.ui.choices import Engine, Model
from cli.ui.given_options import given, refuse_foreign
from job.contract.locations import check_no_overlap
from job.contract.params import DEFAULT_COMPONENTS, Params, RangeError, of_schedule
from job.contract.uris import from_text, is_s3


@dataclass(frozen=True)
class RunOptions:
    """What every target takes: arguments of the job."""

    components: int | None = option(None, f"Principal components to keep. [default: {DEFAULT_COMPONENTS}]", PCA, min=1)
    variance: float | None = option(None, "Keep as many components as explain this share of the variance, for example 0.90.", PCA)
    standardize: bool = option(False, "Scale every feature to unit variance first.", PCA)
    fit_on: str | None = option(None, "Fit the PCA on these labels or folders only; project all photos.", PCA, metavar="GLOB")
    pca: str | None = option(None, "Use the PCA of this run and fit none.", PCA, metavar="RUN_ID")
    model: Model = option(Params.model, "Network that computes the features.", FEATURES)  # noqa: RUF009 - a frozen field, made once
    engine: Engine = option(Params.engine, "Library that runs the network; tensorflow is the reference and slower.", FEATURES)  # noqa: RUF009
    full_decode: bool = option(False, "Decode large JPEGs in full, not at a fraction of their size: slower, other features.", FEATURES)
    limit: int | None = option(
        None,
        "For a try: take only N photos, the first of each label by name, then the second of each, and so on."
        " A run without it continues with the rest.",
        FEATURES,
        metavar="N",
        min=1,
    )
    chunk_images: int | None = option(None, "Images per commit. [default: one or two minutes' worth]", RELIABILITY, min=1)
    max_reject_ratio: float = option(Params.max_reject_ratio, "Fail if a larger share of the images cannot be read.", RELIABILITY)
    retry_rejects: bool = option(False, "Try again what an earlier run could not decode.", RELIABILITY)
    keep_runs: int = option(Params.keep_runs, "Older published runs are removed.", OUTPUT, min=1)
    lease_seconds: float = option(Params.lease_seconds, "", RELIABILITY, hidden=True)
    run_id: str | None = option(None, "", OUTPUT, hidden=True)


COMMON = tuple(field.name for field in fields(RunOptions))


@takes(parameters(RunOptions))
def run(
    context: typer.Context,
    input: Annotated[  # noqa: A002
        str | None, typer.Argument(metavar="INPUT", help="Folder or s3://bucket/prefix with one sub-folder per label. [or fruits.toml]")
    ] = None,
    output: Annotated[
        str | None, typer.Argument(metavar="OUTPUT", help="Folder or s3://bucket/prefix that receives features and runs. [or fruits.toml]")
    ] = None,
    **values: Any,
) -> None:
    """Embed the photos that are new, fit a PCA, publish the matrix.

    An option that the chosen target does not take is an error.
    """
    config = settings()
    target = chosen(values, config)
    refuse_foreign(context, f"--{target.name}", taken_by(("input", "output", *COMMON)))
    options = options_of(target, values, given(context), config)
    places = input or config.input, output or config.output
    if not values["submit"]:  # the command line of the stack, which names every option
        refuse_unused(given(context), places[0], values["model"])
    if values["weights"]:
        values["weights"] = weights_file(values["weights"])
    launch(target, options, lambda source, output: make_params(source, output, target, values, config), places)


def make_params(source: str, output: str, target: Target[Any, Any], values: Mapping[str, Any], config: Settings) -> Params:
    """
    Return the job's arguments.

    Args:
        source: INPUT, as a path or an address.
        output: OUTPUT, likewise.
        target: where the run happens.
        values: every value of the command line; those that are no argument of the job are left out.
        config: names the cache folder.

    Raises:
        UsageError: a value is out of range.
        LocationError: OUTPUT and INPUT are not apart.
    """
    places = from_text(source), from_text(output)
    check_no_overlap(*places)
    arguments = {field.name: values[field.name] for field in fields(Params) if field.name in values}
    run_id = of_schedule(values["run_id"] or new_run_id())
    check_run_id(run_id)
    arguments |= {"input": places[0], "output": places[1], "cache": str(config.cache), "run_id": run_id}
    arguments["target"] = target.name
    try:
        return Params(**arguments)
    except RangeError as error:
        raise UsageError(str(error), error.hint) from error


def refuse_unused(options: Collection[str], source: str | None, model: str) -> None:
    """Raise UsageError if one of `options`, the parameters on the command line, has no effect on this run."""
    if "content_hash" in options and source and is_s3(from_text(source)):
        raise UsageError(f"`--content-hash` cannot be used with `{source}`", "remove it: S3 has an ETag for each photo")
    for name in ("weights", "engine"):
        if name in options and model == "mean_colour":
            raise UsageError(f"`--{name}` cannot be used with `--model {model}`", "remove it: this model is not a network")


def weights_file(text: str) -> str:
    """Return the absolute path of the file `text`. Raises UsageError if it is not a file here, or cannot be read."""
    hint = "check the path, or omit --weights to use the official file"
    path = local_file(text, hint).resolve()
    if not path.is_file():
        raise UsageError(f"`{path}` is a folder" if path.is_dir() else f"there are no weights at `{path}`", hint)
    if not os.access(path, os.R_OK):
        raise UsageError(f"cannot read `{path}`: Permission denied", hint)
    return str(path)
