"""What `fruitsctl forget` refuses before Spark starts, and how it reads what it is given."""

import pytest
from typer.testing import CliRunner

from cli.commands.app import app
from cli.commands.results import forget
from cli.errors import UsageError


def error_of(*words):
    result = CliRunner().invoke(app, ["forget", *words])
    assert isinstance(result.exception, UsageError), result.output
    return result.exception


@pytest.fixture(autouse=True)
def no_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_nothing_named_is_no_wish_to_forget_everything():
    assert str(error_of("--output", "out")) == "no photos given"


@pytest.mark.parametrize("text", ["180", "d", "-1d", "1.5d", "2w", ""])
def test_an_age_that_is_none_is_refused(text):
    error = error_of("--retention", text or " ", "--output", "out", "--yes")
    assert f"`{text or ' '}` is not a valid duration" in str(error)


def test_ages_are_seconds():
    assert [forget._seconds(text) for text in ("180d", "12h", "5m", "0s")] == [15_552_000.0, 43_200.0, 300.0, 0.0]


def test_a_list_that_cannot_be_read_is_named():
    assert "cannot read `no-such-file`" in str(error_of("--list", "no-such-file", "--output", "out", "--yes"))


def test_without_a_terminal_nothing_is_erased_unasked():
    error = error_of("photo.jpg", "--output", "out")
    assert (str(error), error.hint) == ("cannot ask for confirmation: stdin is not a terminal", "check with --dry-run, then add --yes")


def test_a_slash_at_the_end_of_a_prefix_stays():
    assert forget._prefix("s3://bucket/photos/Apple/") == "s3://bucket/photos/Apple/"
    assert forget._prefix("s3://bucket/photos/Apple") == "s3://bucket/photos/Apple"
    assert forget._prefix("/photos/Apple/") == "file:///photos/Apple/"


def test_a_plan_names_the_runs_whose_rows_would_go():
    plan = {"images": ["file:///p/a.jpg"], "photos": 1, "copies": [], "runs": {"r2": 1_200, "r1": 1}}

    said = forget._planned(plan, "s3://b/out", refit=False).splitlines()

    assert said[2:5] == ["These published runs contain them; their reports will be rewritten:", "  r1: 1 row", "  r2: 1,200 rows"]
    assert said[5] == "Their PCA keeps the mean of all photos, from which erased features can be computed; add --refit to prevent it."
    assert said[5] not in forget._planned(plan, "s3://b/out", refit=True).splitlines()


@pytest.mark.parametrize(
    "name", ["a\u2028y.jpg", "a\x85y.jpg", "a\x0by.jpg", "a\x0cy.jpg", "a\x1cy.jpg", "a\ry.jpg", "a.jpg  ", "  a.jpg", "a.jpg\t"]
)
def test_a_line_of_a_list_is_one_address_whatever_its_name_holds(tmp_path, name):
    listed = tmp_path / "list.txt"
    listed.write_bytes(f"/photos/{name}\r\n\ns3://b/{name}\nfile:///photos/{name}".encode())

    assert forget._lines(listed) == [f"/photos/{name}", f"s3://b/{name}", f"file:///photos/{name}"]


@pytest.mark.parametrize(
    "line", ["y.jpg", "./y.jpg", "photos/y.jpg", "~/y.jpg", " /y.jpg", " ", "gs://b/y.jpg", "file://y.jpg", "arn:aws:s3:::b/y.jpg"]
)
def test_a_list_has_whole_addresses_only(tmp_path, line):
    listed = tmp_path / "list.txt"
    listed.write_text(f"s3://b/x.jpg\n{line}\n")

    error = error_of("--list", str(listed), "--output", "out", "--yes")

    assert str(error) == f"`{line}` in line 2 of `{listed}` is not a whole address"
    assert error.hint == "write s3://bucket/key, file:///path or /path in each line"


@pytest.mark.parametrize(
    ("typed", "uri"),
    [
        ("s3://bucket/photos//", "s3://bucket/photos//"),
        ("s3a://bucket/photos/Anna///", "s3://bucket/photos/Anna///"),
        ("s3://bucket//", "s3://bucket//"),
        ("s3://bucket//photos", "s3://bucket//photos"),
        ("s3://bucket/", "s3://bucket/"),
        ("/photos//", "file:///photos/"),
        ("file:///photos/Apple//", "file:///photos/Apple/"),
    ],
)
def test_slashes_of_a_prefix_on_s3_are_a_part_of_it_and_on_a_disk_they_are_one(typed, uri):
    """`s3://bucket//` is a folder without a name: never all of the bucket."""
    assert forget._prefix(typed) == uri


def test_what_was_erased_before_is_said_with_its_time():
    done = {"removed": {}, "searched": {}, "before": {"file:///p/a.jpg": "2026-01-02T03:04:05+00:00"}, "unknown": []}

    assert forget._receipt(done, "file:///out").splitlines()[1:] == ["/p/a.jpg was erased before: 2026-01-02T03:04:05+00:00"]
