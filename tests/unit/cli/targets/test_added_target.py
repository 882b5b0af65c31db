"""A target that is added to the code: one folder and one line of the registry are all that it takes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
FAKE = '''"""Target `--mars`: a place of a test."""

from dataclasses import dataclass

from cli.aws.run_state import RunState
from cli.settings.config import settings
from cli.targets.base import Ended, LogLine, Plan, RunStatus, SubmittedRun, Target, TargetOptions
from cli.targets.options import TARGET, option
from cli.targets.runs.saved import save
from job.contract.records import Manifest, Outcome, Stage

COUNTS = {"listed": 7, "new": 7, "embedded": 7, "rows": 7, "labels": 1, "removed": 0, "rejected": 0, "ignored": 0}


@dataclass(frozen=True)
class MarsOptions(TargetOptions):
    rocket: str | None = option(None, "rocket to take.", TARGET, metavar="NAME")


class Mars(Target[MarsOptions, Plan]):
    name, title, help, offered, options = "mars", "Mars", "Run on Mars.", True, MarsOptions

    def plan(self, params, options):
        return Plan(params, {"rocket": options.rocket}, f"rocket {options.rocket}")

    def submit(self, plan, tell):
        run = SubmittedRun(plan.params.run_id, self.name, plan.params.output, "2026-11-30T12:00:00+00:00")
        save(settings().state, run)
        return run

    def follow(self, run, tell):
        stages = {"fit": Stage(1.0, 7)}
        return Ended(Manifest(run.run_id, "2026-11-30T12:00:00Z", 1, {}, "m", {}, COUNTS, {}, {}, stages, 2, 0.9, run.run_id))

    def describe(self, run, tell):
        return RunStatus(RunState.SUCCEEDED, "LANDED", outcome=Outcome(run.run_id, 0, "done", "7 rows"))

    def logs(self, run, follow, stderr, tell):
        yield LogLine("dust")

    def cancel(self, run, tell):
        return self.describe(run, tell)
'''


@pytest.fixture(scope="module")
def with_mars(tmp_path_factory):
    """Give `fruitsctl` of a copy of the code with one more folder in cli/targets and one more row in the registry."""
    root = tmp_path_factory.mktemp("mars")
    for package in ("cli", "job"):
        subprocess.run(["cp", "-r", str(ROOT / package), str(root / package)], check=True)
    (root / "cli" / "targets" / "mars").mkdir()
    (root / "cli" / "targets" / "mars" / "__init__.py").write_text(FAKE)
    file = root / "cli" / "targets" / "registry.py"
    text = file.read_text()
    last = '    "cli.targets.emr_eks.target:EmrEks",\n'
    assert text.count(last) == 1
    file.write_text(text.replace(last, f'{last}    "cli.targets.mars:Mars",\n'))
    environment = {**os.environ, "PYTHONPATH": str(root), "FRUITS_STATE": str(root / "state")}

    def fruitsctl(*words):
        return subprocess.run([sys.executable, "-m", "cli", *words], env=environment, cwd=root, capture_output=True, text=True, check=False)

    return fruitsctl


def test_a_target_is_added_by_one_folder_and_one_line(with_mars):
    shown = with_mars("run", "photos", "out", "--mars", "--rocket", "five", "--dry-run", "--json")
    assert json.loads(shown.stdout) == {"rocket": "five"}, shown.stderr

    ran = with_mars("run", "photos", "out", "--mars", "--run-id", "m1")
    assert (ran.returncode, "7 listed" in ran.stdout) == (0, True), ran.stderr
    assert with_mars("status", "m1").stdout.startswith("Run m1: landed\n  target    Mars")
    assert with_mars("logs", "m1").stdout == "dust\n"
    assert "m1   mars    succeeded" in with_mars("runs", "--output", "out").stdout
    assert "error: `ui` is not available for runs on Mars" in with_mars("ui", "m1").stderr
    assert "`cost` is not available for runs on Mars" in with_mars("cost", "m1").stderr


def test_the_options_of_an_added_target_are_in_help_and_belong_to_it_alone(with_mars):
    help_ = with_mars("run", "--help").stdout

    assert "--mars" in help_.partition("PCA:")[0]
    assert "With --mars: rocket to take." in " ".join(help_.split())
    assert with_mars("run", "photos", "out", "--local", "--rocket", "x").stderr.startswith(
        "error: `--rocket` cannot be used with `--local`\n"
    )
    assert "--eks or --mars" in with_mars("run", "photos", "out").stderr
