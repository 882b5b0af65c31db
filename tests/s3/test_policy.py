"""All that a run does to OUTPUT on S3 besides reading and writing, against the policy that the CLI sends with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cli.targets.emr_serverless.policy import session_policy
from job.contract.records import Manifest
from job.stages import publish
from job.storage.delta_log import DeltaLog
from job.storage.folders import open_folder
from job.storage.lease import Lease
from job.storage.schema import FEATURES
from tests.aws import session
from tests.s3.proxy import Proxy
from tests.s3.test_commits import written
from tests.unit.cli.targets.emr_serverless.test_plan import DEPLOYED


def manifest_of(run: str) -> bytes:
    return Manifest(run, "2026-01-01T00:00:00+00:00", 1, {}, "m", {}, {}, {}, {}, {}, 1, 1.0, run).to_json().encode()


def test_pruning_merging_and_deleting_old_files_is_allowed(bucket: str, proxy: Proxy, tmp_path: Path):
    folder = open_folder(f"s3://{bucket}/out")
    (tmp_path / "part").write_bytes(b"x")
    with Lease.acquire(folder, "3") as lease:
        log = DeltaLog(folder, "features", lease)
        log.create(FEATURES)
        for number in range(10):  # the tenth writes a checkpoint
            log.commit([written(log, str(number))], log.files())
        log.vacuum(hours=0)
        log.forget_history()
        for run in ("1", "2"):
            folder.upload(f"runs/{run}/pca/part", str(tmp_path / "part"))
            folder.write(f"runs/{run}/manifest.json", manifest_of(run))
        publish.prune_runs(folder, 1, lease)
        folder.write("work/3/listing/part", b"x")
        folder.delete_tree("work")

    policy = session_policy(f"s3://{bucket}/photos", folder.uri, replace(DEPLOYED, bucket=bucket))
    asked = {need for head in proxy.heads for need in session.needs(head)}
    assert folder.names("runs") == ["2"]
    assert {"s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject"} <= {action for action, _, _ in asked}
    assert sorted(need for need in asked if not session.allows(policy, *need)) == []
    elsewhere = session_policy(f"s3://{bucket}/photos", f"s3://{bucket}/other", replace(DEPLOYED, bucket=bucket))
    assert [need for need in asked if not session.allows(elsewhere, *need)] != []
