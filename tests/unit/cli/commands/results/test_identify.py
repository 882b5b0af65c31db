"""`fruitsctl identify` as a separate process, on galleries of plain colours: cards, JSON, exit codes, what goes wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cli
from cli.commands.results.identify import card, text_of
from cli.errors import AssetError
from cli.photos.assets import KERAS_TOP_URL, top_weights
from job.product.identify.answer import Answer
from tests.unit.job.odd_files import REASONS, write_odd_files
from tests.unit.job.product.galleries import RUN, picture, write_gallery

ROOT = Path(cli.__file__).parents[1]
RED, GREEN = (200, 40, 30), (60, 150, 40)
KNOWN = {"threshold": 0.05, "typical": 0.02, "median": 0.01, "images": 2.0, "right": 1.0}
LEAN = """
import importlib.util as util
find = util.find_spec
util.find_spec = lambda name, *more: None if name == "ai_edge_litert" else find(name, *more)
"""


def fruitsctl(folder, *arguments, content=None, **environment):
    folders = {"FRUITS_CACHE": str(folder / "cache"), "FRUITS_STATE": str(folder / "state")}
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **folders, **environment}
    return subprocess.run(
        [sys.executable, "-m", "cli", *map(str, arguments)], cwd=folder, env=variables, input=content, capture_output=True
    )


@pytest.fixture
def home(tmp_path):
    write_gallery(tmp_path / "out", [("Tomato 1", RED), ("Limes", GREEN)], identify=KNOWN)
    (tmp_path / "red.png").write_bytes(picture(RED))
    (tmp_path / "blue.png").write_bytes(picture((20, 20, 250)))
    (tmp_path / "note.pdf").write_bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    return tmp_path


def test_a_card_names_the_fruit_and_says_what_it_is(home):
    done = fruitsctl(home, "identify", "red.png", "--output", "out")

    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0
    assert lines[0] == "red.png: Tomato, Tomato 1  (100%)"
    assert "Solanum lycopersicum, Solanaceae; season: " in lines[2]
    assert "0.000" in lines[5]
    assert lines[5].endswith("/out/photos/Tomato 1/0.png")
    assert done.stderr == b""


def test_unknown_is_an_answer_and_no_failure(home):
    done = fruitsctl(home, "identify", "blue.png", "--output", "out")

    assert done.returncode == 0
    assert done.stdout.startswith(b"blue.png: unknown, no photo of this collection is similar enough\n")


@pytest.mark.parametrize(
    ("distance", "score", "seen_as", "why"),
    [
        (0.4, 0.9, "Lemon", "no photo of this collection is similar enough"),
        (0.2, 0.5, None, "it resembles several fruits"),
        (0.2, 0.9, "Lemon", "the nearest photos are only a guess: the ImageNet classifier says `Lemon`"),
    ],
)
def test_unknown_says_which_rule_kept_the_name_back(distance, score, seen_as, why):
    answer = Answer("unknown", RUN, RUN, "m", threshold=0.3, distance=distance, score=score, seen_as=seen_as)

    assert card("kitchen.jpg", answer).splitlines()[0] == f"kitchen.jpg: unknown, {why}"


@pytest.mark.timeout(60)
def test_what_is_no_file_is_an_error_and_the_others_are_answered(home):
    write_odd_files(home / "odd")

    done = fruitsctl(home, "identify", *(f"odd/{name}" for name in REASONS), "red.png", "--output", "out")

    assert done.returncode == 1
    assert done.stdout.startswith(b"red.png: Tomato")
    said = done.stderr.decode().lower()
    assert all(f"error: cannot read `odd/{name}`: {reason}\n" in said for name, reason in REASONS.items())


def test_json_holds_an_answer_per_photo_in_their_order(home):
    done = fruitsctl(home, "identify", "red.png", "blue.png", "--output", "out", "--top", "1", "--json")

    answers = json.loads(done.stdout)["answers"]
    assert [(a["photo"], a["status"], a["best"], len(a["results"])) for a in answers] == [
        ("red.png", "ok", "Tomato 1", 1),
        ("blue.png", "unknown", None, 1),
    ]
    assert {answer["run_id"] for answer in answers} == {RUN}


def test_a_model_without_a_classifier_says_once_that_there_is_no_second_opinion(home):
    said = "No second opinion: the ImageNet classifier belongs to the trained network"
    text = fruitsctl(home, "identify", "red.png", "blue.png", "--output", "out").stdout.decode()
    answers = json.loads(fruitsctl(home, "identify", "red.png", "blue.png", "--output", "out", "--json").stdout)["answers"]

    assert text.count(said) == 1
    assert text.splitlines()[-1] == said
    assert [answer["second_opinion"] for answer in answers] == [False, False]
    assert said not in text_of({"red.png": Answer("unknown", RUN, RUN, "m", threshold=0.3, second_opinion=True)})


def test_a_photo_comes_in_by_a_pipe(home):
    done = fruitsctl(home, "identify", "-", "--output", "out", content=picture(RED, "JPEG"))

    assert done.stdout.startswith(b"-: Tomato")


def test_what_is_no_image_exits_with_1_after_the_others_were_answered(home):
    done = fruitsctl(home, "identify", "note.pdf", "red.png", "--output", "out")

    assert done.returncode == 1
    assert done.stdout.startswith(b"note.pdf\n  unreadable: not an image\n\nred.png: Tomato")
    assert b"error: 1 of 2 files cannot be read: `note.pdf`" in done.stderr
    assert b"hint: use JPEG, HEIC, PNG" in done.stderr


def test_a_photo_that_is_not_there_is_named_after_the_others_were_answered(home):
    done = fruitsctl(home, "identify", "gone.jpg", "red.png", "--output", "out")

    assert done.returncode == 1
    assert done.stdout.startswith(b"red.png: Tomato")
    assert b"error: cannot read `gone.jpg`: No such file or directory\n\nhint: give image files, for example photos/*/*.jpg" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "error", "hint"),
    [
        (["gone.jpg", "--output", "out"], 1, "cannot read `gone.jpg`: No such file or directory", "give image files"),
        (["red.png"], 2, "no OUTPUT given", "add --output"),
        (["red.png", "--output", "empty"], 2, "there is no run in `/", "create one with `fruitsctl run INPUT OUTPUT --local`"),
        (["red.png", "--output", "out", "--run", "20200101T000000Z-0000"], 2, "no finished run `20200101T000000Z-0000`", "omit --run"),
    ],
)
def test_what_is_missing_is_named_with_a_way_out(home, arguments, code, error, hint):
    done = fruitsctl(home, "identify", *arguments, FRUITS_OUTPUT="")

    assert (done.returncode, done.stdout) == (code, b"")
    assert error in done.stderr.decode()
    assert f"hint: {hint}" in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_an_installation_without_the_network_says_what_to_install(home):
    (home / "lean").mkdir()
    (home / "lean" / "sitecustomize.py").write_text(LEAN)
    done = fruitsctl(home, "identify", "red.png", "--output", "out", PYTHONPATH=f"{home / 'lean'}:{ROOT}")

    assert done.returncode == 2
    assert b"error: the extra `job` is not installed\n\nhint: run `uv tool install '.[job]'` in the checkout" in done.stderr


def test_neither_spark_nor_tensorflow_is_imported(home):
    code = (
        "import sys; sys.argv = ['fruitsctl', 'identify', 'red.png', '--output', 'out']\n"
        "from cli.commands.app import app\n"
        "try: app()\nexcept SystemExit: pass\n"
        "sys.exit(','.join({'pyspark', 'tensorflow', 'keras'} & set(sys.modules)) or 0)"
    )
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=home, env=variables, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("red.png: Tomato")


def test_the_classifier_comes_from_the_assets_beside_the_network(assets, tmp_path):
    found = top_weights(assets, tmp_path, lambda done, total: None)

    assert found.parent == assets / "weights"
    assert "no_top" not in found.name
    assert KERAS_TOP_URL.endswith("/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5")


def test_assets_without_the_classifier_are_an_error_that_names_the_folder(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "a_no_top.h5").write_bytes(b"")

    with pytest.raises(AssetError, match=r"no file \*\.h5 with the top in `.*weights`"):
        top_weights(tmp_path, tmp_path / "cache", lambda done, total: None)
