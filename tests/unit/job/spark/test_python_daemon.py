"""What Spark's Python daemon imports before it forks, and from where."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PRELOADED = "import sys; from job.spark import python_daemon as daemon; daemon.preload(); "


def run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_starts_no_threads_of_deltalake():
    """Workers are forked from it, and a fork does not take threads along."""
    run(PRELOADED + "import threading; sys.exit('deltalake' in sys.modules or threading.active_count() > 1)")


@pytest.mark.parametrize("package", ["pandas", "pyspark.ml", "tensorflow"])
def test_what_small_runs_do_not_need_is_imported_neither_here_nor_by_the_driver(package: str):
    """Each of them takes half a second of every run, or more."""
    run(PRELOADED + f"import job.pipeline; sys.exit({package!r} in sys.modules)")


def test_pyspark_comes_from_its_folder_not_from_sparks_zip_files(tmp_path: Path):
    """https://github.com/apache/spark/blob/v3.5.6/core/src/main/scala/org/apache/spark/api/python/PythonUtils.scala puts these first."""
    for name in ("pyspark.zip", "py4j-0.10.9.7-src.zip", "mine.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(f"{name.partition('-')[0].removesuffix('.zip')}/__init__.py", "zipped = True")
    first = f"sys.path[:0] = [{str(tmp_path)!r} + '/' + name for name in ('pyspark.zip', 'py4j-0.10.9.7-src.zip', 'mine.zip')]; "

    run(
        f"import sys; {first} from job.spark import python_daemon as daemon; daemon.prefer_folders(); import pyspark, py4j, mine; "
        "sys.exit(hasattr(pyspark, 'zipped') or hasattr(py4j, 'zipped') or not mine.zipped)"
    )


def test_zip_files_stay_where_there_is_no_folder(tmp_path: Path):
    for name in ("pyspark.zip", "py4j-src.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(f"{name[: 4 if name.startswith('py4j') else 7]}/__init__.py", "zipped = True")
    zips = f"[{str(tmp_path)!r} + '/pyspark.zip', {str(tmp_path)!r} + '/py4j-src.zip']"
    alone = f"sys.path[:] = {zips} + [path for path in sys.path if 'site-packages' not in path]; "

    run(
        f"import sys; from job.spark import python_daemon as daemon; {alone} daemon.prefer_folders(); import pyspark, py4j; "
        "sys.exit(not (pyspark.zipped and py4j.zipped))"
    )
