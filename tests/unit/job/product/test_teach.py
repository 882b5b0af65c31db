"""Photos taught to a run on disk: what is written, what is taken back when it fails, and that the same call resumes."""

from dataclasses import asdict
from functools import partial

import pyarrow.parquet as pq
import pytest

from job.contract.errors import InputError, LeaseError, OutputError
from job.contract.records import Stage
from job.inputs.fetch import stat_etag
from job.product import teach as module
from job.product.gallery import open_gallery
from job.product.identify.identifier import Identifier
from job.product.teach import Lesson, check_label, teach
from job.storage import data_files
from job.storage.delta_log import DeltaLog
from job.storage.folders import open_folder
from job.storage.lease import Lease
from job.storage.schema import FEATURES
from job.storage.tombstones import add_tombstones
from tests.unit.job.product.galleries import RUN, picture, write_gallery

COLOURS = [("Tomato 1", (200, 40, 30)), ("Limes", (60, 150, 40))]
YELLOW = (240, 220, 60)


def manifest_fields(input_uri):
    return {
        "generation": 1,
        "params": {"model": "mean_colour", "input": input_uri},
        "versions": {},
        "counts": {"rows": 2, "labels": 2},
        "rejects": {},
        "ignored": {},
        "stages": {"fit": asdict(Stage(0.5, 2))},
        "k": 3,
        "variance": 0.9,
    }


@pytest.fixture
def output(tmp_path):
    return write_gallery(tmp_path / "out", COLOURS, **manifest_fields(f"file://{tmp_path}/out/photos"))


@pytest.fixture
def identifier(output, tmp_path):
    return Identifier(output, weights=lambda which: pytest.fail(which), cache=tmp_path)


def lesson(colour=YELLOW, label="Banana", size=(60, 40)):
    return Lesson("IMG_1.png", label, partial(picture, colour, size=size))


def learn(identifier, *lessons):
    return teach(identifier, list(lessons), lambda done, total: None)


def features_of(output):
    return [row for table in data_files.read_table(open_folder(output), "features", FEATURES) for row in table.to_pylist()]


def photos_in(tmp_path):
    return sorted((tmp_path / "out" / "photos").rglob("*.png"))


def test_a_photo_is_in_input_in_the_table_and_in_the_matrix(identifier, output, tmp_path):
    result = learn(identifier, lesson())

    (path,) = (tmp_path / "out" / "photos" / "Banana").iterdir()
    assert (result.run_id, result.added, result.already, result.refused) == (RUN, [f"file://{path}"], [], [])
    (row,) = features_of(output)
    assert (row["uri"], row["etag"], row["label"], row["width"], row["height"]) == (
        f"file://{path}",
        stat_etag(path.stat()),
        "Banana",
        60,
        40,
    )
    assert row["embedding"] == pytest.approx([240 / 255, 220 / 255, 60 / 255])
    gallery = open_gallery(output)
    (number,) = [number for number in range(3) if gallery.uri(number) == f"file://{path}"]
    assert gallery.names[gallery.codes[number]] == "Banana"
    part = pq.read_table(tmp_path / "out" / "runs" / RUN / "pca" / "part-00001.zstd.parquet")
    assert part["pc"].to_pylist() == [pytest.approx([240 / 255 - 0.5, 220 / 255 - 0.5, 60 / 255 - 0.5])]


def fail(error):
    def failing(*_, **__):
        raise error

    return failing


