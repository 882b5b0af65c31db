"""The command as a whole: quick to start, plain in what it says."""

import json
import subprocess
import sys

HEAVY = {"boto3", "botocore", "numpy", "pyspark", "requests", "rich", "tensorflow"}


def fruitsctl(*words, **options):
    return subprocess.run([sys.executable, "-m", "cli", *words], capture_output=True, text=True, check=False, **options)


def test_help_imports_nothing_heavy():
    script = f"import sys, cli.main; print(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_help_names_every_command_in_a_whole_sentence():
    said = fruitsctl("--help").stdout

    for line in ("run       Embed the photos that are new, fit a PCA, publish the matrix.", "doctor    Check this machine"):
        assert line in said
    assert "..." not in said.partition("Commands:")[2]
    assert "..." not in said.partition("Commands:")[2]


def test_a_run_needs_a_target():
    done = fruitsctl("run", "in", "out")

    assert done.returncode == 2
    assert done.stderr == "error: no target given\n\nhint: add --local, --compose, --serverless or --eks\n"


def test_doctor_lists_what_it_found_as_json(tmp_path):
    done = fruitsctl("doctor", str(tmp_path / "out"), "--json")

    assert done.returncode == 0
    assert [check["name"] for check in json.loads(done.stdout)["checks"]] == [
        "python",
        "packages",
        "java",
        "memory",
        "disk",
        "weights",
        "output",
        "cache",
    ]


def test_doctor_names_what_is_missing_and_how_to_fix_it(tmp_path):
    (tmp_path / "file").write_text("")

    done = fruitsctl("doctor", str(tmp_path / "file" / "out"))

    assert done.returncode == 1
    assert f"FAILED   output    cannot write to {tmp_path}/file" in done.stdout
    assert "fix: choose another OUTPUT: fruitsctl run INPUT OTHER_OUTPUT --local" in done.stdout
    assert "error: missing: output" in done.stderr
