"""Small files on the local disk: replaced whole, compared before they are swapped, errors in words."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from job.attempt import attempt
from job.contract.errors import OutputError
from job.contract.params import Params
from job.storage import local_store
from job.storage.folders import open_folder
from job.storage.object_store import Conflict

SHA256_OF_A = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


def test_what_is_written_is_read_back_with_its_sha256(tmp_path: Path):
    folder = open_folder(f"file://{tmp_path}")

    folder.write("runs/x/a.txt", b"a")
    stored = folder.read("runs/x/a.txt")

    assert stored is not None
    assert (stored.content, stored.version) == (b"a", SHA256_OF_A)


@pytest.mark.parametrize("output", ["s3a://fruits/out", "s3n://fruits/out", "S3://fruits/out", "hdfs://host/out", "gs://fruits/out"])
def test_an_output_that_only_spark_would_know_is_refused(output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As arguments of the job itself: the files would be in the working directory, and what Spark keeps in a place that nothing checks."""
    monkeypatch.chdir(tmp_path)

    outcome = attempt(Params("file:///photos", output, "r1"))

    assert (outcome.code, outcome.kind) == (2, "OutputError")
    assert outcome.message == f"`{output}` is not an address of a local folder or of S3"
    assert outcome.hint == "write s3://bucket/prefix, or file:///path"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist_holds_nothing(tmp_path: Path):
    folder = open_folder(f"file://{tmp_path}/nowhere")

    folder.delete("a")
    folder.delete_tree("a")

    assert folder.read("a") is None
    assert folder.names() == []
    assert not (tmp_path / "nowhere").exists()


def test_names_with_special_characters_are_taken_as_they_are(tmp_path: Path):
    folder = open_folder(f"file://{tmp_path}/a b#1%20é🍎")

    folder.write("x=1 %2F.txt", b"1")

    assert folder.names() == ["x=1 %2F.txt"]
    assert (tmp_path / "a b#1%20é🍎" / "x=1 %2F.txt").read_bytes() == b"1"


def test_swap_creates_only_what_does_not_exist(tmp_path: Path):
    folder = open_folder(f"file://{tmp_path}/out")

    assert folder.compare_and_swap("pointer", b"a", None) == SHA256_OF_A
    with pytest.raises(Conflict):
        folder.compare_and_swap("pointer", b"b", None)
    assert (tmp_path / "out/pointer").read_bytes() == b"a"


def test_swap_replaces_only_the_version_it_was_told(tmp_path: Path):
    folder = open_folder(f"file://{tmp_path}")
    folder.write("pointer", b"a")

    second = folder.compare_and_swap("pointer", b"b", SHA256_OF_A)
    with pytest.raises(Conflict):
        folder.compare_and_swap("pointer", b"c", SHA256_OF_A)
    folder.compare_and_swap("pointer", b"d", second)

    assert (tmp_path / "pointer").read_bytes() == b"d"


def test_swap_does_not_create_a_file_that_was_deleted_meanwhile(tmp_path: Path):
    with pytest.raises(Conflict):
        open_folder(f"file://{tmp_path}").compare_and_swap("pointer", b"b", SHA256_OF_A)

    assert not (tmp_path / "pointer").exists()


def count_up(uri: str, times: int) -> None:
    folder, done = open_folder(uri), 0
    while done < times:
        stored = folder.read("counter")
        assert stored is not None
        try:
            folder.compare_and_swap("counter", str(int(stored.content) + 1).encode(), stored.version)
            done += 1
        except Conflict:
            pass


def test_no_swap_of_three_processes_is_lost(tmp_path: Path):
    uri = f"file://{tmp_path}"
    open_folder(uri).write("counter", b"0")
    context = multiprocessing.get_context("spawn")
    counters = [context.Process(target=count_up, args=(uri, 20)) for _ in range(3)]
    for counter in counters:
        counter.start()
    for counter in counters:
        counter.join()

    assert [counter.exitcode for counter in counters] == [0, 0, 0]
    assert (tmp_path / "counter").read_bytes() == b"60"


