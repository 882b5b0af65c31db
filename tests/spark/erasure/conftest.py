"""One erasure on the session of tests/spark."""

import json

import pytest

from job.contract.params import ForgetParams
from job.contract.uris import from_text
from job.erasure import erase, plan
from job.spark.progress import ProgressReport
from job.storage.folders import open_folder
from job.storage.lease import Lease


@pytest.fixture
def forget(spark, cache, tmp_path):
    """One erasure under its lease; its receipt. `only_plan`: what would go."""
    numbers = iter(range(100))

    def start(output, uris=(), prefixes=(), only_plan=False, **options):
        number = next(numbers)
        targets = tmp_path / "targets.json"
        targets.write_text(json.dumps({"uris": [from_text(str(uri)) for uri in uris], "prefixes": list(prefixes)}))
        wanted = ForgetParams(
            from_text(str(output)), f"erasure-{number}", str(targets), "", "somebody@somewhere", cache=str(cache), **options
        )
        folder = open_folder(wanted.output)
        if only_plan:
            return plan(wanted, folder, ProgressReport())
        with Lease.acquire(folder, wanted.run_id) as lease:
            return erase(wanted, folder, lease, ProgressReport())

    return start
