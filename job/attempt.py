"""Run one attempt: take the lease, run the pipeline, write the outcome into OUTPUT. A finished run is not run again."""

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
from job.spark.progress import ProgressReport
from job.spark.session import stop_session
from job.stages.listing import check_input, check_no_overlap
from job.storage.folders import open_folder
from job.storage.lease import Lease
from job.storage.object_store import Folder
from job.storage.outcomes import failure, interrupted, outcome_name, unexpected_error, write_outcome
from job.storage.s3_client import region


def attempt(params: Params) -> Outcome:
    """
    Run the job under its lease and return how it ended.

    The outcome is also written into OUTPUT, unless OUTPUT itself fails or another run owns it.
    """
    try:
        return run_unless_finished(params, open_folder(params.output))
    except LeaseError as error:
        return failure(params.run_id, error)
    except JobError as error:
        return write_outcome(params.output, failure(params.run_id, error))
    except Exception as error:  # noqa: BLE001 - the job's edge: libraries raise anything, and the run still owes its outcome
        places = f"`{shown(params.input)}` or `{shown(params.output)}`"
        return write_outcome(params.output, failure(params.run_id, classify_error(error, params.output, places)))
    except (KeyboardInterrupt, BrokenPipeError):
        return write_outcome(params.output, interrupted(params.run_id))


def run_unless_finished(params: Params, folder: Folder) -> Outcome:
    """Return the outcome of an earlier attempt that succeeded, else run under the lease and write the outcome."""
    if (ended := earlier_outcome(params, folder)) is not None:
        return ended
    check_no_overlap(params.input, params.output)
    check_input(params.input)  # before a lease is taken and Spark starts
    by_notebook = run_notebook(params, folder) if params.notebook else None  # takes the lease itself, in its kernel
    with Lease.acquire(folder, params.run_id, params.lease_seconds) as lease:
        outcome = by_notebook or run_under_lease(params, folder, lease)
        lease.check()  # a later attempt of this run may have its own outcome there
        folder.write(outcome_name(params.run_id), outcome.to_json().encode())
        return outcome


def earlier_outcome(params: Params, folder: Folder) -> Outcome | None:
    """
    Return the outcome of an earlier attempt with the same arguments, if it succeeded.

    EMR Serverless repeats a run with the same arguments, also when its driver died in the last seconds. None after a failure or for other
    arguments.
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


def run_notebook(params: Params, folder: Folder) -> Outcome:
    """Execute the run's notebook and return the outcome. Imports the notebook's libraries, which no other run needs."""
    from job.spark import notebook

    try:
        return Outcome(params.run_id, 0, "done", f"the notebook is {shown(notebook.execute(params, folder))}")
    except JobError as error:
        return failure(params.run_id, error)


def run_under_lease(params: Params, folder: Folder, lease: Lease) -> Outcome:
    """Run the pipeline and return the outcome, of a failure too. Spark is stopped at the end."""
    idle = False
    try:
        manifest = run(params, folder, lease, ProgressReport())
        idle = True
        return Outcome(params.run_id, 0, "done", f"{counted(manifest.counts['rows'], 'rows')}, k = {manifest.k}")
    except JobError as error:
        return failure(params.run_id, error)
    except Exception as error:  # noqa: BLE001 - the job's edge: Spark, Py4J and Arrow raise anything, and the run still owes its outcome
        return failure(params.run_id, classify_error(error, params.output, f"`{shown(params.input)}` or `{shown(params.output)}`"))
    except (KeyboardInterrupt, BrokenPipeError):
        return interrupted(params.run_id, "run the same command again: it resumes from the last commit")
    finally:
        stop_session(idle)


def classify_error(error: Exception, output: str, places: str) -> JobError:
    """Translate an exception of Spark into a JobError with a hint where the user can fix the cause; `places` were read or written."""
    text = str(error)
    if "No space left on device" in text:
        wanted: JobError = disk_full_error(output)
    elif any(word in text for word in ("ExpiredToken", "InvalidAccessKeyId", "AccessDenied", "Status Code: 403")):
        wanted = CredentialsError(f"S3 denied access during the run to {places}", "renew the login, then run the same command again")
    elif any(word in text for word in ("AuthorizationHeaderMalformed", "PermanentRedirect", "Status Code: 301", "Status Code: 400")):
        message = f"S3 refused a request of Spark for Region `{region()}` about {places}"
        wanted = SetupError(message, "set AWS_REGION to the Region of the bucket")
    else:
        return unexpected_error(error)
    wanted.__cause__ = error
    return wanted


def disk_full_error(output: str) -> JobError:
    """Name the disk that is full: of OUTPUT's and Spark's scratch disk the one with less free space, as the error does not tell."""
    scratch = os.environ.get("SPARK_LOCAL_DIRS", tempfile.gettempdir()).split(",")[0]
    if is_s3(output) or _free(scratch) < _free(local_path(output)):
        hint = "free space, or set SPARK_LOCAL_DIRS to a folder on another disk, then run the same command again"
        return SetupError(f"no space left in `{scratch}`, the scratch folder of Spark, on this machine or a worker", hint)
    return OutputError(f"no space left for `{shown(output)}`", "free space on its disk, then run the same command again")


def _free(path: str) -> float:
    """Return the free bytes of the disk of `path`; infinite if they cannot be read, since the outcome must be written all the same."""
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return math.inf
