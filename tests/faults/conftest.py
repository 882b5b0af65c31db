"""
The matrix of faults: each test injects one kind, lets the next run recover, and leaves a row of what came of it. The rows are the table at
the end, and build/faults.md and build/faults.json. FRUITS_TESTS=short: each kind once, on few images.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from job.contract.params import Params
from tests.conftest import SHORT as SHORT
from tests.e2e.conftest import Command
from tests.faults import table
from tests.faults.damage import Damage
from tests.faults.jobs import Jobs, environment
from tests.faults.table import Row
from tests.s3.conftest import bucket as bucket
from tests.s3.conftest import s3_server as s3_server
from tests.unit.job import hostile

SLOW_PHOTOS = 24


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, []) if report.when == "call"]
    rows = [Row(**value) for report in reports for name, value in report.user_properties if name == "fault"]
    if rows:
        table.write(rows, config.rootpath / "build")
        terminalreporter.section("faults")
        terminalreporter.write(table.markdown(rows))


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Leaves a row, then holds that nothing was lost, doubled or half-visible."""

    def record(fault: str, injected: int, harm: Damage, half_visible: int, code: int | str, seconds: float | None = None) -> None:
        row = Row(fault, injected, harm.lost, harm.doubled, half_visible, str(code), seconds)
        request.node.user_properties.append(("fault", asdict(row)))
        assert injected > 0
        assert (row.lost, row.doubled, row.half_visible) == (0, 0, 0)

    return record


@pytest.fixture
def jobs(tmp_path: Path, short_jvm: dict[str, str], cache: Path) -> Iterator[Jobs]:
    (tmp_path / "logs").mkdir()
    started = Jobs(tmp_path / "logs", environment(short_jvm, cache))
    yield started
    started.kill_all()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture(scope="session")
def photos(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """60 photos of 6 labels: URI to content."""
    root, found = tmp_path_factory.mktemp("photos"), {}
    for folder in sorted((sample / "Test").iterdir())[::4][:6]:
        (root / folder.name).mkdir()
        for path in sorted(folder.iterdir()):
            copy = root / folder.name / path.name
            copy.write_bytes(path.read_bytes())
            found[f"file://{copy}"] = copy.read_bytes()
    return found


@pytest.fixture(scope="session")
def slow_photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """So large that a run has seconds in which to meet a fault: 24 megapixels each, four files under many names."""
    root = tmp_path_factory.mktemp("slow") / "Fruit"
    root.mkdir()
    for number in range(SLOW_PHOTOS):
        path, twin = root / f"{number:02}.jpg", root / f"{number % 4:02}.jpg"
        if path != twin:
            os.link(twin, path)
            continue
        photo = hostile.fruit(6000, 4000)
        photo.paste("black", (0, 0, 500 * number, 500))
        path.write_bytes(hostile.save(photo, "JPEG", quality=60))
    return {f"file://{path}": path.read_bytes() for path in root.iterdir()}


@pytest.fixture
def params(output: Path) -> Callable[..., Params]:
    """Of a run over the folder that holds `photos`, of `mean_colour`."""

    def make(photos: dict[str, bytes], run_id: str, **more: object) -> Params:
        source = next(iter(photos)).rpartition("/")[0].rpartition("/")[0]
        values = {"output": f"file://{output}", "model": "mean_colour", "components": 2, "chunk_images": 20} | more
        return Params(input=source, run_id=run_id, **values)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def fruitsctl(model_cache: Path, short_jvm: dict[str, str]) -> Command:
    """The command, as a user starts it."""
    return Command(model_cache, short_jvm)
