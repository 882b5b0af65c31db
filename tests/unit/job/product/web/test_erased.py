"""A photo that is erased while the server runs is gone at the next request, on every route, and the others keep their numbers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from job.erasure import parquet
from job.product import gallery
from job.product.identify.identifier import Identifier
from job.product.web.app import make_app
from job.product.web.limits import Limits
from job.storage.folders import open_folder
from tests.unit.job.product.galleries import RUN, picture, write_gallery

COLOURS = [("Banana", (230, 200, 40)), ("Limes", (60, 140, 40)), ("Limes", (66, 146, 46)), ("Tomato", (200, 30, 20))]
MATRIX = f"runs/{RUN}/pca/part-0.parquet"


@contextmanager
def serving(root: Path, colours: list[tuple[str, tuple[int, int, int]]] = COLOURS) -> Iterator[TestClient]:
    output = write_gallery(root, colours)
    identifier = Identifier(output, weights=lambda which: pytest.fail(which), cache=root / "cache")
    with TestClient(make_app(identifier, Limits(), None), raise_server_exceptions=False) as client:
        yield client


def erase(root: Path, name: str) -> None:
    """What an erasure does: the photo goes, then its row."""
    photo = root / "photos" / name
    photo.unlink(missing_ok=True)
    assert parquet.rewrite_without(open_folder(f"file://{root}"), MATRIX, pa.array([f"file://{photo}"])) == 1


def neighbours(client: TestClient) -> dict[str, str]:
    """Name -> thumbnail of all photos, by both ways to ask for them."""
    found = client.post("/identify?top=20", content=picture((60, 140, 40)), headers={"content-type": "image/png"}).json()
    return {one["name"]: one["thumbnail"] for result in found["results"] for one in result["neighbours"]}


def test_an_erased_photo_is_in_no_answer_and_the_others_keep_their_thumbnails(tmp_path: Path):
    with serving(tmp_path) as client:
        before = neighbours(client)
        pictures = {path: client.get(path).content for path in before.values()}
        assert sorted(before) == ["Banana/0.png", "Limes/1.png", "Limes/2.png", "Tomato/3.png"]
        erase(tmp_path, "Limes/1.png")

        gone = client.get(before.pop("Limes/1.png"))

        assert (gone.status_code, gone.json()["error"]["code"]) == (404, "no_such_photo")
        assert neighbours(client) == before
        assert {path: client.get(path).content for path in before.values()} == {path: pictures[path] for path in before.values()}
        page = client.post("/", files={"photo": picture((60, 140, 40))}).text
        assert sorted(re.findall(r"/thumbnail/\d+", page)) == sorted(before.values())


@pytest.mark.parametrize("first", ["/", "/healthz", "/identify"])
def test_the_last_photo_of_a_label_takes_the_label_with_it_whatever_is_asked_first(tmp_path: Path, first: str):
    with serving(tmp_path) as client:
        thumbnail = neighbours(client)["Tomato/3.png"]
        assert thumbnail in client.get("/").text
        erase(tmp_path, "Tomato/3.png")
        said = client.post(first, files={"photo": picture((1, 2, 3))}) if first == "/identify" else client.get(first)

        assert "Tomato" not in said.text
        assert thumbnail not in client.get("/").text
        assert "3 known photos of 2 kinds" in client.get("/").text
        assert {name: client.get("/healthz").json()[name] for name in ("images", "labels")} == {"images": 3, "labels": 2}


def test_no_answer_may_be_kept_by_a_browser_or_proxy(tmp_path: Path):
    with serving(tmp_path) as client:
        for path in ["/", "/healthz", *neighbours(client).values()]:
            headers = client.get(path).headers
            assert headers["cache-control"] == "no-store", path
            assert not {"etag", "last-modified", "expires", "age"} & set(headers), path


def test_a_browser_that_asks_whether_its_copy_is_still_good_is_told_no(tmp_path: Path):
    with serving(tmp_path) as client:
        thumbnail = neighbours(client)["Limes/2.png"]
        asked = {"If-None-Match": "*", "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}
        assert client.get(thumbnail, headers=asked).status_code == 200
        erase(tmp_path, "Limes/2.png")

        assert client.get(thumbnail, headers=asked).status_code == 404


def test_a_photo_that_was_deleted_and_not_forgotten_has_no_thumbnail_from_memory(tmp_path: Path):
    with serving(tmp_path) as client:
        thumbnail = neighbours(client)["Limes/2.png"]
        assert client.get(thumbnail).status_code == 200
        (tmp_path / "photos" / "Limes" / "2.png").unlink()

        assert client.get(thumbnail).status_code == 404


def test_an_erased_photo_that_is_put_back_is_not_shown_again(tmp_path: Path):
    """Its time says that it is as old as the run: only the matrix tells."""
    with serving(tmp_path) as client:
        photo, thumbnail = tmp_path / "photos" / "Limes" / "2.png", neighbours(client)["Limes/2.png"]
        content, status = photo.read_bytes(), photo.stat()
        erase(tmp_path, "Limes/2.png")
        photo.write_bytes(content)
        os.utime(photo, ns=(status.st_atime_ns, status.st_mtime_ns))

        assert client.get(thumbnail).status_code == 404
        assert "Limes/2.png" not in neighbours(client)


@pytest.mark.parametrize("path", ["/", "/healthz", "/thumbnail/0", "/identify"])
def test_while_a_run_is_being_rewritten_nothing_of_it_is_shown(tmp_path: Path, path: str):
    with serving(tmp_path) as client:
        matrix = tmp_path / MATRIX
        aside = matrix.rename(tmp_path / "aside")

        def ask() -> tuple[int, str]:
            said = client.post(path, files={"photo": picture((1, 2, 3))}) if path == "/identify" else client.get(path)
            assert str(tmp_path) not in said.text
            return said.status_code, said.headers.get("retry-after", "")

        assert ask()[0] == 503
        assert ask()[1]
        aside.rename(matrix)
        assert ask() == (200, "")


def refit(root: Path, mean: float) -> None:
    """What a refit does last: the matrix is written again, then the PCA."""
    matrix, model = root / MATRIX, root / "runs" / RUN / "pca.npz"
    pq.write_table(pq.read_table(matrix), matrix)
    with np.load(model) as arrays:
        np.savez(model, **{**arrays, "mean": np.full(3, mean)})


def test_a_refit_while_the_run_is_opened_again_leaves_no_pca_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with serving(tmp_path) as client:
        erase(tmp_path, "Limes/1.png")
        read_scores = gallery.read_scores

        def slowly(*arguments):
            monkeypatch.undo()
            refit(tmp_path, 0.25)
            return read_scores(*arguments)

        monkeypatch.setattr(gallery, "read_scores", slowly)
        assert client.get("/healthz").status_code == 503

        assert client.get("/healthz").status_code == 200
        assert client.app.state.service.current().identifier.gallery.mean.tolist() == [0.25] * 3


@pytest.mark.parametrize("name", ["pca.npz", "manifest.json"])
def test_a_run_whose_pca_or_manifest_is_written_again_is_read_again(tmp_path: Path, name: str):
    with serving(tmp_path) as client:
        service = client.app.state.service
        before = service.current()
        file = tmp_path / "runs" / RUN / name
        file.with_suffix(".new").write_bytes(file.read_bytes())
        file.with_suffix(".new").replace(file)

        assert service.current() is not before
        assert service.current() is service.current()


def test_when_every_photo_was_erased_nothing_is_shown(tmp_path: Path):
    with serving(tmp_path, [("Banana", (230, 200, 40))]) as client:
        erase(tmp_path, "Banana/0.png")

        assert client.get("/").status_code == 503
        assert client.get("/thumbnail/0").status_code == 503
