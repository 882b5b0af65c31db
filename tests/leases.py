"""A lease that another run takes over, as it does from a process that was suspended."""

from __future__ import annotations

import json

from job.storage.lease import Lease
from job.storage.object_store import Folder


def take_over(folder: Folder, run_id: str) -> None:
    """Take the lease of `folder` from its living owner, and release it."""
    stored = folder.read("lease.json")
    assert stored is not None
    folder.write("lease.json", json.dumps({**json.loads(stored.content), "released": True}).encode())
    Lease.acquire(folder, run_id).release()
