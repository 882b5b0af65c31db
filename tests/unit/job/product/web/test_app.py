"""The application on a real small gallery (mean colours of 12 pictures): what it answers, refuses and never tells."""

import base64
import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from PIL import ExifTags, Image

from job.imaging.decode import decode_image
from job.imaging.networks import MeanColour
from job.product.fruits import fruit_of, group_of
from job.product.identify.identifier import Identifier
from job.product.web.answers import FruitCard, Identified
from job.product.web.app import make_app
from job.product.web.html import page
from job.product.web.limits import Limits
from job.product.web.safety import LOOPBACK, allowed_hosts

COLOURS = {"Banana": (230, 200, 40), "Tomato 1": (200, 30, 20), "Limes": (60, 140, 40)}
RUN = "20260101T000000Z-0000"


def picture(colour, kind="PNG", size=(60, 40), **options):
    buffer = io.BytesIO()
    Image.new("RGB", size, tuple(int(value) for value in colour)).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """What a run leaves that identify reads: pca/, pca.npz, manifest.json, latest.json; axes are the colours themselves."""
    root = tmp_path_factory.mktemp("output")
    rows = []
    for label, colour in COLOURS.items():
        for i in range(4):
            path = root / "photos" / label / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(np.clip(np.array(colour) + 3 * i, 0, 255)))
            features = MeanColour()(decode_image(path.read_bytes(), MeanColour.size_px).pixels)
            rows.append({"uri": f"file://{path}", "label": label, "pc": (features - 0.5).tolist()})
    run = root / "runs" / RUN
    (run / "pca").mkdir(parents=True)
    schema = pa.schema([("uri", pa.string()), ("label", pa.string()), ("pc", pa.list_(pa.float32()))])
    pq.write_table(pa.Table.from_pylist(sorted(rows, key=lambda row: row["uri"]), schema), run / "pca" / "part-0.parquet")
    np.savez(run / "pca.npz", mean=np.full(3, 0.5), scale=np.ones(3), components=np.eye(3), eigenvalues=np.ones(3), n=np.int64(12))
    now = datetime.now(UTC).isoformat()
    params = {"model": "mean_colour", "engine": "litert"}
    about = {"run_id": RUN, "created_at": now, "model": "mean_colour-v2", "fitted_by": RUN, "params": params}
    (run / "manifest.json").write_text(json.dumps(about))
    (root / "latest.json").write_text(json.dumps({"run_id": RUN, "generation": 1}))
    return root


@pytest.fixture(scope="module")
def identifier(output, tmp_path_factory):
    def no_weights(which):
        raise AssertionError(f"a model without weights asks for {which}")

    return Identifier(f"file://{output}", weights=no_weights, cache=tmp_path_factory.mktemp("cache"))


def client_of(identifier, hosts=None, **limits):
    return TestClient(make_app(identifier, Limits(**limits), hosts), raise_server_exceptions=False)


@pytest.fixture
def client(identifier):
    with client_of(identifier) as client:
        yield client


def test_a_form_and_the_bare_image_get_the_same_answer(client):
    photo = picture(COLOURS["Banana"])
    by_form = client.post("/identify", files={"photo": ("x.png", photo, "image/png")})
    bare = client.post("/identify", content=photo, headers={"content-type": "image/png"})

    assert by_form.status_code == bare.status_code == 200
    assert by_form.json() == bare.json()
    assert (bare.json()["status"], bare.json()["best"], bare.json()["group"]) == ("ok", "Banana", "Banana")
    assert bare.json()["fruit"]["names"] == {"en": "Banana", "fr": "Banane"}
    assert bare.json()["run_id"] == RUN


def test_top_is_how_many_labels_come_back(client):
    photo = picture(COLOURS["Banana"])
    found = [client.post(f"/identify?top={top}", files={"photo": photo}).json()["results"] for top in (1, 2, 20)]

    assert [len(results) for results in found] == [1, 2, 3]
    assert found[0] == found[2][:1]


def test_look_alikes_are_names_and_rows_never_paths_of_the_server(client, output):
    found = client.post("/identify", files={"photo": picture(COLOURS["Limes"])})

    alike = found.json()["results"][0]["neighbours"][0]
    assert re.fullmatch(r"Limes/\d\.png", alike["name"])
    assert re.fullmatch(r"/thumbnail/\d+", alike["thumbnail"])
    assert str(output) not in found.text
    assert "file:" not in found.text


