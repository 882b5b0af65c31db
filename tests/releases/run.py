"""
The tests of the job on each release's Spark, in a separate environment, and those of the local stack on an image of that release;
prints a table. Exits 1 if a test failed or could not be run.

`run.py` takes every release of cli/settings/release.py but the default one, whose tests are `make test` and `make test-image`. `run.py
--quick` takes the first of them, and the tests of the tables alone. The environments are `.venv-<release>`, which the Makefile makes; the
images are the stand-in's (docker/standin.sh). Junit's files stay in build/releases/.
"""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from cli.settings.release import DEFAULT, RELEASES
from job.spark.packages import s3a

ROOT = Path(__file__).parents[2]
WHOLE = ("tests/spark", "tests/e2e/test_run.py")
QUICK = ("tests/spark/test_packages.py", "tests/spark/test_store.py")
STACK = ("tests/container/test_compose.py",)
STANDIN = 'standin="$(docker/standin.sh)" && eval "$standin" && exec "$@"'


def job(release, tests):
    python = ROOT / f".venv-{release}" / "bin" / "python"
    return run(release, "job", [python], tests)


def stack(release):
    return run(release, "local stack", ["bash", "-c", STANDIN, "standin", sys.executable], STACK)


def run(release, what, python, tests):
    """A line of the table, and whether all passed."""
    results = ROOT / "build" / "releases" / f"{release}-{what.replace(' ', '-')}.xml"
    results.parent.mkdir(parents=True, exist_ok=True)
    results.unlink(missing_ok=True)
    # What starts Spark takes it from there, not from an installation that the machine may have.
    environment = {name: value for name, value in os.environ.items() if name != "SPARK_HOME"} | {"FRUITS_RELEASE": release}
    command = [*python, "-m", "pytest", "-q", "-n", "0", f"--junitxml={results}", *tests]
    subprocess.run(command, cwd=ROOT, env=environment, check=False, stdout=2)
    if not results.is_file():
        return f"| {release} | {what} | {RELEASES[release]} | | did not start | | |", False
    suite = ET.parse(results).getroot().find("testsuite")
    count, bad = int(suite.get("tests")), sum(int(suite.get(kind)) for kind in ("failures", "errors", "skipped"))
    hadoop = s3a(RELEASES[release]).rpartition(":")[2]
    line = f"| {release} | {what} | {RELEASES[release]} | {hadoop} | {count - bad} | {bad} | {float(suite.get('time')):.0f} |"
    return line, count > 0 and bad == 0


def moved():
    """The same OUTPUT from release to release and back, tests/releases/test_moving.py."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "tests/releases"]
    return subprocess.run(command, cwd=ROOT, check=False, stdout=2).returncode == 0


def main(quick):
    releases = [release for release in RELEASES if release != DEFAULT]
    lines = [job(releases[0], QUICK)] if quick else [line for release in releases for line in (job(release, WHOLE), stack(release))]
    there_and_back = quick or moved()
    print("| release | what | Spark | S3A | passed | failed | seconds |\n| --- | --- | --- | --- | --- | --- | --- |")
    print(*(line for line, _ in lines), sep="\n")
    if not quick:
        print(f"\nOne OUTPUT, from release to release and back: {'the same result each time' if there_and_back else 'FAILED'}")
    return 0 if there_and_back and all(good for _, good in lines) else 1


if __name__ == "__main__":
    sys.exit(main("--quick" in sys.argv[1:]))
