"""Moments of many commits, merged into few files: the same fit, also after a kill, a changed photo, a damaged list or an erasure."""

import json

import numpy as np
import pyarrow.compute as pc
import pytest

from job.contract.errors import LeaseError
from job.erasure import tables
from job.inputs.rows import ArrowRows
from job.stages import moments
from job.storage.lease import Lease
from tests.spark.test_moments import append


def commit(store, chunks, first=0):
    """One photo in each of `chunks` commits; their numbers are such that a sum of float64 depends on its order."""
    for number in range(first, first + chunks):
        append(store, [float(np.sin(number)) * 10**6, float(np.cos(number)), 1.0])


def run(store, folder, tidies=True):
    """As a run fits and, at its end, tidies up."""
    cache = moments.MomentsCache(folder, "m", store.lease)
    total = cache.get(store.features(), "file:///in", None)
    if tidies:
        cache.compact()
    return total


def files(folder):
    return [name for name in folder.names("moments/m") if name != "merged.json"]


def equal(ours, theirs):
    assert ours.n == theirs.n
    np.testing.assert_allclose(ours.sum, theirs.sum, rtol=1e-12)
    np.testing.assert_allclose(ours.gram, theirs.gram, rtol=1e-12)


@pytest.fixture
def few(monkeypatch):
    """So that few files are many."""
    monkeypatch.setattr(moments, "FILES", 4)


@pytest.fixture
def no_fold(monkeypatch):
    """From now on no feature may be read."""
    return lambda: monkeypatch.setattr(moments, "fold", lambda features: pytest.fail("folded again"))


@pytest.mark.parametrize("rows", ["1000", "0"], ids=["driver", "spark"])
def test_however_many_commits_there_are_a_run_reads_few_files_and_fits_the_same(store, folder, few, no_fold, monkeypatch, rows):
    monkeypatch.setenv("FRUITS_DRIVER_ROWS", rows)
    for number in range(2):
        commit(store, 3, 3 * number)
        run(store, folder)
        assert len(files(folder)) <= 4
    no_fold()

    equal(run(store, folder), moments.MomentsCache(folder, store.features().model, store.lease).get(store.features(), "file:///in", None))
    rows = np.array([[np.sin(number) * 10**6, np.cos(number), 1.0] for number in range(6)], np.float32).astype(np.float64)
    equal(run(store, folder), moments.Moments(6, rows.sum(axis=0), rows.T @ rows))


KILLS = {
    "before the sum is written": ("write", "merged-", False),
    "before the sum is named": ("write", "merged.json", False),
    "before its parts are deleted": ("delete", "", False),
    "after the first of them is deleted": ("delete", "", True),
}


class Killed(BaseException):
    """As a SIGKILL: nothing is put in order."""


@pytest.mark.parametrize("when", KILLS)
def test_merging_that_is_killed_loses_nothing(store, folder, few, no_fold, monkeypatch, when):
    commit(store, 6)
    before = run(store, folder, tidies=False)
    method, name, after = KILLS[when]
    original = getattr(type(folder), method)

    def deadly(self, path, *rest):
        if path.rpartition("/")[2].startswith(name):
            if after:
                original(self, path, *rest)
            raise Killed
        return original(self, path, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(type(folder), method, deadly)
        with pytest.raises(Killed):
            run(store, folder)

    no_fold()
    equal(run(store, folder), before)  # and tidies up
    equal(run(store, folder), before)
    assert len(files(folder)) <= 4


def test_a_chunk_that_changes_costs_its_sum_alone(store, folder, few, monkeypatch):
    commit(store, 6)
    run(store, folder)
    [merged] = [name for name in files(folder) if name.startswith("merged-")]
    [members] = json.loads(folder.read("moments/m/merged.json").content).values()
    commit(store, 1, first=6)
    gone = store.features()
    keys = gone.keys.to_arrow()
    one = next(uri for uri, micros in zip(keys["uri"].to_pylist(), keys["micros"].to_pylist(), strict=True) if f"-{micros}-" in members[0])
    left = gone.restrict(ArrowRows(keys.filter(pc.not_equal(keys["uri"], one))))
    folded, fold = [], moments.fold
    monkeypatch.setattr(moments, "fold", lambda features: folded.append(features) or fold(features))

    cache = moments.MomentsCache(folder, "m", store.lease)
    total = cache.get(left, "file:///in", None)
    cache.compact()

    assert total.n == 6
    assert len(folded) == len(members) - 1 + 1  # the others of its sum, and the new chunk
    equal(total, moments.fold(left))
    assert merged in files(folder)  # not used: kept for another --fit-on, as long as there is room


def test_what_no_run_uses_any_more_goes(store, folder, few):
    commit(store, 3)
    for number in range(9):
        folder.write(f"moments/m/r0-{number}-0123456789abcdef.npz", b"outdated")
    run(store, folder)

    assert len(files(folder)) == 6  # as many as it used
    assert sum(name.startswith("r0-") for name in files(folder)) == 3


def test_a_run_that_lost_its_lease_neither_merges_nor_deletes(store, folder, few):
    commit(store, 6)
    cache = moments.MomentsCache(folder, "m", store.lease)
    cache.get(store.features(), "file:///in", None)
    before = files(folder)
    folder.delete("lease.json")

    with pytest.raises(LeaseError):
        cache.compact()
    assert files(folder) == before


@pytest.mark.parametrize("damage", ["{", "[]", '{"merged-1.npz": null}', None])
def test_a_list_of_sums_that_is_damaged_costs_time_alone(store, folder, few, damage):
    commit(store, 6)
    before = run(store, folder)
    if damage is None:
        folder.delete("moments/m/merged.json")
    else:
        folder.write("moments/m/merged.json", damage.encode())

    equal(run(store, folder), before)


def test_of_a_forgotten_photo_no_sum_is_kept(spark, store, folder, few):
    commit(store, 6)
    run(store, folder)
    commit(store, 1, first=6)
    run(store, folder)
    [other] = [name for name in files(folder) if not name.startswith("merged-")]
    folder.write("moments/m/merged-0123.npz", b"nothing tells what is in it")
    folder.write("moments/m/r1-1-0123456789abcdef.npz", b"of rows that a chunk does not have any more")
    moments.drop_outdated(spark, folder)
    assert len(files(folder)) == 2
    uri = store.features().keys.to_arrow().sort_by("micros")["uri"][0].as_py()  # of the sum, not of the chunk beside it

    with Lease.acquire(folder, "r1") as lease:
        tables.erase(spark, folder, {uri}, lease)
    moments.drop_outdated(spark, folder)

    assert files(folder) == [other]
    assert json.loads(folder.read("moments/m/merged.json").content) == {}  # its names hold a hash of addresses
