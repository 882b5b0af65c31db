"""Which photos are held back: by folder or by hash, always the same ones, and each label on both sides."""

import pytest

from job.product.report.splits import split, top_folders


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        ("s3://b/in/Training/Kiwi/1.jpg", "Training"),
        ("s3://b/in/a/b/Kiwi/1.jpg", "a"),
        ("s3://b/in/Kiwi/1.jpg", None),
        ("s3://b/in/1.jpg", None),
        ("s3://b/other/Training/Kiwi/1.jpg", None),
        ("s3://b/input/Training/Kiwi/1.jpg", None),
    ],
)
def test_the_top_folder_is_the_first_below_input_that_is_not_the_label(uri, folder):
    assert top_folders([uri], "s3://b/in") == top_folders([uri], "s3://b/in/") == [folder]


def test_the_folders_of_input_decide_where_it_has_both():
    labels = ["Kiwi", "Kiwi", "Kiwi", "Plum", "Plum", "Lime", "Fig", None]
    folders = ["Training", "Test", "extra", "train", "TESTING", "Training", "Test", "Test"]

    parts = split([f"u{row}" for row in range(8)], labels, folders)

    assert (parts.training.tolist(), parts.test.tolist()) == ([0, 3], [1, 4])
    assert (parts.by_folder, parts.labels, parts.left_out) == (True, 2, 2)


@pytest.mark.parametrize("folders", [[None] * 27, ["Training"] * 27, ["a"] * 13 + ["Test"] * 14], ids=["none", "one", "no training"])
def test_else_one_in_five_of_each_label_is_held_back_and_the_order_of_rows_makes_no_difference(folders):
    uris = [f"file:///photos/{row}.jpg" for row in range(27)]
    labels = [*("ab" * 10), "c", "c", "d", *([None] * 4)]

    parts, again = split(uris, labels, folders), split(uris[::-1], labels[::-1], folders[::-1])

    held = {uris[row] for row in parts.test}
    assert held == {uris[::-1][row] for row in again.test}
    assert sorted(labels[row] for row in parts.test) == [*("a" * 2), *("b" * 2), "c"]
    assert sorted(labels[row] for row in parts.training) == [*("a" * 8), *("b" * 8), "c"]
    assert (parts.by_folder, parts.labels, parts.left_out) == (False, 3, 1)


def test_a_photo_that_is_added_moves_at_most_one_other():
    uris = [f"file:///photos/{row}.jpg" for row in range(30)]
    held = {uris[row] for row in split(uris, ["a"] * 30, [None] * 30).test}
    more = [*uris, "file:///photos/new.jpg"]

    assert len(held - {more[row] for row in split(more, ["a"] * 31, [None] * 31).test}) <= 1
