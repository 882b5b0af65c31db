"""A registry on this machine that serves images made of labels alone: what is read of an image before it runs."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Image = Callable[[dict[str, str] | None], str]


@contextmanager
def image_registry() -> Iterator[Image]:
    """Give a function that adds an image with these labels and returns its name with digest."""
    blobs: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = blobs.get(self.path.rsplit("/", 1)[1])
            self.send_response(200 if content else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *args: object) -> None:
            pass

    def add(value: object) -> str:
        content = json.dumps(value).encode()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        blobs[digest] = content
        return digest

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

        def image(labels: dict[str, str] | None) -> str:
            config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": add({"config": {"Labels": labels}})}
            digest = add({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config})
            return f"127.0.0.1:{server.server_port}/fruitsctl@{digest}"

        yield image
        server.shutdown()
