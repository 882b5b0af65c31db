"""`fruitsctl image push` with a real engine and a real registry: the digest, a second push, interruptions, logins, ECR's part by moto."""

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path

import boto3
import pytest
import requests
from moto import mock_aws

from cli.commands.aws import image_push
from cli.container import ecr
from cli.container import push as registries
from cli.container.docker import inspect_image
from cli.container.logins import Login, logged_in
from cli.container.manifest import read_manifest
from cli.container.push import ImageReference
from cli.container.pushed import PushedImage, last_pushed
from cli.errors import FruitsError, UsageError
from tests.waiting import wait_until

TOKEN = "123456789012-auth-token"  # moto's
KIB, MIB = 1024, 1024 * 1024


def test_a_push_prints_the_digest_that_the_registry_reports_for_the_tag(push, registry, make_image):
    image = make_image("fruits-test:plain", KIB, 10)

    done = push(f"{registry.host}/fruitsctl", "--image", image, "--tag", "v1")

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{registry.host}/fruitsctl@{registry.digest('fruitsctl', 'v1')}\n"
    assert "Pushed" in done.stderr


def test_json_has_image_digest_tag_and_repository_and_later_commands_find_them(push, registry, make_image, home):
    image = make_image("fruits-test:json", KIB)

    done = push(registry.host, "--image", image, "--json")

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    tag = inspect_image(image)["Id"][len("sha256:") :][:12]
    digest = registry.digest("fruitsctl", tag)
    uri = f"{registry.host}/fruitsctl"
    assert said == {"image": f"{uri}@{digest}", "digest": digest, "tag": tag, "repository": uri}
    assert last_pushed(home / "fruits_state", uri) == PushedImage(f"{uri}@{digest}", digest, tag, uri)


def test_a_second_push_of_the_same_image_sends_nothing_and_prints_the_same(push, registry, make_image):
    image = make_image("fruits-test:twice", KIB, KIB)
    first = push(f"{registry.host}/fruitsctl", "--image", image)
    sent = registry.writes()

    second = push(f"{registry.host}/fruitsctl", "--image", image)

    assert sent == 4  # two layers, the configuration and the manifest
    assert registry.writes() == sent
    assert (second.returncode, second.stdout) == (0, first.stdout)
    assert "already exists" in second.stderr


def test_the_same_tag_for_another_image_gives_that_images_digest(push, registry, make_image):
    older, newer = make_image("fruits-test:older", KIB), make_image("fruits-test:newer", KIB)

    outs = [push(f"{registry.host}/fruitsctl", "--image", image, "--tag", "v1").stdout for image in (older, newer)]

    assert outs[0] != outs[1] == f"{registry.host}/fruitsctl@{registry.digest('fruitsctl', 'v1')}\n"


def test_an_interrupted_push_resumes_where_it_was(push, registry, make_image):
    image = make_image("fruits-test:interrupted", KIB, 150 * MIB)
    process = push(f"{registry.host}/fruitsctl", "--image", image, "--tag", "v1", wait=False)
    wait_until(lambda: len(registry.layers("fruitsctl")) == 1 and registry.arriving("fruitsctl") > MIB, lambda: process.poll() is None)

    os.killpg(process.pid, signal.SIGINT)  # Ctrl-C reaches fruitsctl and docker alike
    out, _ = process.communicate()

    assert (process.returncode, out) == (130, "")
    [arrived], before = registry.layers("fruitsctl"), registry.writes()
    again = push(f"{registry.host}/fruitsctl", "--image", image, "--tag", "v1")
    assert again.returncode == 0, again.stderr
    assert "Layer already exists" in again.stderr
    assert again.stdout == f"{registry.host}/fruitsctl@{registry.digest('fruitsctl', 'v1')}\n"
    assert arrived in registry.layers("fruitsctl")
    assert registry.writes() - before == 3  # the other layer, the configuration, the manifest


