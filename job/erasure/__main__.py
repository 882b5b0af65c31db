"""Entry point of `python -m job.erasure`: parse the arguments, erase under the lease, write the answer, print the outcome."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from job.attempt import classify_error
from job.contract.errors import JobError
from job.contract.params import ForgetParams
from job.contract.records import Outcome
from job.contract.uris import printable, shown
from job.erasure import erase, plan, require_results, runs, unknown_photos
from job.spark.progress import ProgressReport, send
from job.spark.session import stop_session
from job.storage.folders import open_folder
from job.storage.lease import Lease
from job.storage.object_store import Folder
from job.storage.outcomes import failure, interrupted, invalid_arguments
from job.storage.tombstones import keyed_hash, read_or_create_key


def main(argv: list[str]) -> int:
    """Run one erasure from the command line and return its exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        wanted = ForgetParams.from_argv(argv)
    except ValueError as error:
        outcome = invalid_arguments(argv, error, of_run=False)
    else:
        outcome = attempt(wanted)
    with suppress(BrokenPipeError):
        send(outcome)
    return outcome.code


def attempt(wanted: ForgetParams) -> Outcome:
    """Return the outcome. It names no photo that was removed, because it may get into logs."""
    try:
        require_results(folder := open_folder(wanted.output))
        answer = plan_answer(wanted, folder) if wanted.dry_run else erasure_answer(wanted, folder)
        Path(wanted.answer).write_text(json.dumps(answer), encoding="utf-8")
        return Outcome(wanted.run_id, 0, "done")
    except JobError as error:
        return failure(wanted.run_id, error)
    except Exception as error:  # noqa: BLE001 - the edge: Spark, Py4J and Arrow raise anything, and who called is owed an outcome
        return failure(wanted.run_id, classify_error(error, wanted.output, f"`{shown(wanted.output)}`"))
    except (KeyboardInterrupt, BrokenPipeError):
        return interrupted(wanted.run_id, "run the same command again to resume the erasure")


def plan_answer(wanted: ForgetParams, folder: Folder) -> dict[str, object]:
    """Return what the erasure would remove."""
    try:
        targets = plan(wanted, folder, ProgressReport())
    finally:
        stop_session()
    rows = {run: len(runs.uris_of(folder, run, targets)) for run in folder.names("runs")} if targets.uris else {}
    return {
        "images": sorted(set(map(printable, targets.uris))),
        "photos": len(targets.photos),
        "copies": sorted(targets.copies),
        "runs": {run: found for run, found in rows.items() if found},
        **unknown_photos(wanted, folder, targets.uris.__contains__),
    }


def erasure_answer(wanted: ForgetParams, folder: Folder) -> dict[str, object]:
    """Erase under the lease and return the receipt."""
    with Lease.acquire(folder, wanted.run_id, wanted.lease_seconds) as lease:
        try:
            receipt = erase(wanted, folder, lease, ProgressReport())
        finally:
            stop_session()
    key, images = read_or_create_key(folder) if receipt.images else b"", set(receipt.images)
    return {**asdict(receipt), **unknown_photos(wanted, folder, lambda uri: keyed_hash(key, uri) in images)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
