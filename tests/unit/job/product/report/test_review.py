"""What a review says about known scores: counts, ends, neighbours; and that a large run is sampled, always alike."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from job.product.report import review
from job.storage.folders import open_folder


@pytest.fixture
def read(tmp_path):
    def write_and_read(rows, parts=1):
        """rows: (uri, label, scores)"""
        pca = tmp_path / "runs" / "r" / "pca"
        pca.mkdir(parents=True, exist_ok=True)
        for number in range(parts):
            part = rows[number::parts]
            columns = {"uri": [row[0] for row in part], "label": pa.array([row[1] for row in part], pa.string())}
            scores = pa.array([np.asarray(row[2], np.float32) for row in part], pa.list_(pa.float32()))
            pq.write_table(pa.table(columns | {"pc": scores}), pca / f"part-{number}.parquet")
        return review.read_sample(open_folder(f"file://{tmp_path}"), "r", len(rows))

    return write_and_read


def test_a_small_run_is_read_whole_whatever_its_parts(read):
    rows = [(f"file:///{i}", None if i == 3 else "ab"[i % 2], [i, -i]) for i in range(10)]

    sample = read(rows, parts=3)

    assert {(uri, label, *scores) for uri, label, scores in zip(sample.uris, sample.labels, sample.scores.tolist(), strict=True)} == {
        (uri, label, *map(float, scores)) for uri, label, scores in rows
    }
    assert (sample.counts, sample.rows) == ({"a": 5, "b": 4, None: 1}, 10)


def test_a_large_run_is_sampled_by_name_and_its_counts_are_of_all(read, monkeypatch):
    monkeypatch.setattr(review, "SAMPLE", 200)
    rows = [(f"file:///photos/{i:05}.jpg", "ab"[i % 2], [i]) for i in range(4000)]

    sample, again = read(rows), read(rows[::-1], parts=4)

    assert 150 <= len(sample.uris) <= 200
    assert set(sample.uris) == set(again.uris)
    assert (sample.counts, sample.rows) == ({"a": 2000, "b": 2000}, 4000)
    assert 0.35 < sample.labels.count("a") / len(sample.labels) < 0.65
    assert all(int(score[0]) == int(uri[15:20]) for uri, score in zip(sample.uris, sample.scores, strict=True))


def test_the_ends_of_a_component_show_each_label_once(read):
    rows = [(f"u{i}", "abc"[i // 10], [i, 0]) for i in range(30)]
    sample = read(rows)

    first = review.component_extremes(sample)[0]

    assert first.component == 1
    assert [sample.uris[row] for row in first.low][:2] == ["u0", "u10"]
    assert [sample.uris[row] for row in first.high][:2] == ["u29", "u19"]
    assert len(set(first.low)) == len(first.low) == 6


def test_ends_of_three_images_do_not_overlap(read):
    (end,) = review.component_extremes(read([(f"u{i}", "a", [i]) for i in range(3)]))

    assert len(end.low) == len(end.high) == 1
    assert end.low != end.high


def test_neighbours_count_what_is_right_by_label_by_fruit_and_what_is_taken_for_what(read):
    # Arrows by their angle: the third Golden lies between Reds, the Banana is the only one and is not asked.
    rows = [("g1", "Apple Golden 1", 0), ("g2", "Apple Golden 1", 2), ("g3", "Apple Golden 1", 41)]
    rows += [("r1", "Apple Red 1", 40), ("r2", "Apple Red 1", 45), ("r3", "Apple Red 1", 46), ("b", "Banana", 90)]
    sample = read([(uri, label, [np.cos(np.radians(a)), np.sin(np.radians(a))]) for uri, label, a in rows])

    found = review.neighbours(sample)

    assert (found.queries, found.gallery) == (6, 7)
    assert found.right == pytest.approx(4 / 6)
    assert found.right_group == 1.0  # apples taken for other apples
    assert found.by_label == [("Apple Golden 1", 3, 2), ("Apple Red 1", 3, 2)]
    assert [(c.label, c.taken_for, c.images) for c in found.confusions] == [
        ("Apple Golden 1", "Apple Red 1", 1),
        ("Apple Red 1", "Apple Golden 1", 1),
    ]
    golden = found.confusions[0]
    assert (sample.uris[golden.row], sample.uris[golden.neighbour]) == ("g3", "r1")
    assert golden.distance == pytest.approx(1 - np.cos(np.radians(1)), abs=1e-5)
    assert found.identify["images"] == 6


def test_without_labels_there_is_nothing_to_ask(read):
    found = review.neighbours(read([(f"u{i}", None, [i, 1]) for i in range(5)]))

    assert (found.queries, found.by_label, found.confusions) == (0, [], [])
    assert found.identify["threshold"] == 0


def test_many_queries_are_bounded(read, monkeypatch):
    monkeypatch.setattr(review, "PAIRS", 1000)
    monkeypatch.setattr(review, "POINTS", 20)

    found = review.neighbours(read([(f"u{i}", "a", [i, 1]) for i in range(100)]))

    assert (found.queries, found.gallery, found.right) == (20, 100, 1.0)
