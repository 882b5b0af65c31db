"""What a demo runs on: servers that refuse, hang, break off, or serve the real format."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli.photos import demo_data as module
from cli.photos import http_file
from cli.photos.demo_data import Origin, demo_data, fallback, plan_demo
from cli.settings.config import Settings, settings

WEIGHTS = random.Random(1).randbytes(300_000)

pytestmark = pytest.mark.usefixtures("short_pauses", "few")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IMAGES", 12)
    monkeypatch.setattr(module, "CLASSES", 3)


@pytest.fixture
def config(tmp_path: Path) -> Settings:
    return replace(settings(), assets=None, cache=tmp_path / "cache")


@pytest.fixture
def hanging() -> Iterator[tuple[str, list[socket.socket]]]:
    """A server that accepts connections and never answers: its URL, and its connections."""
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connections.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/file", connections
        listener.shutdown(socket.SHUT_RDWR)
    for connection in connections:
        connection.close()


def notes(capsys: Any) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("note:")]


def test_both_come_from_the_network(server: Any, archive: bytes, config: Settings, tmp_path: Path, capsys: Any) -> None:
    urls = server.serve("net_no_top.h5", WEIGHTS), server.serve("fruits.zip", archive)

    data = demo_data(tmp_path / "demo", config, *urls)

    assert (data.photos, data.output, data.model) == (tmp_path / "demo/photos", tmp_path / "demo/out", "mobilenet_v2")
    assert data.weights is not None
    assert data.weights.read_bytes() == WEIGHTS
    assert len(list(data.photos.glob("*/*.jpg"))) == 12
    assert notes(capsys) == []


def test_a_second_call_asks_no_server(server: Any, archive: bytes, config: Settings, tmp_path: Path) -> None:
    urls = server.serve("net_no_top.h5", WEIGHTS), server.serve("fruits.zip", archive)
    first = demo_data(tmp_path, config, *urls)
    server.requests.clear()

    assert demo_data(tmp_path, config, *urls) == replace(first, weights_from=Origin.EARLIER, photos_from=Origin.EARLIER)
    assert server.requests == []


def test_without_a_network_it_says_so_in_one_line_and_draws(closed_url: str, config: Settings, tmp_path: Path, capsys: Any) -> None:
    data = demo_data(tmp_path, config, closed_url + "_no_top.h5", closed_url)

    assert (data.photos, data.output, data.weights) == (tmp_path / "photos-generated", tmp_path / "out-generated-untrained", None)
    assert len(list(data.photos.glob("*/generated_0_*.jpg"))) == 12
    assert notes(capsys) == [
        "note: no real weights and photos here, using an untrained network and generated photos; for real ones allow access to "
        f"{closed_url}_no_top.h5 and {closed_url}, or set FRUITS_ASSETS=DIR to a folder that has them"
    ]


def test_servers_that_hang_are_asked_once_each(hanging: Any, monkeypatch: pytest.MonkeyPatch, config: Settings, tmp_path: Path) -> None:
    url, connections = hanging
    asked: list[float] = []
    real = http_file.reachable
    monkeypatch.setattr(module, "reachable", lambda urls: asked.append(http_file.PROBE_SECONDS) or real(urls, 0.3))

    data = demo_data(tmp_path, config, url + "_no_top.h5", url)

    assert data.weights is None
    assert len(connections) == 2
    assert asked == [4.0]


def test_real_weights_go_with_generated_photos(server: Any, closed_url: str, config: Settings, tmp_path: Path, capsys: Any) -> None:
    data = demo_data(tmp_path, config, server.serve("net_no_top.h5", WEIGHTS), closed_url)

    assert (data.output, data.model) == (tmp_path / "out-generated", "mobilenet_v2")
    assert notes(capsys)[0].startswith("note: no real photos here, using generated photos; ")


def test_a_run_with_network_after_one_without_mixes_nothing(
    server: Any, archive: bytes, closed_url: str, config: Settings, tmp_path: Path
) -> None:
    without = demo_data(tmp_path, config, closed_url + "_no_top.h5", closed_url)
    real = demo_data(tmp_path, config, server.serve("net_no_top.h5", WEIGHTS), server.serve("fruits.zip", archive))

    assert without.output != real.output
    assert not list(real.photos.glob("*/generated_*"))
    assert len(list(real.photos.glob("*/*.jpg"))) == 12


def test_a_download_that_breaks_halfway_falls_back_and_the_next_call_completes_it(
    server: Any, archive: bytes, config: Settings, tmp_path: Path, capsys: Any
) -> None:
    urls = server.serve("net_no_top.h5", WEIGHTS), server.serve("fruits.zip", archive)
    server.healthy_requests = 2 + 1 + 1 + 3  # the probes, the weights, the directory, three photos

    broken = demo_data(tmp_path, config, *urls)

    assert broken.photos == tmp_path / "photos-generated"
    (note,) = notes(capsys)
    assert note.startswith("note: no real photos here (cannot get the sample photos: ")
    assert "returned 503 Service Unavailable), using generated photos; for real ones allow access to " in note
    server.healthy_requests = None
    assert demo_data(tmp_path, config, *urls).photos == tmp_path / "photos"
    assert len(list((tmp_path / "photos").glob("*/*.jpg"))) == 12


def test_assets_are_used_without_asking_a_server(assets: Path, closed_url: str, config: Settings, tmp_path: Path, capsys: Any) -> None:
    data = demo_data(tmp_path, replace(config, assets=assets), closed_url + "_no_top.h5", closed_url)

    assert data.weights == next((assets / "weights").glob("*no_top*.h5"))
    assert len(list(data.photos.glob("*/*.jpg"))) == 12
    assert notes(capsys) == []


def test_what_fails_of_both_is_still_one_line(server: Any, archive: bytes, config: Settings, tmp_path: Path, capsys: Any) -> None:
    urls = server.serve("net_no_top.h5", WEIGHTS), server.serve("fruits.zip", archive)
    server.healthy_requests = 2  # the probes

    data = demo_data(tmp_path, config, *urls)

    (note,) = notes(capsys)
    assert data.model == "mobilenet_v2_untrained"
    assert note.count("returned 503") == 2
    assert note.count("using an untrained network and generated photos") == 1


def test_a_folder_of_assets_without_photos_is_named(assets: Path, config: Settings, closed_url: str, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "weights").symlink_to(assets / "weights")

    data = demo_data(tmp_path, replace(config, assets=tmp_path / "mine"), closed_url + "_no_top.h5", closed_url)

    assert (data.weights_from, data.photos_from) == (Origin.ASSETS, Origin.GENERATED)
    assert notes(capsys) == [
        f"note: no real photos in `{tmp_path}/mine`, using generated photos; "
        "for real ones add them to that folder, or unset FRUITS_ASSETS to download them"
    ]


def test_a_plan_downloads_and_writes_nothing(server: Any, archive: bytes, config: Settings, tmp_path: Path, capsys: Any) -> None:
    urls = server.serve("net_no_top.h5", WEIGHTS), server.serve("fruits.zip", archive)

    data = plan_demo(tmp_path / "demo", config, *urls)

    assert (data.weights_from, data.photos_from, data.weights) == (Origin.DOWNLOAD, Origin.DOWNLOAD, None)
    assert (data.model, data.output) == ("mobilenet_v2", tmp_path / "demo/out")
    assert fallback(data, config) == ""
    assert len(server.requests) == 2  # one byte of each
    assert list(tmp_path.iterdir()) == []


def test_a_plan_agrees_with_what_is_done(assets: Path, config: Settings, closed_url: str, tmp_path: Path) -> None:
    urls = closed_url + "_no_top.h5", closed_url
    for settings_ in (config, replace(config, assets=assets)):
        plan, done = plan_demo(tmp_path, settings_, *urls), demo_data(tmp_path, settings_, *urls)
        assert replace(plan, weights=done.weights) == done
