"""The soak's judgement: that a leak, a lost photo and a heap of files are seen. A short one runs for real as `make soak-quick`."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.pages import fill
from benchmarks.soak_places import memory_by_service
from benchmarks.soak_report import Round, by_folder, judge, rounds_table, thirds

ROOT = Path(__file__).parents[2]


def rounds(count, **more):
    return [
        Round(number, 60.0 * number, 30.0, 10 * number, 10, 10 * number, 2, {"published": min(number, 5)}, **more)
        for number in range(1, count + 1)
    ]


def verdicts(measures):
    return {measure.what: measure.met for measure in measures}


def test_nothing_grows_and_nothing_is_wrong():
    flat = rounds(14, memory_mb={"job": 900.0})

    assert all(measure.met for measure in judge(flat, {"photos missing in features": 0}, 64))


def test_a_lost_photo_a_doubled_row_and_a_row_too_few_are_seen():
    last = replace(rounds(1)[0], rows=9)
    found = verdicts(judge([last], {"photos missing in features": 1, "extra rows in features": 2}, 64))

    assert found["photos missing in features"] is False
    assert found["extra rows in features"] is False
    assert found["photos without a row in the last run"] is False


def test_a_heap_of_small_files_is_seen_even_if_it_was_merged_at_the_end():
    found = verdicts(judge([replace(rounds(1)[0], live_files=65), rounds(1)[0]], {}, 64))

    assert found["files of features after a run"] is False


def test_a_part_whose_memory_grows_with_every_run_is_seen():
    leaking = [replace(one, memory_mb={"job": 900.0, "spark-worker": 500.0 + 20 * one.number}) for one in rounds(14)]
    found = [measure for measure in judge(leaking, {}, 64) if measure.what.startswith("memory")]

    assert [(measure.what.split(":")[0], measure.met) for measure in found] == [("memory of job", True), ("memory of spark-worker", False)]


def test_two_runs_are_no_trend():
    grown = [replace(one, memory_mb={"job": 100.0 * one.number}) for one in rounds(2)]

    assert not [measure for measure in judge(grown, {}, 64) if measure.what.startswith("memory")]


def test_the_first_third_is_compared_with_the_last_by_their_medians():
    assert thirds([1.0, 9.0, 2.0, 5.0, 5.0, 5.0, 3.0, 4.0, 0.0]) == (2.0, 3.0)


def test_files_are_counted_by_what_they_are_for():
    names = ["features/a.parquet", "features/_delta_log/0.json", "rejects/_delta_log/0.json", "moments/m/x.npz", "latest.json"]
    found = by_folder(dict.fromkeys([*names, "runs/1/manifest.json", "runs/1/pca/a.parquet"], 7))

    assert found == {"features": [7], "log": [7, 7], "moments": [7], "top": [7], "runs": [7, 7], "published": [0]}


def test_a_long_soak_is_shown_by_its_first_its_last_and_some_between():
    lines = rounds_table(rounds(100), most=5).splitlines()

    assert [line.split(" | ")[0] for line in lines[2:]] == ["| 1", "| 25", "| 50", "| 75", "| 100"]


def test_the_page_gets_the_figures_between_its_marks_and_keeps_the_rest():
    assert fill("a\n<!-- soak -->\nold\n<!-- /soak -->\nb\n", "soak", "new \\1") == "a\n<!-- soak -->\n\nnew \\1\n\n<!-- /soak -->\nb\n"
    with pytest.raises(ValueError, match="no marks"):
        fill("a\n", "soak", "new")


@pytest.mark.parametrize(("page", "name"), [("explanation/soak.md", "soak"), ("reference/benchmarks.md", "peers")])
def test_the_page_that_is_published_has_the_marks(page, name):
    assert "new figures" in fill((ROOT / "docs" / page).read_text(encoding="utf-8"), name, "new figures")


def test_memory_of_containers_is_summed_by_service_and_others_do_not_count():
    services = "aa11 spark-worker\nbb22 spark-worker\ncc33 job\ndd44 notebook\nee55 \n"
    stats = {
        "aa11": "anon 100000000\nfile 7000000000\n",
        "bb22": "cache 7000000000\nrss 1\ntotal_rss 1073741824\n",
        "cc33": "anon 500000\nanon_thp 400000\n",
        "ee55": "anon 9000000000\n",
    }

    assert memory_by_service(services, lambda name: stats.get(name, "")) == {"spark-worker": 1173.7, "job": 0.5}
