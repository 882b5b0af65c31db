"""A flag beats the environment, that beats fruits.toml, that beats the default; a wrong file is one clear error."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.errors import UsageError
from cli.settings.config import SETTINGS, example, settings

ROOT = Path(__file__).parents[4]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder, and an environment that sets nothing."""
    monkeypatch.chdir(tmp_path)
    for name in ("FRUITS_CONFIG", "AWS_ACCESS_KEY_ID", "XDG_CACHE_HOME", "XDG_STATE_HOME", *(setting.variable for setting in SETTINGS)):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def fruitsctl(*words):
    return subprocess.run([sys.executable, "-m", "cli", *words], capture_output=True, text=True, check=False)


def test_without_anything_there_are_defaults():
    found = settings()

    assert (found.input, found.output, found.region, found.profile, found.assets) == (None,) * 5
    assert found.cache == Path("~/.cache/fruitsctl").expanduser()
    assert found.state == Path("~/.local/state/fruitsctl").expanduser()
    assert found.driver_memory == "2g"


def test_the_environment_beats_the_file_and_the_file_the_default(here, monkeypatch):
    (here / "fruits.toml").write_text('driver_memory = "4g"\nregion = "eu-west-1"\n')
    assert (settings().driver_memory, settings().region) == ("4g", "eu-west-1")

    monkeypatch.setenv("FRUITS_DRIVER_MEMORY", "8g")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert (settings().driver_memory, settings().region) == ("8g", "eu-central-1")


def test_a_relative_path_starts_where_its_line_is(here, monkeypatch):
    (here / "project").mkdir()
    (here / "project" / "fruits.toml").write_text(
        'input = "photos"\noutput = "s3://bucket/out"\ncache = "/somewhere"\nassets = "../data"\n'
    )
    monkeypatch.setenv("FRUITS_CONFIG", "project/fruits.toml")
    found = settings()

    assert found.input == str(here / "project" / "photos")
    assert found.output == "s3://bucket/out"
    assert found.cache == Path("/somewhere")
    assert found.assets == here / "data"

    monkeypatch.setenv("FRUITS_ASSETS", "mine")
    assert settings().assets == here / "mine"


@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_ACCESS_KEY_ID"])
def test_credentials_of_the_environment_come_before_a_profile_of_the_file(here, monkeypatch, variable):
    (here / "fruits.toml").write_text('profile = "fruits"\n')
    assert settings().profile == "fruits"

    monkeypatch.setenv(variable, "other")
    assert settings().profile is None  # boto3 finds it itself


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('regoin = "eu-west-3"', "unknown setting `regoin` in `fruits.toml`", "did you mean `region`?"),
        (
            "driver_memory = 4",
            "value of `driver_memory` in `fruits.toml` is not a string: `4`",
            'write it as a string: driver_memory = "4g"',
        ),
        ('region = ""', "value of `region` in `fruits.toml` is not a string: ``", 'write it as a string: region = "eu-west-3"'),
        ("region: eu-west-3", "`fruits.toml` is not valid TOML", "write each line as NAME"),
    ],
)
def test_a_wrong_line_is_named(here, text, message, hint):
    (here / "fruits.toml").write_text(text)

    with pytest.raises(UsageError) as caught:
        settings()

    assert str(caught.value).startswith(message)
    assert caught.value.hint.startswith(hint)


def test_a_file_that_is_named_and_not_there_is_an_error(monkeypatch):
    monkeypatch.setenv("FRUITS_CONFIG", "absent.toml")

    with pytest.raises(UsageError, match=r"cannot read `absent\.toml`: No such file or directory"):
        settings()


def test_init_writes_a_file_that_changes_nothing_until_a_line_is_set(here):
    before = settings()
    done = fruitsctl("init")

    assert (done.returncode, done.stdout) == (0, "wrote fruits.toml\n")
    assert settings() == before
    text = (here / "fruits.toml").read_text()
    assert [setting.name for setting in SETTINGS if f'# {setting.name} = "' in text] == [setting.name for setting in SETTINGS]

    (here / "fruits.toml").write_text(re.sub(r'^# (\w+ = ")', r"\1", text, flags=re.M))
    assert settings().input == "s3://my-bucket/photos"  # every example is a valid line


def test_init_sets_what_it_is_told_and_replaces_nothing_unasked(here):
    words = ("init", "--input", 's3://b/my "best" photos', "--region", "eu-west-1")
    assert fruitsctl(*words).returncode == 0
    assert (settings().input, settings().region) == ('s3://b/my "best" photos', "eu-west-1")

    again = fruitsctl("init")
    assert (again.returncode, again.stderr) == (2, "error: `fruits.toml` already exists\n\nhint: edit it, or add --force\n")
    assert settings().region == "eu-west-1"
    assert fruitsctl("init", "--force").returncode == 0
    assert settings().region is None


def test_init_shows_without_writing_and_refuses_london(here):
    assert json.loads(fruitsctl("init", "--dry-run", "--json").stdout)["text"] == example({})
    assert fruitsctl("init", "--region", "eu-west-2").returncode == 3
    assert not (here / "fruits.toml").exists()


def test_a_run_takes_its_places_from_the_file(here):
    missing = fruitsctl("run", "--local", "--dry-run")
    assert missing.returncode == 2
    assert "no INPUT and OUTPUT given" in missing.stderr

    for folder in ("photos", "others"):
        (here / folder).mkdir()
        for name in ("a.jpg", "b.jpg"):
            (here / folder / name).write_bytes(b"listed by its name")
    (here / "fruits.toml").write_text('input = "photos"\noutput = "out"\n')
    command = json.loads(fruitsctl("run", "--local", "--dry-run", "--json").stdout)["command"]
    assert command[3:5] == [f"file://{here}/photos", f"file://{here}/out"] or {f"--input=file://{here}/photos"} <= set(command)

    named = json.loads(fruitsctl("run", "others", "--local", "--dry-run", "--json").stdout)["command"]
    assert f"--input=file://{here}/others" in named


def test_the_reference_page_has_every_setting():
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", page, re.M)

    assert rows == [(setting.name, setting.variable) for setting in SETTINGS]
