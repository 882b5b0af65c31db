"""One attempt of a run: Params in; the lease around `run`, its Outcome out and into OUTPUT. A run that is done stays as it is."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from dataclasses import asdict

from job.contract.errors import CredentialsError, JobError, LeaseError, OutputError, SetupError
from job.contract.params import Params
from job.contract.records import Manifest, Outcome, RecordError, counted
from job.contract.uris import is_s3, local_path, shown
from job.pipeline import run
from job.spark.progress import Report
from job.spark.session import stop_session
from job.stages.listing import check_apart, check_input
from job.storage.folders import open_folder
from job.storage.lease import Lease
from job.storage.object_store import Folder
from job.storage.outcomes import failure, interrupted, leave, outcome_of, unexpected
from job.storage.s3_client import region


def attempt(params: Params) -> Outcome:
    """
    Return how the run under its lease ended. The outcome is in OUTPUT too, unless OUTPUT itself is the trouble or another run owns it.
    """
    try:
        return attempted(params, open_folder(params.output))
    except LeaseError as error:
        return failure(params.run_id, error)
    except JobError as error:
        return leave(params.output, failure(params.run_id, error))
    except Exception as error:  # noqa: BLE001 - the job's edge: libraries raise anything, and the run still owes its outcome
        places = f"`{shown(params.input)}` or `{shown(params.output)}`"
        return leave(params.output, failure(params.run_id, in_our_words(error, params.output, places)))
    except (KeyboardInterrupt, BrokenPipeError):
        return leave(params.output, interrupted(params.run_id))


def attempted(params: Params, folder: Folder) -> Outcome:
    if (ended := finished(params, folder)) is not None:
        return ended
    check_apart(params.input, params.output)
    check_input(params.input)  # before a lease is taken and Spark starts
    by_notebook = executed(params, folder) if params.notebook else None  # takes the lease itself, in its kernel
    with Lease.acquire(folder, params.run_id, params.lease_seconds) as lease:
        outcome = by_notebook or under_lease(params, folder, lease)
        lease.check()  # a later attempt of this run may have its own outcome there
        folder.write(outcome_of(params.run_id), outcome.to_json().encode())
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


def executed(params: Params, folder: Folder) -> Outcome:
    """What the cells of the run's notebook came to; with its libraries, which no other run needs."""
    from job.spark import notebook

    try:
        return Outcome(params.run_id, 0, "done", f"the notebook is {shown(notebook.execute(params, folder))}")
    except JobError as error:
        return failure(params.run_id, error)


def under_lease(params: Params, folder: Folder, lease: Lease) -> Outcome:
    idle = False
    try:
        manifest = run(params, folder, lease, Report())
        idle = True
        return Outcome(params.run_id, 0, "done", f"{counted(manifest.counts['rows'], 'rows')}, k = {manifest.k}")
    except JobError as error:
        return failure(params.run_id, error)
    except Exception as error:  # noqa: BLE001 - the job's edge: Spark, Py4J and Arrow raise anything, and the run still owes its outcome
        return failure(params.run_id, in_our_words(error, params.output, f"`{shown(params.input)}` or `{shown(params.output)}`"))
    except (KeyboardInterrupt, BrokenPipeError):
        return interrupted(params.run_id, "run the same command again: it resumes from the last commit")
    finally:
        stop_session(idle)


def in_our_words(error: Exception, output: str, places: str) -> JobError:
    """Translate an exception of Spark into a JobError with a hint where the user can fix the cause; `places` were read or written."""
    text = str(error)
    if "No space left on device" in text:
        wanted: JobError = no_space(output)
    elif any(word in text for word in ("ExpiredToken", "InvalidAccessKeyId", "AccessDenied", "Status Code: 403")):
        wanted = CredentialsError(f"S3 denied access during the run to {places}", "renew the login, then run the same command again")
    elif any(word in text for word in ("AuthorizationHeaderMalformed", "PermanentRedirect", "Status Code: 301", "Status Code: 400")):
        message = f"S3 refused a request of Spark for Region `{region()}` about {places}"
        wanted = SetupError(message, "set AWS_REGION to the Region of the bucket")
    else:
        return unexpected(error)
    wanted.__cause__ = error
    return wanted


def no_space(output: str) -> JobError:
    """Name the disk that is full: of OUTPUT's and Spark's scratch disk the one with less free space, as the error does not tell."""
    scratch = os.environ.get("SPARK_LOCAL_DIRS", tempfile.gettempdir()).split(",")[0]
    if is_s3(output) or _free(scratch) < _free(local_path(output)):
        hint = "free space, or set SPARK_LOCAL_DIRS to a folder on another disk, then run the same command again"
        return SetupError(f"no space left in `{scratch}`, the scratch folder of Spark, on this machine or a worker", hint)
    return OutputError(f"no space left for `{shown(output)}`", "free space on its disk, then run the same command again")


def _free(path: str) -> float:
    """Bytes; infinite where it is unknown: the run is owed its outcome all the same."""
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return math.inf
