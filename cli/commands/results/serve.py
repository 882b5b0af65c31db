"""`fruitsctl serve`: the page on which a phone shows a fruit, on this machine alone or for its network. Until Ctrl-C."""

from __future__ import annotations

import errno
import socket
from contextlib import closing, suppress
from importlib.util import find_spec
from typing import Annotated

import typer

from cli.errors import UsageError
from cli.settings.config import settings
from cli.ui import run_files
from cli.ui.output import emit, say
from job.contract.records import counted

ANYWHERE = ("0.0.0.0", "::")  # noqa: S104 - all addresses of this machine, if the user says so
ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}  # set aside for documents: no host has them


def serve(
    output: Annotated[
        str | None,
        typer.Option(metavar="OUTPUT", help="Folder or s3://bucket/prefix that holds the run. [or fruits.toml, or the last local run]"),
    ] = None,
    run: Annotated[str | None, typer.Option(metavar="RUN_ID", help="The run whose photos are compared with. [default: the newest]")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; with 0.0.0.0 every device in this network can connect.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8000,
    photos_per_minute: Annotated[int, typer.Option(min=0, help="From one address; 0: any number.")] = 120,
    seconds: Annotated[float, typer.Option(min=0.1, help="For one photo, waiting included.")] = 60.0,
    teach: Annotated[
        bool, typer.Option("--teach", help="Let visitors add photos to the run after a wrong answer, as `fruitsctl teach` does.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The address as JSON on stdout.")] = False,
) -> None:
    """Show which fruit is on a photo, on a page that a phone can open.

    Photos are looked at in memory and forgotten: without --teach nothing is stored, and nothing about them is logged. There is no
    password: as it is, only this machine can open the page; with --host 0.0.0.0 everyone in your network can. With --teach a visitor who
    agrees adds a photo, without metadata, to INPUT and to the run: put a login before the server first.
    """
    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        raise UsageError("the extra `job` is not installed", "run `uv tool install '.[job]'` in the checkout")
    import uvicorn

    from cli.photos.identifier import open_identifier
    from cli.photos.lessons import without_metadata
    from job.product.identify.answer import NO_SECOND_OPINION
    from job.product.web.app import make_app
    from job.product.web.limits import Limits
    from job.product.web.safety import allowed_hosts

    with listen(host, port) as listening:
        if teach:
            run_files.export_aws_settings(settings())  # INPUT may be on S3 where OUTPUT is not
        identifier = open_identifier(output, run)
        limits = Limits(photos_per_minute=photos_per_minute, seconds=seconds)
        app = make_app(identifier, limits, allowed_hosts(host), without_metadata if teach else None)
        # Neither addresses nor photos in a log.
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=5))
        url = url_of(listening)
        gallery = identifier.gallery
        about = {
            "run_id": gallery.run_id,
            "images": len(gallery),
            "labels": len(gallery.names),
            "second_opinion": identifier.second_opinion,
            "teach": teach,
        }
        text = f"Serving {counted(len(gallery), 'photos')} of {counted(len(gallery.names), 'labels')}, run {gallery.run_id}\n  {url}"
        with suppress(KeyboardInterrupt):  # how it is meant to end
            emit({"url": url, **about}, text if identifier.second_opinion else f"{text}\n{NO_SECOND_OPINION}", as_json)
            if allowed_hosts(host) is None:
                say("Open this address on a phone in the same network. There is no password: everyone in this network can open it.")
            if teach:
                say("Teaching is on: everyone who can open this address can add photos to the run.")
            say("Press Ctrl-C to stop.")
            server.run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """
    Open the listening socket.

    Raises:
        UsageError: this machine has no such address, or the port is in use.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"cannot listen on `{host}`: {error.strerror}", "remove --host, or give an address of this machine") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise UsageError(
            f"cannot listen on `{host}`, port `{port}`: {error.strerror}",
            "add --port 0 for a free port" if error.errno == errno.EADDRINUSE else "use 127.0.0.1, or 0.0.0.0 for the whole network",
        ) from error
    return listening


def url_of(listening: socket.socket) -> str:
    """Return the URL for a browser; for all addresses of this machine, the one that its network knows."""
    host, port = listening.getsockname()[:2]
    if host in ANYWHERE:
        host = address_of(listening.family)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def address_of(family: socket.AddressFamily) -> str:
    """Return the address that this machine would send from; nothing is sent."""
    with closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect((ELSEWHERE[family], 9))
        except OSError:  # no network
            return "127.0.0.1" if family == socket.AF_INET else "::1"
        return str(probe.getsockname()[0])
