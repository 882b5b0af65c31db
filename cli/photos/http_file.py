"""
Read a file on an HTTP server in ranges, or resume its download.

A download is a `.part` file until it is complete. Nothing here knows what the file is for.
"""

from __future__ import annotations

import io
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from cli.errors import AssetError
from cli.settings.waiting import retry
from cli.ui.output import say
from job.contract.records import counted

if TYPE_CHECKING:
    from requests import RequestException, Response, Session

Progress = Callable[[int, "int | None"], None]  # done, total; None: not known
T = TypeVar("T")

CONNECTIONS = 8  # a photo is 6 KB: the time goes into round trips
TIMEOUT_SECONDS = (10, 30)  # to connect, between two packets
PROBE_SECONDS = 4.0  # for all that `reachable` asks
PAUSES_SECONDS = (0.5, 1.0, 2.0)  # between attempts


def validator_path(part: Path) -> Path:
    """Return the file beside a `.part` that holds the ETag or date of the complete file."""
    return part.with_name(part.name + ".etag")


class RemoteFile:
    """One file on an HTTP server, read in ranges or downloaded. Several threads may read: the pool under the session is made for it."""

    def __init__(self, url: str, what: str, otherwise: str) -> None:
        import requests

        self.url, self.what, self.otherwise = url, what, otherwise
        self.session: Session = requests.Session()
        self._told: set[str] = set()
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.session.close()

    def get(self, **headers: str) -> Response:
        # identity: ranges and Content-Length are to count the file's own bytes
        """Send a GET request with `headers` and return the response."""
        headers = {"Accept-Encoding": "identity", **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.session.get(self.url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS)

    def retry(self, action: Callable[[], T]) -> T:
        """Call `action`, and retry it after a message and a pause if the connection or the server failed."""
        from requests import RequestException

        try:
            return retry(action, _is_transient, PAUSES_SECONDS, before=self._tell)
        except RequestException as error:
            raise AssetError(f"cannot get {self.what}: {_reason(error, self.url)}", self.otherwise) from error

    def _tell(self, error: Any, pause_seconds: float) -> None:
        """Say each problem once: connections fail together."""
        text = f"cannot get {self.what}: {_reason(error, self.url)}; trying again in {pause_seconds:g} s"
        if text not in self._told:
            self._told.add(text)
            say(text)

    def read(self, first: int, last: int | None) -> tuple[bytes, int]:
        """Return bytes `first` to `last`, both included, and their offset; the last -`first` bytes if `last` is None."""
        return self.retry(lambda: self._read(f"bytes={first}" if first < 0 else f"bytes={first}-{last}"))

    def _read(self, wanted: str) -> tuple[bytes, int]:
        with self.get(Range=wanted) as response:
            response.raise_for_status()
            served = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
            if response.status_code != 206 or served is None:  # the body would be the whole archive
                raise AssetError(f"`{self.url}` does not support range requests (a proxy may remove them)", self.otherwise)
            return response.content, int(served[1])

    def fetch(self, data_range: tuple[int, int | None], stream: bool = False) -> Any:
        """Return a response for RemoteZip, as `remotezip.RemoteFetcher.fetch`."""
        from remotezip import PartialBuffer

        content, begin = self.read(*data_range)
        return PartialBuffer(io.BytesIO(content), begin, len(content), stream)

    def download(self, part: Path, progress: Progress) -> None:
        """
        Append to `part` what it lacks; begin again if the server's file is not the one that `part` began with.

        Written at absolute positions: a second process doing the same writes the same bytes to the same places.
        """
        import requests

        validator = validator_path(part)
        begun_with = validator.read_text() if validator.is_file() and part.is_file() else ""
        done = part.stat().st_size if begun_with else 0
        # https://www.rfc-editor.org/rfc/rfc9110#field.if-range
        with self.get(**({"Range": f"bytes={done}-", "If_Range": begun_with} if done else {})) as response:
            ranged = response.headers.get("Content-Range", "").startswith(f"bytes {done}-")
            if response.status_code == 416 or (response.status_code == 206 and not ranged):
                validator.unlink(missing_ok=True)  # next attempt from the start
                raise requests.ConnectionError(f"no response for the rest from byte {done}")
            response.raise_for_status()
            length = response.headers.get("Content-Length")
            if response.status_code != 206:
                done = 0
            total = done + int(length) if length else None
            with part.open("r+b" if done else "wb") as file:
                if not done:  # only now, with `part` empty: a validator is never beside another file's bytes
                    validator.write_text(_version(response))
                file.seek(done)
                for chunk in response.iter_content(64 * 1024):
                    file.write(chunk)
                    done += len(chunk)
                    progress(done, total)
                file.flush()
                os.fsync(file.fileno())
        if total is not None and done != total:
            raise requests.ConnectionError(f"received {done} of {counted(total, 'bytes')}")


def _version(response: Response) -> str:
    """Return a strong ETag, else the date; weak ETags are not valid in If-Range."""
    etag = str(response.headers.get("ETag", ""))
    return etag if etag and not etag.startswith("W/") else str(response.headers.get("Last-Modified", ""))


def _is_transient(error: BaseException) -> bool:
    from requests import exceptions

    if isinstance(error, exceptions.RequestException) and error.response is not None:
        return error.response.status_code >= 500 or error.response.status_code in (408, 429)
    return isinstance(error, (exceptions.ConnectionError, exceptions.Timeout, exceptions.ChunkedEncodingError))


def _reason(error: RequestException, url: str) -> str:
    if error.response is not None:
        return f"`{url}` returned {error.response.status_code} {error.response.reason}"
    root: BaseException = error
    while root.__context__ is not None:  # requests and urllib3 wrap `Connection refused` in three sentences
        root = root.__context__
    return f"no response from `{url}` ({getattr(root, 'strerror', None) or root})"


def reachable(urls: Collection[str], seconds: float = PROBE_SECONDS) -> set[str]:
    """
    Ask each server once and at the same time, and return the URLs that it serves; after `seconds` the others count as absent.

    Resolving a name takes no timeout, so the threads are left behind where it hangs.
    """
    import requests

    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def probe(url: str) -> None:
        try:
            with requests.get(url, headers={"Range": "bytes=0-0"}, stream=True, timeout=(seconds, seconds)) as response:
                answers.put(url if response.ok else None)
        except requests.RequestException:
            answers.put(None)

    for url in urls:
        threading.Thread(target=probe, args=(url,), name="probe", daemon=True).start()
    found, end = set(), time.monotonic() + seconds
    with suppress(queue.Empty):
        for _ in urls:
            found.add(answers.get(timeout=max(0.0, end - time.monotonic())))
    return {url for url in found if url is not None}
