"""Names, tags and docker's words about a failed push, without a registry."""

import pytest

from cli.container import docker as docker_program
from cli.container.manifest import INDEX, ImageManifest
from cli.container.push import ImageReference, _push_error, _retry_network, check_names, push, short_id, split
from cli.container.pushed import PushedImage, last_pushed, save_pushed
from cli.errors import FruitsError, UsageError

ECR = ImageReference("123456789012.dkr.ecr.eu-west-3.amazonaws.com", "fruitsctl", "v1")
GHCR = ImageReference("ghcr.io", "alice/fruits", "v1")


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("127.0.0.1:5000/fruitsctl", ("127.0.0.1:5000", "fruitsctl")),
        ("ghcr.io/alice/fruits", ("ghcr.io", "alice/fruits")),
        ("localhost/fruits", ("localhost", "fruits")),
        ("registry.example.org", ("registry.example.org", "")),
        ("GHCR.io/alice/fruits/", ("ghcr.io", "alice/fruits")),
        ("[::1]:5000/fruits", ("[::1]:5000", "fruits")),
    ],
)
def test_an_address_is_a_host_and_a_repository(address, parts):
    assert split(address) == parts


@pytest.mark.parametrize("address", ["alice/fruits", "fruits", "https://ghcr.io/alice/fruits", "", "user@ghcr.io/fruits"])
def test_an_address_without_a_registrys_host_is_refused(address):
    with pytest.raises(UsageError, match=f"`{address}` does not begin with a registry's host name"):
        split(address)


@pytest.mark.parametrize("repository", ["Fruits", "fruits:v1", "fruits@sha256:0", "a//b", "-fruits", "fruits ctl", ""])
def test_a_name_that_no_registry_takes_is_refused(repository):
    with pytest.raises(UsageError, match="is not a valid repository name"):
        check_names(repository, None)


@pytest.mark.parametrize("tag", ["", "v1 2", ".v1", "a/b", "x" * 129])
def test_a_tag_that_no_registry_takes_is_refused(tag):
    with pytest.raises(UsageError, match="is not a valid tag"):
        check_names("fruitsctl", tag)


def test_a_tag_names_the_image_itself_unless_one_is_given():
    assert short_id({"Id": "sha256:0123456789abcdef0123456789abcdef"}) == "0123456789ab"


def test_docker_missing_is_an_error_with_a_way_out(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(UsageError, match="there is no `docker` on this machine"):
        docker_program.docker("version")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?", "no response"),
        ("failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct", "no response"),
        ("permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock", "no permission"),
    ],
)
def test_an_engine_that_cannot_be_reached_is_told_from_a_command_that_failed(said, kind):
    error = docker_program._failure("push", 1, said)

    assert isinstance(error, UsageError)
    assert kind in str(error)
    assert error.hint != ""


@pytest.mark.parametrize(
    ("said", "target", "code", "message", "hint"),
    [
        (
            "tag invalid: The image tag 'v1' already exists in the 'fruitsctl' repository and cannot be overwritten because the tag is "
            "immutable.",
            ECR,
            2,
            "tag `v1` of `123456789012.dkr.ecr.eu-west-3.amazonaws.com/fruitsctl` belongs to another image",
            "choose another --tag",
        ),
        (
            "name unknown: The repository with name 'fruitsctl' does not exist in the registry with id '123456789012'",
            ECR,
            2,
            "there is no repository `123456789012.dkr.ecr.eu-west-3.amazonaws.com/fruitsctl`",
            "create it there, then push again",
        ),
        (
            "denied: User: arn:aws:iam::123456789012:user/alice is not authorized to perform: ecr:InitiateLayerUpload on resource: *",
            ECR,
            1,
            "ecr:InitiateLayerUpload",
            "get the permissions ecr:BatchCheckLayerAvailability, ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload, "
            "ecr:PutImage, ecr:BatchGetImage",
        ),
        (
            "unauthorized: unauthenticated: User cannot be authenticated",
            GHCR,
            1,
            "access denied by `ghcr.io`",
            "run `docker login ghcr.io`",
        ),
        ("write tcp: broken pipe", GHCR, 1, "push of `ghcr.io/alice/fruits:v1` failed", "push again: layers already uploaded are skipped"),
    ],
)
def test_a_refused_push_says_what_to_do(said, target, code, message, hint):
    error = _push_error(said, target)

    assert message in str(error)
    assert (error.exit_code, error.hint) == (code, hint)


