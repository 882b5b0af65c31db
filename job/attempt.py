"""One attempt of a run: Params in; the lease around `run`, its Outcome out and into OUTPUT. A run that is done stays as it is."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict

from job.errors import CredentialsError, JobError, OutputError, SetupError
from job.lease import Lease
from job.listing import check_apart, check_input
from job.objects import Conflict, Folder, open_folder
from job.params import Params
from job.pipeline import run
from job.progress import Report
from job.records import Manifest, Outcome, RecordError
from job.session import stop_session
from job.uris import is_s3, local_path


def attempt(params: Params) -> Outcome:
    """The run under its lease. Its outcome is in OUTPUT too, unless OUTPUT itself is the trouble or another run owns it."""
    folder = open_folder(params.output)
    try:
        if (ended := finished(params, folder)) is not None:
            return ended
        check_apart(params.input, params.output)
        check_readable(params, folder)
        by_notebook = executed(params, folder) if params.notebook else None  # takes the lease itself, in its kernel
        with Lease.acquire(folder, params.run_id, params.lease_seconds) as lease:
            outcome = by_notebook or under_lease(params, folder, lease)
            lease.check()  # a later attempt of this run may have its own outcome there
            folder.write(outcome_of(params.run_id), outcome.to_json().encode())
            return outcome
    except JobError as error:
        return failure(params.run_id, error)


def refuse(argv: Sequence[str], error: ValueError) -> Outcome:
    """
    The outcome of a job whose arguments are wrong, such as those of a newer CLI at an older image. It is in OUTPUT too, if the arguments
    tell where that is and an earlier attempt left none.
    """
    values = dict(word.removeprefix("--").split("=", 1) for word in argv if word.startswith("--") and "=" in word)
    run_id, output = values.get("run-id", ""), values.get("output", "")
    hint = "use a job and a fruitsctl of the same version: build and push the image again"
    outcome = Outcome(run_id, SetupError.code, "ArgumentsError", f"the job does not take its arguments: {error}", hint)
    if run_id and output:
        with suppress(JobError, Conflict):
            open_folder(output).swap(outcome_of(run_id), outcome.to_json().encode(), None)
    return outcome


def finished(params: Params, folder: Folder) -> Outcome | None:
    """
    What an earlier attempt left, if it was done: EMR Serverless tries a run again with the same arguments, also one whose driver died
    in its last seconds. None after a failure, which is tried again, and if that run had other arguments.
    """
    try:
        outcome, manifest = (folder.read(f"runs/{params.run_id}/{name}.json") for name in ("outcome", "manifest"))
    except SetupError:  # the next access to OUTPUT reports what is wrong with it
        return None
    if outcome is None or manifest is None:
        return None
    try:
        ended = Outcome.from_json(outcome.content)
        same = Manifest.from_json(manifest.content).params == asdict(params)
    except RecordError:  # of another version, or damaged: the run itself rewrites both
        return None
    return ended if ended.code == 0 and same else None


def check_readable(params: Params, folder: Folder) -> None:
    """INPUT, before a lease is taken and Spark starts. What is wrong is the run's outcome too, unless an earlier attempt left one."""
    try:
        check_input(params.input)
    except JobError as error:
        with suppress(JobError, Conflict):  # of OUTPUT: one error at a time
            folder.swap(outcome_of(params.run_id), as_outcome(params.run_id, error).to_json().encode(), None)
        raise


def executed(params: Params, folder: Folder) -> Outcome:
    """What the cells of the run's notebook came to; with its libraries, which no other run needs."""
    from job import notebook

    try:
        return Outcome(params.run_id, 0, "done", f"the notebook is {notebook.execute(params, folder)}")
    except JobError as error:
        return failure(params.run_id, error)


def under_lease(params: Params, folder: Folder, lease: Lease) -> Outcome:
    idle = False
    try:
        manifest = run(params, folder, lease, Report())
        idle = True
        return Outcome(params.run_id, 0, "done", f"{manifest.counts['rows']} rows, k = {manifest.k}")
    except JobError as error:
        return failure(params.run_id, error)
    except Exception as error:  # noqa: BLE001 - the job's edge: Spark, Py4J and Arrow raise anything, and the run still owes its outcome
        return failure(params.run_id, in_our_words(error, params.output, f"`{params.input}` or `{params.output}`"))
    except (KeyboardInterrupt, BrokenPipeError):
        return Outcome(params.run_id, 130, "Interrupted", "interrupted", "run the same command again: it resumes from the last commit")
    finally:
        stop_session(idle)


def in_our_words(error: Exception, output: str, places: str) -> JobError:
    """Translate an exception of Spark into a JobError with a hint where the user can fix the cause; `places` were read or written."""
    text = str(error)
    if "No space left on device" in text:
        wanted: JobError = no_space(output)
    elif any(word in text for word in ("ExpiredToken", "InvalidAccessKeyId", "AccessDenied", "Status Code: 403")):
        wanted = CredentialsError(f"S3 denied access during the run to {places}", "renew the login, then run the same command again")
    else:
        first = next((line for line in text.splitlines() if line.strip()), "")
        wanted = JobError(f"{type(error).__name__}: {first[:300]}")
    wanted.__cause__ = error
    return wanted


def no_space(output: str) -> JobError:
    """Name the disk that is full: of OUTPUT's and Spark's scratch disk the one with less free space, as the error does not tell."""
    scratch = os.environ.get("SPARK_LOCAL_DIRS", tempfile.gettempdir()).split(",")[0]
    if is_s3(output) or _free(scratch) < _free(local_path(output)):
        hint = "free space, or set SPARK_LOCAL_DIRS to a folder on another disk, then run the same command again"
        return SetupError(f"no space left in `{scratch}`, the scratch folder of Spark, on this machine or a worker", hint)
    return OutputError(f"no space left for `{output}`", "free space on its disk, then run the same command again")


def _free(path: str) -> float:
    """Bytes; infinite where nobody can tell: the run is owed its outcome all the same."""
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return math.inf


def failure(run_id: str, error: JobError) -> Outcome:
    traceback.print_exception(error)  # on stderr: the run's log
    return as_outcome(run_id, error)


def as_outcome(run_id: str, error: JobError) -> Outcome:
    return Outcome(run_id, error.code, type(error).__name__, str(error), error.hint)


def outcome_of(run_id: str) -> str:
    return f"runs/{run_id}/outcome.json"