def test_a_registry_that_dies_in_the_middle_of_a_layer_and_comes_back_gets_the_image(push, registry, make_image):
    image = make_image("fruits-test:died", KIB, 150 * MIB)
    process = push(f"{registry.host}/fruitsctl", "--image", image, "--tag", "v1", wait=False)
    wait_until(lambda: len(registry.layers("fruitsctl")) == 1 and registry.arriving("fruitsctl") > MIB, lambda: process.poll() is None)

    registry.kill()
    registry.start()
    out, err = process.communicate()

    assert process.returncode == 0, err
    assert out == f"{registry.host}/fruitsctl@{registry.digest('fruitsctl', 'v1')}\n"
    assert len(registry.layers("fruitsctl")) == 3


def test_a_registry_that_comes_up_while_we_wait_gets_the_image(registry, make_image, home):
    image = inspect_image(make_image("fruits-test:late", KIB))
    registry.kill()
    pauses = []

    def wait(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            registry.start()

    manifest = registries.push(image, ImageReference(registry.host, "fruitsctl", "v1"), None, sleep=wait)

    assert manifest.digest == registry.digest("fruitsctl", "v1")
    assert pauses == [2.0, 6.0]


def test_a_registry_that_stays_away_is_named_after_four_attempts(registry, make_image, home):
    image = inspect_image(make_image("fruits-test:away", KIB))
    registry.kill()
    pauses = []

    with pytest.raises(FruitsError, match=f"no response from `{registry.host}`"):
        registries.push(image, ImageReference(registry.host, "fruitsctl", "v1"), None, sleep=pauses.append)

    assert pauses == [2.0, 6.0, 18.0]


def test_a_registry_that_wants_a_login_says_which(push, closed_registry, make_image):
    done = push(f"{closed_registry.host}/fruitsctl", "--image", make_image("fruits-test:nologin", KIB))

    assert (done.returncode, done.stdout) == (1, "")
    assert f"error: access denied by `{closed_registry.host}`: " in done.stderr
    assert done.stderr.endswith(f"hint: run `docker login {closed_registry.host}`\n")


def test_dockers_own_login_is_used_for_other_registries(push, closed_registry, make_image):
    login = ["docker", "login", "--username", "AWS", "--password-stdin", closed_registry.host]
    subprocess.run(login, input=TOKEN, text=True, check=True, capture_output=True)

    done = push(f"{closed_registry.host}/fruitsctl", "--image", make_image("fruits-test:login", KIB), "--tag", "v1")

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{closed_registry.host}/fruitsctl@{closed_registry.digest('fruitsctl', 'v1', auth=('AWS', TOKEN))}\n"
    assert TOKEN not in done.stderr


@pytest.fixture
def account(closed_registry, home, monkeypatch):
    """AWS by moto, whose account has its ECR registry at the address of the real one."""
    tempfile.tempdir = None  # read TMPDIR again
    monkeypatch.setattr(ecr, "own_registry", lambda session, region: closed_registry.host)
    with mock_aws():
        yield boto3.client("ecr", region_name="eu-west-3")
    tempfile.tempdir = None


def test_a_repository_that_is_not_there_is_not_made_unasked(account, closed_registry, make_image):
    with pytest.raises(UsageError, match=f"there is no repository `{closed_registry.host}/fruitsctl`") as error:
        image_push.push(image=make_image("fruits-test:missing", KIB))

    assert (error.value.exit_code, error.value.hint) == (2, "add --create-repository")
    assert account.describe_repositories()["repositories"] == []
    assert closed_registry.writes() == 0


def test_a_push_to_ecr_makes_the_repository_logs_in_pushes_and_leaves_no_token(account, closed_registry, make_image, home, capfd):
    image_push.push(image=make_image("fruits-test:ecr", KIB), tag="v1", create_repository=True)

    out, err = capfd.readouterr()
    assert out == f"{closed_registry.host}/fruitsctl@{closed_registry.digest('fruitsctl', 'v1', auth=('AWS', TOKEN))}\n"
    [made] = account.describe_repositories()["repositories"]
    assert (made["repositoryName"], made["imageTagMutability"]) == ("fruitsctl", "IMMUTABLE")
    encoded = "QVdTOjEyMzQ1Njc4OTAxMi1hdXRoLXRva2Vu"  # as in docker's config.json
    kept = [path.read_text(errors="replace") for path in home.rglob("*") if path.is_file()]
    assert [text for text in (out, err, *kept) if TOKEN in text or encoded in text] == []
    assert list((home / "tmpdir").iterdir()) == []
    assert [path.name for path in home.rglob("*") if path.is_file()] == ["pushed.json"]


def test_the_users_own_engine_stays_in_use_with_a_token_that_is_gone_afterwards(closed_registry, home):
    default = subprocess.run(
        ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"], capture_output=True, text=True, check=True
    )
    (home / "engine.sock").symlink_to(default.stdout.strip().removeprefix("unix://"))
    subprocess.run(["docker", "context", "create", "mine", "--docker", f"host=unix://{home}/engine.sock"], check=True, capture_output=True)
    subprocess.run(["docker", "context", "use", "mine"], check=True, capture_output=True)

    with logged_in(closed_registry.host, Login("AWS", TOKEN)) as variables:
        assert variables["DOCKER_HOST"] == f"unix://{home}/engine.sock"
        assert Path(variables["DOCKER_CONFIG"], "config.json").is_file()

    assert not Path(variables["DOCKER_CONFIG"]).exists()


def test_a_login_that_is_refused_does_not_show_the_token(closed_registry, make_image, home, capfd):
    image = inspect_image(make_image("fruits-test:wrong", KIB))

    with pytest.raises(FruitsError, match=f"access denied by `{closed_registry.host}`") as error:
        registries.push(image, ImageReference(closed_registry.host, "fruitsctl", "v1"), Login("AWS", "not-the-token"))

    assert "not-the-token" not in str(error.value) + error.value.hint + "".join(capfd.readouterr())


def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(account, closed_registry, make_image, capsys):
    image = make_image("fruits-test:dry", KIB)

    image_push.push(image=image, tag="v1", create_repository=True, dry_run=True)

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith('aws ecr create-repository --region eu-west-3 --cli-input-json \'{"repositoryName": "fruitsctl", ')
    assert lines[1].startswith('aws ecr put-lifecycle-policy --region eu-west-3 --cli-input-json \'{"repositoryName": "fruitsctl", ')
    assert lines[2:] == [
        f"docker tag {inspect_image(image)['Id']} {closed_registry.host}/fruitsctl:v1",
        f"docker push {closed_registry.host}/fruitsctl:v1",
    ]
    assert account.describe_repositories()["repositories"] == []
    assert closed_registry.writes() == 0


def test_a_real_index_is_told_from_a_single_image(push, registry, make_image):
    push(f"{registry.host}/fruitsctl", "--image", make_image("fruits-test:index", KIB), "--tag", "v1")
    single = read_manifest(registry.host, "fruitsctl", "v1", None)
    kind = "application/vnd.docker.distribution.manifest.list.v2+json"
    size = int(
        requests.get(f"http://{registry.host}/v2/fruitsctl/manifests/v1", headers={"Accept": single.media_type}, timeout=5).headers[
            "Content-Length"
        ]
    )
    platform = {"architecture": "amd64", "os": "linux"}
    entry = {"mediaType": single.media_type, "digest": single.digest, "size": size, "platform": platform}
    body = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [entry]})
    put = requests.put(f"http://{registry.host}/v2/fruitsctl/manifests/both", data=body, headers={"Content-Type": kind}, timeout=5)
    put.raise_for_status()

    index = read_manifest(registry.host, "fruitsctl", "both", None)

    assert (index.media_type, index.config, index.digest) == (kind, "", put.headers["Docker-Content-Digest"])
    assert single.media_type in ("application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json")


def test_an_engine_that_does_not_run_is_named_with_a_hint(push, registry):
    done = push(f"{registry.host}/fruitsctl", DOCKER_HOST="unix:///nowhere/docker.sock")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no response from the Docker engine: ")
    assert "hint: start Docker (check with `docker info`), then run the command again" in done.stderr


def test_an_image_that_was_not_built_is_named_with_a_hint(push, registry):
    done = push(f"{registry.host}/fruitsctl", "--image", "fruits-test:never")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: there is no image `fruits-test:never` on this machine\n\nhint: build it with `fruitsctl image build`\n"
