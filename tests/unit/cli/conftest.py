"""A real HTTP server with ranges, on a free port, whose failures a test orders; and archives in the published layout."""

from __future__ import annotations

import hashlib
import io
import random
import re
import socket
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cli.photos import http_file
from tests.unit.cli.asset_files import fruit_photos

PREFIX = "fruits-360_dataset/fruits-360/"


@dataclass
class Request:
    path: str
    range: str | None
    if_range: str | None
    status: int = 0
    sent: int = 0  # bytes of the body


@dataclass
class RangeServer:
    """Serves `files`. Every change of a file's bytes changes its ETag."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)  # a status for each of the next requests
    cuts: list[int] = field(default_factory=list)  # for each of the next answers: hang up after so many bytes of the body
    healthy_requests: int | None = None  # after so many, 503 for ever
    stall_after: int | None = None  # after so many, requests are held until `release`
    ranges: bool = True
    validators: bool = True  # send an ETag
    release: threading.Event = field(default_factory=threading.Event)
    stalled: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, name: str, content: bytes) -> str:
        self.files["/" + name] = content
        self.etags["/" + name] = f'"{hashlib.sha1(content).hexdigest()}"'
        return f"{self.url}/{name}"

    @property
    def sent(self) -> int:
        return sum(request.sent for request in self.requests)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keep-alive, as object stores do
    state: RangeServer

    def do_GET(self) -> None:
        server = self.state
        request = Request(self.path, self.headers["Range"], self.headers["If-Range"])
        with server.lock:
            server.requests.append(request)
            number = len(server.requests)
            failure = server.failures.pop(0) if server.failures else None
            if server.healthy_requests is not None and number > server.healthy_requests:
                failure = 503
            cut = server.cuts.pop(0) if server.cuts and failure is None else None
        if server.stall_after is not None and number > server.stall_after:
            server.stalled.set()
            server.release.wait()
        content = server.files.get(self.path)
        if failure is not None or content is None:
            self._answer(request, failure or 404, b"", {}, None)
            return
        etag = server.etags[self.path]
        headers = {"ETag": etag} if server.validators else {}
        if not server.ranges or request.range is None or (request.if_range and request.if_range != etag):
            self._answer(request, 200, content, headers, cut)
            return
        first, last = _bounds(request.range, len(content))
        if first >= len(content):
            self._answer(request, 416, b"", {"Content-Range": f"bytes */{len(content)}"}, None)
            return
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        self._answer(request, 206, content[first : last + 1], headers, cut)

    def _answer(self, request: Request, status: int, body: bytes, headers: dict[str, str], cut: int | None) -> None:
        request.status = status
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        part = memoryview(body)[:cut]
        for begin in range(0, len(part), 16 * 1024):
            try:
                self.wfile.write(part[begin : begin + 16 * 1024])
            except (BrokenPipeError, ConnectionResetError):  # the client hung up
                self.close_connection = True
                return
            request.sent += len(part[begin : begin + 16 * 1024])
        if cut is not None and cut < len(body):
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


def _bounds(header: str, size: int) -> tuple[int, int]:
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header)
    assert match, header
    if not match[1]:
        return max(0, size - int(match[2])), size - 1
    return int(match[1]), min(int(match[2]), size - 1) if match[2] else size - 1


@pytest.fixture
def server() -> Iterator[RangeServer]:
    class Handler(_Handler):
        state = RangeServer("")

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    Handler.state.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Handler.state
    Handler.state.release.set()
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def closed_url() -> str:
    """Nothing listens there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/file"


@pytest.fixture(scope="session")
def published() -> dict[str, dict[str, bytes]]:
    """Return label -> file name -> JPEG: 6 labels of Fruits-360 with 20 files each."""
    labels = ("Apple Red 1", "Banana", "Cherry 2", "Lemon", "Pear Abate", "Tomato not Ripened")
    return {label: fruit_photos(label) for label in labels}


@pytest.fixture(scope="session")
def assets(published: dict[str, dict[str, bytes]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder as FRUITS_ASSETS names one: the six labels, and weights of both kinds that no network would load."""
    root = tmp_path_factory.mktemp("assets")
    for label, files in published.items():
        (root / "fruits-360-sample" / "Training" / label).mkdir(parents=True)
        for name, content in files.items():
            (root / "fruits-360-sample" / "Training" / label / name).write_bytes(content)
    (root / "weights").mkdir()
    for name in ("net_no_top.h5", "net.h5"):
        (root / "weights" / name).write_bytes(b"\x89HDF\r\n\x1a\n" + name.encode())
    return root


@pytest.fixture(scope="session")
def archive(published: dict[str, dict[str, bytes]]) -> bytes:
    """The published layout in small: Training between what must not be taken, 9 MB in all, stored and deflated members."""
    noise = random.Random(0).randbytes(4_000_000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.writestr("fruits-360-original-size/fruits-360-original-size/Training/apple_6/r0_0.jpg", noise)
        target.writestr(f"{PREFIX}Test/Banana/3_100.jpg", b"a test photo")
        target.mkdir(f"{PREFIX}Training")
        for label, files in published.items():
            target.mkdir(f"{PREFIX}Training/{label}")
            for position, (name, content) in enumerate(sorted(files.items())):
                method = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[position % 2]
                member = zipfile.ZipInfo(f"{PREFIX}Training/{label}/{name}")
                member.compress_type = method
                # ZIP64 fields are in the local header only: its length is not the one in the directory.
                with target.open(member, "w", force_zip64=position % 3 == 0) as file:
                    file.write(content)
        target.writestr(f"{PREFIX}Training/Banana/.DS_Store.jpg", b"not a photo")
        target.writestr(f"{PREFIX}papers/fruits.pdf", noise)
    return buffer.getvalue()


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_file, "PAUSES_SECONDS", (0.01, 0.01, 0.01))
