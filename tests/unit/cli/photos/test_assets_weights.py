"""The weights: from a folder, from the cache, or downloaded, in one piece or in several."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest

from cli.errors import AssetError
from cli.photos import assets
from job.contract.params import APPLICATIONS, Application
from tests.unit.cli.asset_files import file_size_limit, files_in, silent

WEIGHTS = random.Random(1).randbytes(1_000_000)

pytestmark = pytest.mark.usefixtures("short_pauses")


def test_a_folder_of_assets_is_used_without_a_network(tmp_path: Path) -> None:
    (tmp_path / "assets" / "weights").mkdir(parents=True)
    (tmp_path / "assets" / "weights" / "net_no_top.h5").write_bytes(WEIGHTS)

    found = assets.weights(tmp_path / "assets", tmp_path / "cache", silent, "http://never.invalid/no_top.h5")

    assert found == tmp_path / "assets" / "weights" / "net_no_top.h5"
    assert not (tmp_path / "cache").exists()


def test_of_several_files_in_the_assets_the_official_one_is_taken(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    for name in ("a_no_top.h5", assets.KERAS_WEIGHTS_URL.rsplit("/", 1)[1], "z_no_top.h5"):
        (tmp_path / "weights" / name).write_bytes(b"")

    found = assets.weights(tmp_path, tmp_path / "cache", silent)

    assert found.name == "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"


def test_several_files_none_of_them_official_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    for name in ("b_no_top.h5", "a_no_top.h5"):
        (tmp_path / "weights" / name).write_bytes(b"")

    with pytest.raises(AssetError, match="2 files") as caught:
        assets.weights(tmp_path, tmp_path / "cache", silent)
    assert caught.value.hint == "keep only one of a_no_top.h5, b_no_top.h5"


def test_assets_without_weights_are_an_error_that_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"no file \*no_top\*\.h5 in `.*weights`"):
        assets.weights(tmp_path, tmp_path / "cache", silent)


def test_a_download_is_whole_and_happens_once(server: Any, tmp_path: Path) -> None:
    url = server.serve("net_no_top.h5", WEIGHTS)
    seen: list[tuple[int, int | None]] = []

    path = assets.weights(None, tmp_path, lambda done, total: seen.append((done, total)), url)
    again = assets.weights(None, tmp_path, silent, url)

    assert path == again == tmp_path / "weights" / "net_no_top.h5"
    assert files_in(tmp_path) == {"weights/net_no_top.h5": WEIGHTS}
    assert len(server.requests) == 1
    assert seen == sorted(seen)
    assert seen[-1] == (1_000_000, 1_000_000)


def test_a_broken_connection_resumes_where_it_broke(server: Any, tmp_path: Path) -> None:
    server.cuts = [300_000, 400_000]

    path = assets.weights(None, tmp_path, silent, server.serve("net_no_top.h5", WEIGHTS))

    assert path.read_bytes() == WEIGHTS
    first, second, third = server.requests
    assert first.range is None
    assert second.if_range == third.if_range
    assert second.if_range is not None
    assert [second.status, third.status] == [206, 206]
    assert server.sent < 1_000_000 + 2 * 64 * 1024  # at most one unfinished block is asked for twice


def test_the_next_call_resumes_where_the_last_stopped(server: Any, tmp_path: Path) -> None:
    url = server.serve("net_no_top.h5", WEIGHTS)
    server.cuts, server.healthy_requests = [600_000], 1
    with pytest.raises(AssetError, match="returned 503"):
        assets.weights(None, tmp_path, silent, url)
    assert not (tmp_path / "weights" / "net_no_top.h5").exists()
    assert WEIGHTS.startswith((tmp_path / "weights" / "net_no_top.h5.part").read_bytes())

    server.healthy_requests = None
    server.requests.clear()
    path = assets.weights(None, tmp_path, silent, url)

    assert files_in(tmp_path) == {"weights/net_no_top.h5": WEIGHTS}
    assert path.name == "net_no_top.h5"
    assert server.sent < 400_000 + 64 * 1024


def test_a_file_that_changed_on_the_server_is_begun_again(server: Any, tmp_path: Path) -> None:
    url = server.serve("net_no_top.h5", WEIGHTS)
    server.cuts, server.healthy_requests = [600_000], 1
    with pytest.raises(AssetError):
        assets.weights(None, tmp_path, silent, url)

    server.healthy_requests = None
    changed = WEIGHTS[::-1][:900_000]
    server.serve("net_no_top.h5", changed)
    path = assets.weights(None, tmp_path, silent, url)

    assert server.requests[-1].range is not None
    assert server.requests[-1].status == 200
    assert path.read_bytes() == changed


@pytest.mark.parametrize("missing", ["ranges", "validators"])
def test_without_ranges_or_validators_a_download_begins_again_and_is_whole(server: Any, tmp_path: Path, missing: str) -> None:
    setattr(server, missing, False)
    server.cuts = [300_000]

    path = assets.weights(None, tmp_path, silent, server.serve("net_no_top.h5", WEIGHTS))

    assert path.read_bytes() == WEIGHTS
    assert [request.status for request in server.requests] == [200, 200]


def test_a_part_that_lacks_nothing_but_its_name_ends_well(server: Any, tmp_path: Path) -> None:
    """Killed between the last byte and the renaming: the server answers 416 to a range behind the end."""
    url = server.serve("net_no_top.h5", WEIGHTS)
    server.cuts, server.healthy_requests = [600_000], 1
    with pytest.raises(AssetError):
        assets.weights(None, tmp_path, silent, url)
    (tmp_path / "weights" / "net_no_top.h5.part").write_bytes(WEIGHTS)

    server.healthy_requests = None
    server.requests.clear()
    assets.weights(None, tmp_path, silent, url)

    assert [request.status for request in server.requests] == [416, 200]
    assert files_in(tmp_path) == {"weights/net_no_top.h5": WEIGHTS}


def test_a_missing_file_is_not_asked_for_again(server: Any, tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"no_top\.h5` returned 404 Not Found"):
        assets.weights(None, tmp_path, silent, f"{server.url}/net_no_top.h5")
    assert len(server.requests) == 1


def test_offline_and_without_assets_the_error_names_both_ways(closed_url: str, tmp_path: Path) -> None:
    with pytest.raises(AssetError) as caught:
        assets.weights(None, tmp_path, silent, closed_url)

    assert str(caught.value) == f"cannot get MobileNetV2's ImageNet weights: no response from `{closed_url}` (Connection refused)"
    assert caught.value.hint == (
        f"allow access to {closed_url}, or set FRUITS_ASSETS=DIR to a folder with "
        "weights/ (one *no_top*.h5) and fruits-360-sample/Training/<label>/ (JPEG photos), "
        "or try the pipeline with --model mobilenet_v2_untrained"
    )


def test_a_disk_that_takes_no_more_is_an_error_and_the_file_stays_invisible(server: Any, tmp_path: Path) -> None:
    url = server.serve("net_no_top.h5", WEIGHTS)

    with file_size_limit(200_000), pytest.raises(AssetError, match=r"cannot write `.*net_no_top\.h5`: File too large"):
        assets.weights(None, tmp_path, silent, url)

    assert not (tmp_path / "weights" / "net_no_top.h5").exists()
    assert assets.weights(None, tmp_path, silent, url).read_bytes() == WEIGHTS


def test_a_retry_is_said(server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.failures = [503, 503]

    assets.weights(None, tmp_path, silent, server.serve("net_no_top.h5", WEIGHTS))

    said = f"`{server.url}/net_no_top.h5` returned 503 Service Unavailable; trying again in 0.01 s"
    assert capsys.readouterr().err == f"cannot get MobileNetV2's ImageNet weights: {said}\n"


def official(monkeypatch: pytest.MonkeyPatch, url: str, md5: str) -> Application:
    """Return a network whose official file is at `url`."""
    monkeypatch.setattr(Application, "url", url)
    return Application("m", 224, 3, url.removeprefix("http://"), md5)


def test_the_weights_of_another_network_have_the_hash_that_keras_names(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = official(monkeypatch, server.serve("net_notop.h5", WEIGHTS), hashlib.md5(WEIGHTS, usedforsecurity=False).hexdigest())

    path = assets.application_weights(network, None, tmp_path, silent)

    assert path.read_bytes() == WEIGHTS
    assert files_in(tmp_path) == {"weights/net_notop.h5": WEIGHTS}


def test_another_file_than_keras_names_is_refused_and_deleted(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = server.serve("net_notop.h5", WEIGHTS)

    with pytest.raises(AssetError, match=f"`{url}` has the MD5 `[0-9a-f]{{32}}`, Keras names `0123`"):
        assets.application_weights(official(monkeypatch, url, "0123"), None, tmp_path, silent)
    assert files_in(tmp_path) == {}


def test_a_folder_of_assets_has_the_file_of_the_network(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"no file efficientnetb0_notop\.h5 in `.*weights`"):
        assets.application_weights(APPLICATIONS["EfficientNetB0"], tmp_path, tmp_path / "cache", silent)
    (tmp_path / "weights").mkdir()
    file = tmp_path / "weights" / "efficientnetb0_notop.h5"
    file.write_bytes(WEIGHTS)
    assert assets.application_weights(APPLICATIONS["EfficientNetB0"], tmp_path, tmp_path / "cache", silent) == file
