"""Photos that visitors teach: what is kept after consent, what every refusal says, and that other sites cannot send any."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import ExifTags, Image

from cli.photos.lessons import without_metadata
from job.contract.errors import InputError, LeaseError, OutputError, RegionError
from job.contract.records import Stage
from job.inputs.fetch import content_etag
from job.product import gallery as gallery_module
from job.product.identify.identifier import Identifier
from job.product.web.app import make_app
from job.product.web.limits import Limits
from job.product.web.teaching import refusal_of
from job.storage.delta_log import DeltaLog
from job.storage.folders import open_folder
from job.storage.lease import Lease
from job.storage.tombstones import add_tombstones
from tests.unit.job.product.galleries import RUN, picture, write_gallery
from tests.unit.job.product.web.test_erased import MATRIX

COLOURS = [("Banana", (230, 200, 40)), ("Limes", (60, 140, 40)), ("Apple Golden 1", (200, 30, 20))]
BLUE, WHITE = (20, 30, 230), (250, 250, 250)
AGREED = {"label": "Plum", "consent": "yes"}


@pytest.fixture
def output(tmp_path):
    fields = {"params": {"model": "mean_colour", "input": f"file://{tmp_path}/out/photos"}, "stages": {"fit": asdict(Stage(0.5, 3))}}
    empty = {"versions": {}, "rejects": {}, "ignored": {}, "generation": 1, "k": 3, "variance": 0.9}
    return write_gallery(tmp_path / "out", COLOURS, counts={"rows": 3, "labels": 3}, **fields, **empty)


@contextmanager
def serving(output, clean=without_metadata, **limits):
    identifier = Identifier(output, weights=lambda which: pytest.fail(which), cache=Path("/nonexistent"))
    with TestClient(make_app(identifier, Limits(**limits), None, clean), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(output):
    with serving(output) as client:
        yield client


def taught(client, colour=BLUE, path="/teach", headers=None, **fields):
    return client.post(path, files={"photo": ("x.png", picture(colour))}, data=AGREED | fields, headers=headers)


def identified(client, colour):
    return client.post("/identify?top=20", files={"photo": picture(colour)}).json()


def thumbnails(client):
    return {
        one["name"]: one["thumbnail"] for result in identified(client, BLUE)["results"] for one in result["neighbours"]
    }  # of all photos: there are fewer than voters


def photos(output):
    return sorted(path for path in Path(output.removeprefix("file://"), "photos").rglob("*") if path.is_file())


def test_without_the_switch_nothing_can_be_taught_and_the_refusal_names_it(output):
    with serving(output, clean=None) as client:
        refused = taught(client)
        assert client.get("/teach").status_code == 404
        said = client.get("/").text + client.post("/", files={"photo": picture(BLUE)}).text

        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "teaching_off")
        assert refused.json()["error"]["hint"] == "start it with `fruitsctl serve --teach`"
        assert taught(client, path="/taught").status_code == client.get("/taught").status_code == 404
        assert "teach" not in said.lower()
        assert "processed in memory and not stored" in said
        assert "/teach" not in client.get("/openapi.json").text
        headers = client.get("/").headers
        assert headers["referrer-policy"] == "no-referrer"
        assert "connect-src" not in headers["content-security-policy"]
    assert len(photos(output)) == 3


def test_a_taught_photo_is_kept_without_metadata_and_is_in_the_next_answer(client, output):
    assert identified(client, BLUE)["best"] is None
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Telltale"
    photo = io.BytesIO()
    Image.new("RGB", (60, 40), BLUE).save(photo, "JPEG", exif=exif)
    answer = client.post("/teach", files={"photo": photo.getvalue()}, data=AGREED)

    (path,) = [path for path in photos(output) if path.parent.name == "Plum"]
    assert b"Telltale" not in path.read_bytes()
    assert (answer.status_code, answer.json()) == (
        201,
        {
            "run_id": RUN,
            "label": "Plum",
            "address": str(path),
            "erase": f"fruitsctl forget {path} --output {output.removeprefix('file://')}",
            "new": True,
        },
    )
    assert client.post("/identify", files={"photo": photo.getvalue()}).json()["best"] == "Plum"
    assert client.get("/healthz").json()["images"] == 4


def test_teaching_again_adds_nothing(client, output):
    assert taught(client).status_code == 201
    again = taught(client)

    assert (again.status_code, again.json()["new"]) == (200, False)
    assert len(photos(output)) == 4


def test_thumbnails_keep_their_numbers_and_a_new_photo_gets_one_that_none_has_had(client, output, tmp_path):
    before = thumbnails(client)
    taught(client)
    first = {name: path for name, path in thumbnails(client).items() if name.startswith("Plum/")}
    assert {name: path for name, path in thumbnails(client).items() if name not in first} == before
    assert list(first.values()) == ["/thumbnail/3"]
    shown = Image.open(io.BytesIO(client.get("/thumbnail/3").content)).convert("RGB").getpixel((5, 5))
    assert shown == pytest.approx(BLUE, abs=6)

    part = next((tmp_path / "out" / Path(MATRIX).parent).glob("part-00001*"))
    part.unlink()  # what an erasure of the photo leaves of its part
    next(path for path in photos(output) if path.parent.name == "Plum").unlink()
    assert client.get("/thumbnail/3").status_code == 404
    taught(client, WHITE, label="Coconut")

    assert client.get("/thumbnail/3").status_code == 404
    assert [path for name, path in thumbnails(client).items() if name.startswith("Coconut/")] == ["/thumbnail/4"]


def test_a_taught_photo_that_was_changed_has_no_thumbnail(client, output):
    address = taught(client).json()["address"]
    assert client.get("/thumbnail/3").status_code == 200
    Path(address).write_bytes(picture(WHITE))

    assert client.get("/thumbnail/3").status_code == 404


@pytest.mark.parametrize(
    ("typed", "label"),
    [
        ("banana", "Banana"),
        ("Banane", "Banana"),
        (" Plum ", "Plum"),
        ("pomme", "Apple"),
        ("apple golden 1", "Apple Golden 1"),
        ("Mirabelle d’été", "Mirabelle d’été"),
    ],
)
def test_a_label_is_spelled_as_the_run_spells_it(client, typed, label):
    assert taught(client, label=typed).json()["label"] == label


@pytest.mark.parametrize(
    ("fields", "status", "code", "value"),
    [
        ({"consent": ""}, 400, "no_consent", "no consent"),
        ({"consent": "no"}, 400, "no_consent", "`no`"),
        ({"label": ""}, 400, "no_label", "`label`"),
        ({"label": "  "}, 400, "no_label", "`label`"),
        ({"label": "../Apple"}, 422, "bad_label", "`../Apple`"),
        ({"label": ".git"}, 422, "bad_label", "`.git`"),
        ({"label": "x" * 256}, 422, "bad_label", "x`"),
    ],
)
def test_what_a_visitor_did_not_fill_in_is_said_with_its_value_and_nothing_is_stored(client, output, fields, status, code, value):
    refused = taught(client, **fields)

    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
    assert value in refused.json()["error"]["message"]
    assert refused.json()["error"]["hint"]
    assert len(photos(output)) == 3


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "unreadable"),
        (b"no picture", 422, "unreadable"),
        (picture(BLUE)[:60], 422, "unreadable"),
        (picture(BLUE, "GIF"), 422, "unreadable"),  # its metadata cannot be removed for certain
        (bytes(1_000_001), 413, "too_large"),
    ],
    ids=["empty", "text", "cut", "gif", "large"],
)
def test_what_is_no_photo_to_teach_is_refused(output, content, status, code):
    with serving(output, photo_bytes=1_000_000) as client:
        refused = client.post("/teach", files={"photo": ("x.png", content)}, data=AGREED)

    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
    assert len(photos(output)) == 3


def test_the_image_alone_carries_neither_label_nor_consent(client):
    refused = client.post("/teach", content=picture(BLUE), headers={"content-type": "image/png"})

    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "no_consent")
    assert client.post("/teach", content=b"{}", headers={"content-type": "application/json"}).status_code == 415


def test_a_form_without_a_photo_is_refused(client):
    refused = client.post("/teach", files={"other": b"x"}, data=AGREED)

    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "no_photo")


def test_too_many_photos_are_refused_by_the_same_count_as_questions(output):
    with serving(output, photos_per_minute=1) as client:
        identified(client, BLUE)
        refused = taught(client)

    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many")


def test_while_another_run_holds_the_lease_nothing_is_stored(client, output):
    with Lease.acquire(open_folder(output), "another"):
        refused = taught(client)

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "lease")
    assert "another" in refused.json()["error"]["message"]
    assert refused.headers["retry-after"]
    assert len(photos(output)) == 3
    assert taught(client).status_code == 201


def test_a_photo_that_was_erased_on_request_does_not_come_back(client, output):
    add_tombstones(open_folder(output), [content_etag(without_metadata(picture(BLUE)))])
    refused = taught(client)

    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "erased")
    assert len(photos(output)) == 3


def test_if_the_features_cannot_be_committed_the_photo_is_taken_back(client, output, monkeypatch):
    def full(*_):
        raise OutputError("no space left on `out`", "free some space")

    with monkeypatch.context() as broken:
        broken.setattr(DeltaLog, "commit", full)
        refused = taught(client)

    assert (refused.status_code, refused.json()["error"]) == (
        503,
        {"code": "storage", "message": "no space left on `out`", "hint": "free some space"},
    )
    assert len(photos(output)) == 3
    assert taught(client).status_code == 201


def test_an_input_that_is_gone_is_a_failure_of_the_storage(client, tmp_path):
    (tmp_path / "out" / "photos").rename(tmp_path / "moved")
    refused = taught(client)

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "storage")
    assert "photos" in refused.json()["error"]["message"]


def test_a_label_that_is_a_file_in_input_is_a_failure_of_the_storage(client, output, tmp_path):
    (tmp_path / "out" / "photos" / "Plum").write_bytes(b"")
    refused = taught(client)

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "storage")
    assert "Plum" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("error", "status", "code", "hint"),
    [
        (LeaseError("taken", "run again"), 409, "lease", "send it again once that run or erasure has ended"),
        (RegionError("`b` is in us-east-1", "use another bucket"), 403, "region", "use another bucket"),
        (InputError("gone", ""), 503, "storage", "check that the server can write to INPUT and OUTPUT"),
    ],
)
def test_each_error_of_the_job_has_its_status_and_one_hint(error, status, code, hint):
    refused = refusal_of(error)

    assert (refused.status, refused.code, refused.message, refused.hint) == (status, code, str(error), hint)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),  # a program
        ({"sec-fetch-site": "same-origin", "origin": "https://behind.a.proxy.example"}, 201),
        ({"sec-fetch-site": "none"}, 201),
        ({"origin": "http://testserver"}, 201),  # plain HTTP in a network: no Sec-Fetch-Site
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site", "origin": "http://testserver"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://testserver.evil.example"}, 403),
        ({"origin": "http://testserver:8001"}, 403),
        ({"origin": "null"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/teach", "/taught"])
def test_a_page_of_another_site_cannot_teach(client, output, path, headers, status):
    assert taught(client, path=path, headers=headers).status_code == status
    assert len(photos(output)) == (4 if status == 201 else 3)


def test_the_api_describes_teaching_and_its_errors(client):
    described = client.get("/openapi.json").json()["paths"]["/teach"]["post"]

    assert set(described["responses"]) == {*("200", "201", "400", "403", "408", "409", "413", "415", "421", "422", "429", "503", "504")}
    assert described["requestBody"]["content"]["multipart/form-data"]["schema"]["required"] == ["photo", "label", "consent"]


@pytest.mark.parametrize(
    ("language", "offer", "consent", "known", "footer"),
    [
        ("en", "Do you know it? Teach it", "I agree that this server stores the photo", "Banana", "stored only if you agree"),
        ("fr", "Vous le connaissez", "J’accepte que ce serveur conserve la photo", "Banane", "conservée que si vous acceptez"),
    ],
)
def test_the_page_offers_it_after_an_answer_with_the_groups_of_the_run(client, language, offer, consent, known, footer):
    text = client.post(f"/?lang={language}", files={"photo": picture(BLUE)}).text

    for words in (offer, consent, f'<option value="{known}">', footer):
        assert words in text
    assert footer in client.get(f"/?lang={language}").text
    unreadable = client.post(f"/?lang={language}", files={"photo": b"no picture"}).text
    assert offer not in unreadable


def test_a_confident_answer_offers_a_correction_that_is_closed(client):
    text = client.post("/?lang=en", files={"photo": picture(COLOURS[0][1])}).text

    assert "<h1>Banana</h1>" in text
    assert '<details class="card teach">' in text
    assert "Wrong? Teach it" in text


@pytest.mark.parametrize(("language", "first", "second"), [("en", "Learned: Plum", "Known already: Plum"), ("fr", "Appris", "Déjà connu")])
def test_the_page_shows_where_the_photo_is_and_how_to_erase_it(client, output, language, first, second):
    pages = [taught(client, path=f"/taught?lang={language}") for _ in range(2)]

    (path,) = [path for path in photos(output) if path.parent.name == "Plum"]
    assert [page.status_code for page in pages] == [201, 200]
    assert first in pages[0].text
    assert second in pages[1].text
    for page in pages:
        assert f"<code>{path}</code>" in page.text
        assert f"fruitsctl forget {path} --output {output.removeprefix('file://')}" in page.text


def test_a_label_with_markup_is_shown_as_text(client):
    text = taught(client, path="/taught", label="<b>Plum").text

    assert "&lt;b&gt;Plum" in text
    assert "<b>" not in text


def test_a_refusal_is_a_page_in_the_visitor_s_language(client):
    refused = taught(client, path="/taught?lang=fr", consent="")

    assert refused.status_code == 400
    assert "faute d’accord" in refused.text


def test_the_address_of_an_answer_leads_back_to_the_start(client):
    back = client.get("/taught?lang=fr", follow_redirects=False)

    assert (back.status_code, back.headers["location"]) == (303, "/?lang=fr")


def test_one_photo_is_taught_at_a_time_and_answers_go_on_meanwhile(output):
    inside, go_on = threading.Semaphore(0), threading.Event()

    def slowly(content):
        inside.release()
        assert go_on.wait(30)
        return without_metadata(content)

    with serving(output, slowly, photos_at_once=1) as client, ThreadPoolExecutor(2) as visitors:
        lessons = [visitors.submit(taught, client, colour, label=label) for colour, label in ((BLUE, "Plum"), (WHITE, "Coconut"))]
        assert inside.acquire(timeout=30)
        assert identified(client, COLOURS[0][1])["best"] == "Banana"
        assert not inside.acquire(timeout=0.3)  # the second photo waits
        go_on.set()

        assert [lesson.result().status_code for lesson in lessons] == [201, 201]
        assert client.get("/healthz").json()["images"] == 5


def test_a_photo_that_takes_too_long_may_be_stored_later_and_the_refusal_says_so(output):
    go_on = threading.Event()

    def slowly(content):
        assert go_on.wait(30)
        return without_metadata(content)

    with serving(output, slowly, seconds=0.5) as client:
        refused = taught(client)
        go_on.set()
        again = next(answer for answer in (taught(client) for _ in range(20)) if answer.status_code not in (503, 504))

    assert (refused.status_code, refused.json()["error"]["code"]) == (504, "teaching_slow")
    assert "may be stored" in refused.json()["error"]["message"]
    assert again.status_code == 200
    assert len(photos(output)) == 4


def test_an_answer_while_a_photo_arrives_is_not_refused(client, monkeypatch):
    """The manifest is written after the matrix: who reads in between reads again."""
    service, read_scores = client.app.state.service, gallery_module.read_scores
    taught(client)

    def in_between(folder, run_id):
        monkeypatch.undo()
        scores = read_scores(folder, run_id)
        folder.write(f"runs/{run_id}/manifest.json", folder.read(f"runs/{run_id}/manifest.json").content + b"\n")
        return scores

    monkeypatch.setattr(gallery_module, "read_scores", in_between)
    with service.changing():
        assert identified(client, BLUE)["best"] == "Plum"