def test_a_swap_that_is_stopped_half_way_stops_no_other_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(local_store, "GUARD_SECONDS", 0.2)
    folder = open_folder(f"file://{tmp_path}")
    version = folder.compare_and_swap("pointer", b"a", None)

    with open(tmp_path / ".guard", "ab") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="pointer` is locked by a suspended process"):
            folder.compare_and_swap("pointer", b"b", version)

    assert (tmp_path / "pointer").read_bytes() == b"a"


def test_names_are_the_next_level_only_sorted_and_without_hidden_ones(tmp_path: Path):
    folder = open_folder(f"file://{tmp_path}")
    for name in ("runs/b/manifest.json", "runs/a/csv/part.csv", "runs/c.txt", "runs/.hidden", "other.txt"):
        folder.write(name, b"")

    assert folder.names("runs") == ["a", "b", "c.txt"]
    assert folder.names() == ["other.txt", "runs"]


def test_delete_tree_takes_that_folder_and_follows_no_link(tmp_path: Path):
    folder = open_folder(f"file://{tmp_path}/out")
    folder.write("run/a/b.txt", b"1")
    folder.write("runner/a.txt", b"2")
    (tmp_path / "precious").write_text("kept")
    os.symlink(tmp_path, tmp_path / "out/run/loop")

    folder.delete_tree("run")
    folder.delete("runner/a.txt")

    assert folder.names() == ["runner"]
    assert folder.names("runner") == []
    assert (tmp_path / "precious").read_text() == "kept"


def test_upload_copies_a_file_and_leaves_nothing_beside_it(tmp_path: Path):
    (tmp_path / "source").write_bytes(b"x" * 3_000_000)

    open_folder(f"file://{tmp_path}/out").upload("logs/run.log", str(tmp_path / "source"))

    assert os.listdir(tmp_path / "out/logs") == ["run.log"]
    assert (tmp_path / "out/logs/run.log").stat().st_size == 3_000_000


def test_a_full_disk_is_said_so_and_the_old_content_stays(tmp_path: Path):
    """/dev/full answers every write as a full disk does; the temporary file is led there."""
    folder = open_folder(f"file://{tmp_path}")
    folder.write("a.txt", b"old")
    os.symlink("/dev/full", tmp_path / f".a.txt.{os.getpid()}-{threading.get_ident()}.part")

    with pytest.raises(OutputError, match=r"^no space left for `.*/a\.txt`$") as raised:
        folder.write("a.txt", b"new")

    assert raised.value.hint == "free space on its disk, then run the same command again"
    assert os.listdir(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_bytes() == b"old"


def write_without_rights(folder: str, said: Connection) -> None:
    os.chdir(folder)
    if os.getuid() == 0:  # root may write everywhere
        os.setuid(65534)
    try:
        open_folder("file://.").write("a.txt", b"1")
    except OutputError as error:
        said.send((str(error), error.hint))
    said.close()


def test_a_folder_that_may_not_be_written_is_named_with_a_way_out(tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir(mode=0o555)
    context = multiprocessing.get_context("fork")  # a new interpreter might not be readable for that user
    hears, said = context.Pipe(duplex=False)
    child = context.Process(target=write_without_rights, args=(str(out), said))
    child.start()
    said.close()

    assert hears.recv() == (
        "no permission to read or write `./a.txt`: Permission denied",
        "make OUTPUT readable and writable for this user, or choose another",
    )
    child.join()


def test_a_file_where_a_folder_should_be_is_an_output_error(tmp_path: Path):
    (tmp_path / "out").touch()

    with pytest.raises(OutputError, match=r"out/a\.txt`"):
        open_folder(f"file://{tmp_path}/out").write("a.txt", b"1")
