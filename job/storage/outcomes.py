"""Write how a run ended to `runs/<run_id>/outcome.json`. Imports no Spark: it also works if the job's imports fail."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from contextlib import suppress

from job.contract.errors import JobError, SetupError
from job.contract.params import RUN_ID, of_schedule
from job.contract.records import Outcome
from job.storage.folders import open_folder
from job.storage.object_store import Conflict


def outcome_name(run_id: str) -> str:
    """Return the name of the outcome of a run in OUTPUT."""
    return f"runs/{run_id}/outcome.json"


def write_outcome(output: str, outcome: Outcome) -> Outcome:
    """Write `outcome` into OUTPUT unless the run already has one, and return it. Never raises: one error at a time."""
    with suppress(JobError, Conflict):
        open_folder(output).compare_and_swap(outcome_name(outcome.run_id), outcome.to_json().encode(), None)
    return outcome


def failure(run_id: str, error: JobError) -> Outcome:
    """Return the outcome of a run that `error` ended, and print its traceback to the log."""
    traceback.print_exception(error)  # on stderr: the run's log
    return Outcome(run_id, error.code, type(error).__name__, str(error), error.hint)


def unexpected_error(error: Exception) -> JobError:
    """Return `error` as a JobError."""
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    wanted = JobError(f"{type(error).__name__}: {first[:300]}")
    wanted.__cause__ = error
    return wanted


def interrupted(run_id: str, hint: str = "run the same command again") -> Outcome:
    """Return the outcome of a run that was interrupted."""
    return Outcome(run_id, 130, "Interrupted", "interrupted", hint)


def invalid_arguments(argv: Sequence[str], error: ValueError, of_run: bool = True) -> Outcome:
    """
    Return the outcome of a job with wrong arguments, such as those of a newer CLI for an older image.

    That of a run is written into OUTPUT too, if the arguments name one and its run id can name a folder there.
    """
    values = dict(word.removeprefix("--").split("=", 1) for word in argv if word.startswith("--") and "=" in word)
    run_id, output = of_schedule(values.get("run-id", "")), values.get("output", "")
    hint = "use a job and a fruitsctl of the same version: build and push the image again"
    outcome = Outcome(run_id, SetupError.code, "ArgumentsError", f"the job does not take its arguments: {error}", hint)
    return write_outcome(output, outcome) if of_run and RUN_ID.fullmatch(run_id) and output else outcome