@pytest.mark.parametrize(
    "said",
    [
        'Get "http://127.0.0.1:5000/v2/": dial tcp 127.0.0.1:5000: connect: connection refused',
        "read tcp 10.0.0.2:51000->52.0.0.1:443: read: connection reset by peer",
        'Put "https://x/v2/y/blobs/uploads/z": net/http: TLS handshake timeout',
        "unexpected EOF",
        "received unexpected HTTP status: 503 Service Unavailable",
        "dial tcp: lookup 123456789012.dkr.ecr.eu-west-3.amazonaws.com: no such host",
        "toomanyrequests: Rate exceeded",
        "blob upload unknown",
    ],
)
def test_a_failing_network_is_tried_three_times_more_with_growing_pauses(said):
    pauses = []

    def fail():
        raise FruitsError(said)

    with pytest.raises(FruitsError):
        _retry_network(fail, pauses.append)

    assert pauses == [2.0, 6.0, 18.0]


@pytest.mark.parametrize(
    "error",
    [
        FruitsError("denied: requested access to the resource is denied"),
        FruitsError("tag invalid: cannot be overwritten because the tag is immutable"),
        UsageError("no response from the Docker engine: dial unix /var/run/docker.sock: connect: connection refused"),
    ],
)
def test_what_another_attempt_does_not_fix_is_not_tried_again(error):
    def fail():
        raise error

    with pytest.raises(FruitsError) as raised:
        _retry_network(fail, lambda seconds: pytest.fail("waited"))

    assert raised.value is error


@pytest.mark.parametrize("kind", INDEX)
def test_an_image_index_is_refused_before_anything_is_sent(kind, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")  # docker would not be found

    with pytest.raises(FruitsError, match="is an image index; EMR needs a single manifest") as error:
        push({"Id": "sha256:0", "Descriptor": {"mediaType": kind}}, GHCR, None)

    assert error.value.hint.startswith("build it with --provenance=false")


def test_an_image_is_known_by_its_configuration_or_by_its_manifest():
    manifest = ImageManifest("sha256:m", "application/vnd.oci.image.manifest.v1+json", "sha256:c")

    assert [manifest.holds(name) for name in ("sha256:c", "sha256:m", "sha256:x")] == [True, True, False]


def test_the_last_push_to_each_repository_is_remembered(tmp_path):
    older = PushedImage("ghcr.io/a@sha256:1", "sha256:1", "v1", "ghcr.io/a")
    newer = PushedImage("ghcr.io/a@sha256:2", "sha256:2", "v2", "ghcr.io/a")
    other = PushedImage("ghcr.io/b@sha256:3", "sha256:3", "v1", "ghcr.io/b")

    for pushed in (older, other, newer):
        save_pushed(tmp_path / "state", pushed)

    assert last_pushed(tmp_path / "state", "ghcr.io/a") == newer
    assert last_pushed(tmp_path / "state", "ghcr.io/b") == other
    assert last_pushed(tmp_path / "state", "ghcr.io/c") is None
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["pushed.json"]


def test_a_damaged_memory_is_written_again(tmp_path):
    (tmp_path / "pushed.json").write_text('{"ghcr.io/a": ')
    pushed = PushedImage("ghcr.io/a@sha256:1", "sha256:1", "v1", "ghcr.io/a")

    assert last_pushed(tmp_path, "ghcr.io/a") is None
    save_pushed(tmp_path, pushed)
    assert last_pushed(tmp_path, "ghcr.io/a") == pushed
