"""Docker's stored logins, and the token flow of registries such as ghcr.io against a small server that demands it."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from cli.container.logins import Login, stored_login
from cli.container.manifest import read_manifest
from cli.errors import FruitsError

MANIFEST = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"digest":"sha256:c"},"layers":[]}'
DIGEST = "sha256:82a90002f76286004c0bdd35d92d0a349f983ef8774ac8274cf5f5c0ef1573bc"


def basic(username, password):
    return base64.b64encode(f"{username}:{password}".encode()).decode()


@pytest.fixture
def token_registry():
    """Its host. Shows its one manifest to a request with the token that alice's password gives."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            url = urlsplit(self.path)
            if url.path == "/token":
                asked = parse_qs(url.query)
                right = asked == {"service": ["fruits"], "scope": ["repository:alice/fruits:pull"]}
                known = self.headers["Authorization"] == f"Basic {basic('alice', 'secret')}"
                self.answer(200, b'{"token": "bought"}') if right and known else self.answer(403, b"")
            elif self.headers["Authorization"] == "Bearer bought":
                self.answer(200, MANIFEST) if url.path == "/v2/alice/fruits/manifests/v1" else self.answer(404, b"{}")
            else:
                self.answer(401, b"")

        def answer(self, status, body):
            self.send_response(status)
            if status == 401:
                here = f"http://127.0.0.1:{self.server.server_port}/token"
                scope = "repository:alice/fruits:pull"
                self.send_header("WWW-Authenticate", f'Bearer realm="{here}",service="fruits",scope="{scope}"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_registry_that_sells_tokens_gives_its_manifest_to_a_stored_login(token_registry):
    manifest = read_manifest(token_registry, "alice/fruits", "v1", Login("alice", "secret"))

    assert (manifest.digest, manifest.config) == (DIGEST, "sha256:c")
    assert manifest.media_type == "application/vnd.oci.image.manifest.v1+json"


@pytest.mark.parametrize(("tag", "login"), [("v2", Login("alice", "secret")), ("v1", Login("alice", "wrong")), ("v1", None)])
def test_a_tag_that_is_not_there_or_not_to_be_read_is_no_manifest(token_registry, tag, login):
    assert read_manifest(token_registry, "alice/fruits", tag, login) is None


def test_something_else_than_a_registry_is_named(server):
    host = server.serve("v2/fruits/manifests/v1", b"<html>It works!</html>").split("/")[2]

    with pytest.raises(FruitsError, match=f"`{host}` did not return a manifest for `fruits:v1`"):
        read_manifest(host, "fruits", "v1", None)


def test_an_address_without_a_server_is_named(closed_url):
    host = closed_url.split("/")[2]

    with pytest.raises(FruitsError, match=f"no response from `{host}`"):
        read_manifest(host, "fruits", "v1", None)


def test_dockers_file_gives_the_login_of_a_registry(tmp_path):
    auths = {
        "ghcr.io": {"auth": basic("alice", "a:b")},
        "https://old.example.org/": {"auth": basic("bob", "c")},
        "https://index.docker.io/v1/": {"auth": basic("carol", "d")},
        "kept.elsewhere": {},
    }
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))

    assert stored_login("ghcr.io", tmp_path) == Login("alice", "a:b")
    assert stored_login("old.example.org", tmp_path) == Login("bob", "c")
    assert stored_login("docker.io", tmp_path) == Login("carol", "d")
    assert stored_login("kept.elsewhere", tmp_path) is None
    assert stored_login("other.io", tmp_path) is None


def test_a_credential_helper_is_asked(tmp_path, monkeypatch):
    helper = tmp_path / "docker-credential-vault"
    helper.write_text('#!/bin/sh\nread name\necho "{\\"Username\\": \\"alice\\", \\"Secret\\": \\"for $name\\"}"\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {"ghcr.io": "vault", "other.io": "missing"}}))

    assert stored_login("ghcr.io", tmp_path) == Login("alice", "for ghcr.io")
    assert stored_login("other.io", tmp_path) is None


@pytest.mark.parametrize("content", ["", "[", '{"auths": {"ghcr.io": {"auth": "%%%"}}}'])
def test_a_damaged_file_is_no_login(tmp_path, content):
    (tmp_path / "config.json").write_text(content)

    assert stored_login("ghcr.io", tmp_path) is None
    assert stored_login("ghcr.io", tmp_path / "nowhere") is None
