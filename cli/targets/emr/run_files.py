"""Read what a job on EMR left in OUTPUT: its outcome and its manifest."""

from __future__ import annotations

from cli.aws.clients import Clients
from cli.aws.s3 import read_if_there
from job.contract.records import Manifest, Outcome, RecordError
from job.contract.uris import join


def read_outcome(clients: Clients, output: str, run_id: str) -> Outcome | None:
    """Return how the job says that it ended. None: it did not live long enough to write it."""
    content = read_if_there(clients("s3"), join(output, "runs", run_id, "outcome.json"))
    try:
        return Outcome.from_json(content) if content else None
    except RecordError:
        return None


def read_manifest(clients: Clients, output: str, run_id: str) -> Manifest | None:
    """Return what the run published. None: it published nothing."""
    content = read_if_there(clients("s3"), join(output, "runs", run_id, "manifest.json"))
    return Manifest.from_json(content) if content else None