def test_a_thumbnail_shows_the_photo_that_its_row_names(client):
    alike = client.post("/identify", files={"photo": picture(COLOURS["Tomato 1"])}).json()["results"][0]["neighbours"][0]
    answer = client.get(alike["thumbnail"])

    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["cache-control"] == "no-store"
    red, green, blue = Image.open(io.BytesIO(answer.content)).convert("RGB").getpixel((5, 5))
    assert red > 180
    assert max(green, blue) < 60


@pytest.mark.parametrize("row", ["12", "99999999999999999999999"])
def test_a_row_that_is_not_there_is_404(client, row):
    answer = client.get(f"/thumbnail/{row}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_such_photo")


@pytest.mark.parametrize("row", ["-1", "x", "1.5", "..%2f..%2fetc%2fpasswd", "file:%2f%2f%2fetc%2fpasswd"])
def test_a_thumbnail_is_asked_for_by_number_only(client, row):
    assert client.get(f"/thumbnail/{row}").status_code in (404, 422)


def test_a_photo_that_is_gone_has_no_thumbnail_until_it_is_back(identifier):
    with client_of(identifier) as client:
        uris = identifier.gallery.uris.to_pylist()
        row, path = next((row, Path(uri.removeprefix("file://"))) for row, uri in enumerate(uris) if uri.endswith("Limes/3.png"))
        aside = path.rename(path.with_suffix(".aside"))
        assert client.get(f"/thumbnail/{row}").status_code == 404
        aside.rename(path)
        assert client.get(f"/thumbnail/{row}").status_code == 200


@pytest.mark.parametrize(
    "content",
    [b"", b"no picture", picture((1, 2, 3))[:60], b"%PDF-1.7", picture((1, 2, 3), "GIF")[:10]],
    ids=["empty", "text", "cut", "pdf", "gif header"],
)
def test_what_is_no_picture_is_unreadable_and_says_why(client, content):
    answer = client.post("/identify", content=content, headers={"content-type": "image/jpeg"})

    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["results"]) == ("unreadable", [])
    assert answer.json()["reason"]


def test_a_decompression_bomb_is_unreadable(client):
    """400 megapixels in 50 KB: refused by its header, before any pixel is made."""
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    answer = client.post("/identify", files={"photo": bomb.getvalue()})

    assert answer.json()["status"] == "unreadable"
    assert answer.json()["reason"] == "too many pixels: 20000x20000"


def test_a_photo_too_large_is_413_by_what_it_announces_and_by_what_comes(identifier):
    with client_of(identifier, photo_bytes=1000) as client:
        kind = {"content-type": "image/png"}
        announced = client.post("/identify", content=b"x" * 1001, headers=kind)
        streamed = client.post("/identify", content=iter([b"x" * 600] * 3), headers=kind)
        form = client.post("/identify", files={"photo": b"x" * 1001})
        fits = client.post("/identify", content=b"x" * 1000, headers=kind)

    assert [answer.status_code for answer in (announced, streamed, form, fits)] == [413, 413, 413, 200]
    assert announced.json()["error"]["code"] == "too_large"


@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [
        ("text/plain", b"x", 415),
        ("", b"x", 415),
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=a", b"rubbish", 400),
        (
            "multipart/form-data; boundary=a",
            b'--a\r\nContent-Disposition: form-data; name="other"; filename="x"\r\n\r\nx\r\n--a--\r\n',
            400,
        ),
        ("multipart/form-data; boundary=a", b'--a\r\nContent-Disposition: form-data; name="photo"\r\n\r\nx\r\n--a--\r\n', 400),
        ("multipart/form-data; charset=hex; boundary=a", b'--a\r\nContent-Disposition: form-data; name="p"\r\n\r\nx\r\n--a--\r\n', 400),
    ],
)
def test_a_body_that_is_no_photo_is_refused(client, kind, content, status):
    answer = client.post("/identify", content=content, headers={"content-type": kind})

    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"code", "message", "hint"}
    assert answer.json()["error"]["hint"]


