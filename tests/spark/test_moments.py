"""Moments beside the features: each chunk is folded once, from its own files. A real Delta table, on local disk."""

import numpy as np
import pyarrow as pa
import pytest

from job.stages import moments
from job.storage import data_files
from job.storage.schema import EMBEDDED, FEATURES


@pytest.fixture(params=["1000", "0"], ids=["driver", "spark"], autouse=True)
def driver_rows(request, monkeypatch):
    monkeypatch.setenv("FRUITS_DRIVER_ROWS", request.param)


def append(store, *embeddings):
    names = ("uri", "etag", "label", "width", "height", "embedding")
    rows = [dict(zip(names, (f"file:///in/{row}", "1", "L", 1, 1, row), strict=True)) for row in embeddings]
    target = store.target()
    store.append([data_files.write(target.uri, [pa.RecordBatch.from_pylist(rows, EMBEDDED)], FEATURES, **target.values)])


def test_the_moments_of_a_new_chunk_are_made_of_its_own_file_alone(store, folder, monkeypatch):
    folded, fold = [], moments.fold
    monkeypatch.setattr(moments, "fold", lambda features: folded.append(features) or fold(features))
    for number in range(3):
        append(store, *([float(number), float(row)] for row in range(4)))
        total = moments.MomentsCache(folder, store.features().model, store.lease).get(store.features(), "file:///in", None)

    assert (total.n, total.sum.tolist()) == (12, [12.0, 18.0])
    assert np.array_equal(total.gram, [[20.0, 18.0], [18.0, 42.0]])
    files = [set(features.keys.to_arrow()["file"].to_pylist()) for features in folded]
    assert [len(names) for names in files] == [1, 1, 1]
    assert len(set.union(*files)) == 3


def test_moments_of_chunks_that_are_kept_are_not_made_again(store, folder, monkeypatch):
    append(store, [1.0, 2.0])
    first = moments.MomentsCache(folder, store.features().model, store.lease).get(store.features(), "file:///in", None)
    monkeypatch.setattr(moments, "fold", lambda features: pytest.fail("folded again"))
    again = moments.MomentsCache(folder, store.features().model, store.lease).get(store.features(), "file:///in", None)

    assert first.sum.tolist() == again.sum.tolist() == [1.0, 2.0]
