"""Which files of moments are merged: a bound on files that does not depend on the number of commits."""

import random

import pytest

from job.stages import moments


def test_a_sum_holds_no_more_rows_than_are_read_again_when_one_changes(monkeypatch):
    monkeypatch.setattr(moments, "FILES", 4)
    monkeypatch.setattr(moments, "MERGED_ROWS", 100)

    assert moments.to_merge({"a": 10, "b": 20, "c": 30, "d": 40}) == []  # few enough
    assert moments.to_merge({"a": 60, "b": 10, "c": 30, "d": 60, "e": 90}) == ["b", "c", "a"]
    assert moments.to_merge({"a": 60, "b": 60, "c": 60, "d": 60, "e": 60}) == []  # no two fit


@pytest.mark.parametrize("seed", range(20))
def test_files_are_bounded_by_photos_and_not_by_commits(seed):
    chance = random.Random(seed)
    rows = {}
    for number in range(400):
        rows[f"{number:04}"] = chance.choice([1, 10, 1_000, 20_000, 90_000])
        while chosen := moments.to_merge(rows):
            rows[f"{number:04}+{len(chosen)}"] = sum(rows.pop(name) for name in chosen)
        assert len(rows) <= moments.max_files(sum(rows.values()))
        assert max(rows.values()) <= moments.MERGED_ROWS