@pytest.mark.parametrize(
    "error", [OutputError("disk full"), LeaseError("taken over"), KeyboardInterrupt()], ids=lambda error: type(error).__name__
)
@pytest.mark.parametrize(
    ("place", "name"), [(module, "find_image"), (data_files, "write"), (DeltaLog, "commit")], ids=["etag", "file", "commit"]
)
def test_a_photo_without_features_is_taken_back(identifier, output, tmp_path, monkeypatch, error, place, name):
    before = photos_in(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(place, name, fail(error))
        with pytest.raises(type(error)):
            learn(identifier, lesson())

    assert photos_in(tmp_path) == before
    assert features_of(output) == []
    assert len(learn(identifier, lesson()).added) == 1


@pytest.mark.parametrize("place", ["part", "manifest"])
def test_after_the_commit_the_same_call_resumes(identifier, output, tmp_path, monkeypatch, place):
    with monkeypatch.context() as broken:
        if place == "part":
            broken.setattr(module, "write_part", fail(KeyboardInterrupt()))
        else:
            broken.setattr(module, "counted", fail(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            learn(identifier, lesson())
    assert len(features_of(output)) == 1

    learn(identifier, lesson())
    assert (len(features_of(output)), len(open_gallery(output)), len(photos_in(tmp_path))) == (1, 3, 3)
    stored = open_folder(output).read(f"runs/{RUN}/manifest.json")
    assert b'"rows": 3' in stored.content
    assert b"1 photo taught after the run" in stored.content


def test_an_existing_photo_stays_where_teaching_fails(identifier, tmp_path, monkeypatch):
    learn(identifier, lesson())
    before = photos_in(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(module, "read_table", fail(OutputError("cannot read")))
        with pytest.raises(OutputError):
            learn(identifier, lesson())
    assert photos_in(tmp_path) == before


def test_nothing_is_written_while_another_run_holds_the_lease(identifier, output, tmp_path):
    before = photos_in(tmp_path)
    with Lease.acquire(open_folder(output), "another"), pytest.raises(LeaseError, match="another"):
        learn(identifier, lesson())
    assert photos_in(tmp_path) == before


def test_photos_that_cannot_be_used_are_refused_and_the_others_taught(identifier, output):
    add_tombstones(open_folder(output), [module.content_etag(picture((1, 2, 3)))])
    bad = Lesson("cut.png", "Kiwi", lambda: picture(YELLOW)[:60])
    result = learn(identifier, bad, lesson((1, 2, 3), "Plum"), lesson(), lesson())

    assert [source for source, _ in result.refused] == ["cut.png", "IMG_1.png"]
    assert result.refused[1][1] == "erased on request"
    assert len(result.added) == 1


def test_an_input_that_is_gone_is_not_made_again(identifier, tmp_path):
    (tmp_path / "out" / "photos").rename(tmp_path / "moved")
    with pytest.raises(InputError, match="photos"):
        learn(identifier, lesson())
    assert not (tmp_path / "out" / "photos").exists()


@pytest.mark.parametrize("label", ["Apple", "Äpfel", "Apple Red 1", "りんご", "a.b", "x" * 255])
def test_names_of_folders_are_labels(label):
    check_label(label)


@pytest.mark.parametrize(
    "label", ["", ".", "..", "a/b", "a\\b", " Apple", "Apple ", ".git", "@eaDir", "a\nb", "a\0b", "\udcff", "x" * 256, "a\u0301"]
)
def test_names_that_a_listing_would_change_or_leave_out_are_not(label):
    with pytest.raises(InputError, match="cannot be a label"):
        check_label(label)


def test_a_second_part_gets_the_next_number(identifier, output, tmp_path):
    for colour in (YELLOW, (10, 20, 200)):
        learn(identifier, lesson(colour))
        identifier = identifier.reopened()
    names = sorted(path.name for path in (tmp_path / "out" / "runs" / RUN / "pca").glob("*.parquet"))
    assert names == ["part-0.parquet", "part-00001.zstd.parquet", "part-00002.zstd.parquet"]
    assert len(open_gallery(output)) == 4


@pytest.mark.parametrize("error", [OutputError("no response"), KeyboardInterrupt()], ids=["lost", "Ctrl-C"])
def test_a_photo_whose_features_were_committed_stays(identifier, output, tmp_path, monkeypatch, error):
    publish = DeltaLog._publish

    def published(log, version):
        publish(log, version)
        if version:
            raise error

    with monkeypatch.context() as broken:
        broken.setattr(DeltaLog, "_publish", published)
        with pytest.raises(type(error)):
            learn(identifier, lesson())

    assert (len(photos_in(tmp_path)), len(features_of(output))) == (3, 1)
    assert len(learn(identifier, lesson()).added) == 1


def test_the_same_content_under_another_name_is_not_stored_again(identifier, output, tmp_path):
    path = tmp_path / "out" / "photos" / "Banana" / "IMG_1.png"
    path.parent.mkdir()
    path.write_bytes(lesson().read())
    result = learn(identifier, lesson())

    assert result.added == [f"file://{path}"]
    assert [row["uri"] for row in features_of(output)] == result.added
    assert len(photos_in(tmp_path)) == 3


def test_a_stored_photo_that_was_changed_is_not_given_these_features(identifier, output, tmp_path):
    learn(identifier, lesson())
    (path,) = (tmp_path / "out" / "photos" / "Banana").iterdir()
    path.write_bytes(lesson((1, 2, 3)).read())

    with pytest.raises(InputError, match="was changed"):
        learn(identifier.reopened(), lesson())
    assert len(features_of(output)) == 1