def test_a_large_photo_in_a_form_touches_no_disk(client, monkeypatch, tmp_path):
    """Starlette's own parser spools parts of more than 1 MB to a temporary file: with no place for one it would fail."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "not there"))
    noise = np.random.default_rng(7).integers(0, 255, (900, 900, 3), np.uint8)
    photo = io.BytesIO()
    Image.fromarray(noise).save(photo, "PNG")
    assert len(photo.getvalue()) > 2_000_000

    assert client.post("/identify", files={"photo": photo.getvalue()}).status_code == 200


def test_too_many_photos_are_429_with_a_time_to_come_back_and_pages_still_open(identifier):
    with client_of(identifier, photos_per_minute=2) as client:
        photo = {"photo": picture(COLOURS["Banana"])}
        answers = [client.post("/identify", files=photo) for _ in range(3)]
        shown = client.post("/?lang=fr", files=photo)

        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert 1 <= int(answers[2].headers["retry-after"]) <= 31
        assert shown.status_code == 429
        assert "Patientez une minute" in shown.text
        assert client.get("/").status_code == 200


def test_the_page_says_in_the_visitor_s_language_what_the_fruit_is(client):
    photo = {"photo": picture(COLOURS["Banana"])}
    english = client.post("/", files=photo, headers={"accept-language": "en"})
    french = client.post("/", files=photo, headers={"accept-language": "fr-FR,fr;q=0.9"})

    assert "<h1>Banana</h1>" in english.text
    assert "giant herb" in english.text
    assert "<h1>Banane</h1>" in french.text
    assert "herbe géante" in french.text
    assert '<html lang="fr">' in french.text
    assert french.headers["content-language"] == "fr"
    assert "<h1>Banana</h1>" in client.post("/?lang=en", files=photo, headers={"accept-language": "fr"}).text


def form_as_browsers_send_it(*files):
    """(file name, content) each; an input without a file is a file without a name."""
    parts = [b'--b\r\nContent-Disposition: form-data; name="photo"; filename="%s"\r\n\r\n%s\r\n' % file for file in files]
    return {"content": b"".join(parts) + b"--b--\r\n", "headers": {"content-type": "multipart/form-data; boundary=b"}}


def test_the_form_s_two_fields_may_come_in_either_order(client):
    """The page has one input for the camera and one for a file."""
    none, photo = (b"", b""), (b"a.png", picture(COLOURS["Banana"]))

    assert "<h1>Banana</h1>" in client.post("/", **form_as_browsers_send_it(none, photo)).text
    assert "<h1>Banana</h1>" in client.post("/", **form_as_browsers_send_it(photo, none)).text


def test_a_form_sent_without_a_photo_says_so(client):
    answer = client.post("/", **form_as_browsers_send_it((b"", b""), (b"", b"")))

    assert answer.status_code == 400
    assert "No photo was sent." in answer.text


def test_an_empty_file_is_a_photo_that_cannot_be_read(client):
    assert "This file cannot be read" in client.post("/", **form_as_browsers_send_it((b"a.jpg", b""))).text


def test_the_photo_comes_back_small_and_without_where_it_was_taken(client):
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (48.0, 51.0, 24.0)
    exif[ExifTags.Base.Make] = "Telltale"
    photo = picture(COLOURS["Banana"], "JPEG", (900, 300), exif=exif)
    assert b"Telltale" in photo

    shown = client.post("/", files={"photo": photo})

    small = base64.b64decode(re.search(r"data:image/webp;base64,([^\"]+)", shown.text).group(1))
    assert Image.open(io.BytesIO(small)).size == (512, 170)
    assert b"Telltale" not in small
    assert not Image.open(io.BytesIO(small)).getexif()


def told(language="en", label=None, **values):
    """The page for an answer of one result; by default of a label that is certain."""
    group = values.get("group") or group_of(label)
    fruit = fruit_of(label or group)
    found = {"label": label or "Limes", "group": group, "score": 1.0, "distance": 0.0, "neighbours": []}
    common = {"status": "ok", "best": label, "group": group, "score": 1.0, "results": [found], "distance": 0.0, "threshold": 0.1}
    common |= values
    unsaid = {"reason": None, "seen_as": None, "second_opinion": False, "run_id": RUN, "pca_run_id": RUN, "model": "m"}
    answer = Identified(**unsaid | common, fruit=FruitCard(**fruit.to_dict()) if fruit else None)
    return page.answer_page(page.Look(language, Limits()), answer, None)


def test_a_label_with_markup_in_it_is_shown_as_text():
    text = told(label="<script>alert(1)</script>")

    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_the_page_names_the_group_and_then_what_says_more():
    assert re.search(r"<h1>Apple</h1>\s*<p class=\"variety\">most similar to Apple Golden 1</p>", told(label="Apple Golden 1"))
    assert re.search(
        r"<h1>Mandarine</h1>\s*<p class=\"variety\">le plus proche : Clementine, Clémentine</p>", told("fr", label="Clementine")
    )
    assert "variety" not in told(label="Banana")


def test_what_is_unknown_shows_what_comes_nearest_without_a_share_that_could_be_taken_for_certainty():
    text = told(status="unknown", group="Lemon")

    assert "<h1>Unknown fruit</h1>" in text
    assert "Most similar" in text
    assert "%" not in text
    assert "<meter" not in text


def test_the_page_says_in_both_languages_that_there_is_no_second_opinion(client):
    photo = {"photo": picture(COLOURS["Banana"])}

    assert "No second opinion: the ImageNet classifier belongs to the trained network." in client.post("/?lang=en", files=photo).text
    assert "Pas de second avis" in client.post("/?lang=fr", files=photo).text
    assert client.post("/identify", files=photo).json()["second_opinion"] is False
    assert "second opinion" not in told(label="Banana", second_opinion=True)


def test_where_varieties_disagree_the_page_names_the_group_alone():
    text = told("fr", group="Apple")

    assert "<h1>Pomme</h1>" in text
    assert "Malus domestica" in text
    assert "variety" not in text
    assert "None" not in text


@pytest.mark.parametrize("path", ["/", "/identify", "/healthz", "/thumbnail/0", "/static/page.js", "/openapi.json", "/nothing"])
def test_every_answer_tells_browsers_to_be_careful(client, path):
    headers = client.get(path).headers

    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "geolocation=()" in headers["permissions-policy"]
    assert "cache-control" in headers


def test_pages_and_answers_are_kept_nowhere(client):
    photo = {"photo": picture(COLOURS["Banana"])}

    assert client.post("/", files=photo).headers["cache-control"] == "no-store"
    assert client.post("/identify", files=photo).headers["cache-control"] == "no-store"


def test_the_page_holds_no_inline_script_and_nothing_from_elsewhere(client):
    text = client.post("/", files={"photo": picture(COLOURS["Banana"])}).text

    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", text)
    assert re.findall(r"https?://[^\"' ]+", text) == []


@pytest.mark.parametrize(
    ("host", "status"), [("localhost:8000", 200), ("127.0.0.1", 200), ("[::1]:8000", 200), ("evil.example:8000", 421), ("", 421)]
)
def test_on_this_machine_alone_it_answers_to_its_own_names_only(identifier, host, status):
    """DNS rebinding: a page elsewhere makes its own name point to 127.0.0.1, but cannot change the name it sends."""
    with client_of(identifier, LOOPBACK) as client:
        answer = client.get("/healthz", headers={"host": host})

    assert answer.status_code == status
    assert "content-security-policy" in answer.headers


def test_the_names_follow_from_the_address_it_listens_on():
    assert allowed_hosts("127.0.0.1") == allowed_hosts("localhost") == allowed_hosts("::1") == {"localhost", "127.0.0.1", "[::1]"}
    assert allowed_hosts("0.0.0.0") is allowed_hosts("::") is allowed_hosts("192.0.2.7") is allowed_hosts("fruits.example") is None


def test_the_api_describes_every_error_it_gives_and_loads_nothing_from_elsewhere(client):
    described = client.get("/openapi.json").json()

    assert set(described["paths"]) == {"/healthz", "/identify", "/thumbnail/{row}"}
    codes = {"200", "400", "408", "413", "415", "421", "422", "429", "503", "504"}
    assert set(described["paths"]["/identify"]["post"]["responses"]) == codes
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404


def test_healthz_names_the_run(client):
    healthy = {"status": "ok", "run_id": RUN, "model": "mean_colour-v2", "images": 12, "labels": 3}

    assert client.get("/healthz").json() == healthy
