"""Moments beside the features: each chunk is folded once, from its own files. Real Delta, on local disk."""

import numpy as np
import pytest

from job import moments
from job.lease import Lease
from job.objects import open_folder
from job.schema import EMBEDDED
from job.store import FeatureStore


@pytest.fixture
def output(tmp_path):
    return f"file://{tmp_path}/out"


def files_of(frame):
    """How many files Spark reads for `frame`: https://spark.apache.org/docs/latest/web-ui.html#sql-metrics"""
    frame.collect()
    nodes, files = [frame._jdf.queryExecution().executedPlan()], 0
    while nodes:
        node = nodes.pop()
        nodes += [node.children().apply(i) for i in range(node.children().size())]
        if node.metrics().contains("numFiles"):
            files += node.metrics().apply("numFiles").value()
    return files


def test_the_moments_of_a_new_chunk_are_made_of_its_own_file_alone(spark, output, monkeypatch):
    folder, folded = open_folder(output), []
    fold_frame = moments.fold_frame
    monkeypatch.setattr(moments, "fold_frame", lambda frame: folded.append(frame) or fold_frame(frame))
    with Lease.acquire(folder, "r1") as lease:
        store = FeatureStore(spark, output, "m", "r1", lease)
        store.open()
        for number in range(3):
            rows = [(f"file:///in/{number}-{row}", "1", "L", 1, 1, [float(number), float(row)]) for row in range(4)]
            store.append(spark.createDataFrame(rows, EMBEDDED).coalesce(1))
            total = moments.moments_of(store.features(), "m", "file:///in", None, folder)

    assert (total.n, total.sum.tolist()) == (12, [12.0, 18.0])
    assert np.array_equal(total.gram, [[20.0, 18.0], [18.0, 42.0]])
    assert len(folded) == 3
    assert [files_of(frame.select("uri")) for frame in folded] == [1, 1, 1]
    assert files_of(store.features().select("uri")) == 3


def test_moments_of_chunks_that_are_kept_are_not_made_again(spark, output, monkeypatch):
    folder = open_folder(output)
    with Lease.acquire(folder, "r1") as lease:
        store = FeatureStore(spark, output, "m", "r1", lease)
        store.open()
        store.append(spark.createDataFrame([("file:///in/a", "1", "L", 1, 1, [1.0, 2.0])], EMBEDDED))
        first = moments.moments_of(store.features(), "m", "file:///in", None, folder)
        monkeypatch.setattr(moments, "fold_frame", lambda frame: pytest.fail("folded again"))
        again = moments.moments_of(store.features(), "m", "file:///in", None, folder)

    assert first.sum.tolist() == again.sum.tolist() == [1.0, 2.0]
