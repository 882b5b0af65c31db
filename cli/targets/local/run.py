"""The job in a process of this command: the Spark and the Java for it, what it needs to reach S3, its log, and what it published."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import FruitsError, UsageError
from cli.settings import user
from cli.settings.config import Settings, environment
from cli.targets.local import java, jvm_archive
from cli.targets.local import process as local
from cli.targets.local.java import Java, say_passed_over
from cli.ui import run_files
from cli.ui.output import Stages, progress_bar
from job.contract.params import Arguments, Params, application
from job.contract.records import Manifest, Outcome
from job.contract.uris import is_s3, join

if TYPE_CHECKING:
    from boto3.session import Session

NO_HINTS: Mapping[str, str] = {}


def execute(todo: local.Plan, params: Params, config: Settings) -> Manifest:
    """
    Run the job with its stages on stderr, and return what it published.

    Raises:
        FruitsError: the run failed; with the job's own exit code.
    """
    outcome, log = carry_out(todo, params)
    return published(params.output, outcome, log, config)


def carry_out(todo: local.Plan, params: Params) -> tuple[Outcome, str]:
    """Run the job to its end with its stages on stderr. Return its outcome, and where its log is."""
    session = session_for(params.input, params.output)
    erasures = run_files.erasures(params.output, session)
    with credentials_for(session) as extra, Stages() as stages:
        outcome = local.start(todo, params.run_id, merged(environment(), extra), stages.show)
    return outcome, run_files.keep_log(todo.log, params.output, params.run_id, session, erasures)


def published(output: str, outcome: Outcome, log: str, config: Settings, hints: Mapping[str, str] = NO_HINTS) -> Manifest:
    """
    Return the manifest of a run that succeeded, and remember its OUTPUT.

    Args:
        output: of the run.
        outcome: of the job.
        log: where it is, for the hint.
        config: names the state folder.
        hints: by kind of the outcome; they come before the job's own.

    Raises:
        FruitsError: the run failed; with the job's own exit code.
    """
    if outcome.code:
        raise FruitsError(outcome.message, hints.get(outcome.kind) or outcome.hint or f"see the log {log}", outcome.code)
    run_files.save_last_output(output, config)
    return Manifest.from_json(run_files.read(join(output, "runs", outcome.run_id, "manifest.json"), session_for(output)))


def session_for(*uris: str) -> Session | None:
    """Return the user's session of AWS where one of `uris` is on S3."""
    return run_files.session() if any(map(is_s3, uris)) else None


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
    Return the Java for a Spark of this installation.

    Raises:
        UsageError: this machine has no Spark, no Java, or no name of this user for it.
    """
    if find_spec("pyspark") is None:
        raise UsageError("the extra `job` is not installed", "run `uv tool install '.[job]'` in the checkout")
    user.require_name()
    return java.java_for_spark(config.java_home)


def credentials_for(session: Session | None) -> AbstractContextManager[dict[str, str | None]]:
    """Return the context with the environment in which the job reaches S3 as `session` does; empty without one."""
    if session is None:
        return nullcontext({})
    from cli.aws.session import job_environment

    return job_environment(session)


def with_weights(params: Params, config: Settings) -> Params:
    """Return `params` with the official weights: from FRUITS_ASSETS, the cache, or downloaded once."""
    from cli.photos.assets import application_weights, weights

    network = application(params.model)
    with progress_bar("Download weights", "bytes") as progress:
        places = config.assets, config.cache, progress
        return replace(params, weights=str(application_weights(network, *places) if network else weights(*places)))


def downloaded(params: Params, config: Settings) -> bool:
    """Return whether the weights of a network of Keras Applications are on this machine: its fingerprint is of their content."""
    from cli.photos.assets import cached

    network = application(params.model)
    return bool(network and (config.assets or cached(config.cache, network.url).is_file()))


def merged(base: dict[str, str], extra: Mapping[str, str | None]) -> dict[str, str]:
    """Return `base` with `extra` set; None removes a variable."""
    values = {**base, **extra}
    return {name: value for name, value in values.items() if value is not None}
