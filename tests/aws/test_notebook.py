"""`fruitsctl notebook --serverless`: a run like any other, whose driver executes a notebook of the image."""

import json

import pytest

from job.contract.records import Outcome
from tests.aws.account import BUCKET, REPOSITORY, ended, leave, only_application, started
from tests.aws.account import an_account as an_account
from tests.aws.account import nobody_waits as nobody_waits
from tests.aws.fruitsctl import done, fruitsctl
from tests.aws.standin.runner import ScriptedRunner

NOTEBOOK = ("notebook", "--serverless", "--run-id", "r1")
STORED = f"s3://{BUCKET}/out/runs/r1/cloud.ipynb"


def arguments(request):
    return request["jobDriver"]["sparkSubmit"]["entryPointArguments"]


def test_the_driver_is_told_the_notebook_and_the_user_where_it_will_be(account):
    found = ended((*NOTEBOOK, "--json"), 0, "Embed images: 10 of 10 images", f"Executed notebook: {STORED}")

    assert json.loads(found.stdout)["run_id"] == "r1"
    (request,) = started(account)
    assert "--notebook=/opt/fruits/notebooks/cloud.ipynb" in arguments(request)
    assert f"--input=s3://{BUCKET}/photos" in arguments(request)
    assert request["jobDriver"]["sparkSubmit"]["entryPoint"] == "local:///opt/fruits/run_job.py"


def test_but_for_the_notebook_it_is_the_request_of_a_run(account):
    by_notebook = done(*NOTEBOOK, "--components", "7", "--dry-run")["request"]
    by_pipeline = done("run", "--serverless", "--run-id", "r1", "--components", "7", "--dry-run")["request"]

    assert set(arguments(by_notebook)) ^ set(arguments(by_pipeline)) == {"--notebook=/opt/fruits/notebooks/cloud.ipynb"}
    by_notebook["jobDriver"]["sparkSubmit"]["entryPointArguments"] = arguments(by_pipeline)
    assert by_notebook == by_pipeline
    assert started(account) == []


def test_places_and_limits_are_those_of_a_run(account):
    shown = done(*NOTEBOOK, "--input", f"s3://{BUCKET}/mine", "--output", f"s3://{BUCKET}/out/mine", "--max-cost", "0.5", "--dry-run")

    assert shown["worst_case_usd"] <= 0.5
    assert f"--input=s3://{BUCKET}/mine" in arguments(shown["request"])
    assert f"--output=s3://{BUCKET}/out/mine" in arguments(shown["request"])
    ended((*NOTEBOOK, "--max-cost", "0.5", "--timeout", "600"), 3, "more than $0.5")


def test_a_cell_that_failed_is_named_with_the_way_to_what_was_executed(account, aws):
    failed = Outcome("r1", 1, "NotebookError", "cell `[7]` of the notebook failed: ValueError: no", f"see {STORED}")
    account.runner = ScriptedRunner(code=1, meanwhile=leave(aws, failed))

    ended(NOTEBOOK, 1, "cell `[7]` of the notebook failed: ValueError: no", f"hint: see {STORED}")


def test_detached_it_says_when_the_notebook_is_there(account):
    ended((*NOTEBOOK, "--detach"), 0, f"Executed notebook, available when the run has finished: {STORED}")


@pytest.mark.parametrize(
    ("words", "said"), [(("--variance", "1.5"), "not `1.5`"), (("--components", "3", "--variance", "0.5"), "not both")]
)
def test_values_that_make_no_sense_are_refused_before_anything_is_sent(account, words, said):
    found = fruitsctl(*NOTEBOOK, *words)

    assert found.returncode == 2
    assert said in found.stderr
    assert started(account) == []


def test_notebooks_of_studio_may_attach_to_the_application_only_if_asked_for(standin, aws, monkeypatch, tmp_path):
    monkeypatch.setenv("FRUITS_STATE", str(tmp_path / "state"))

    def attaching():
        made = aws("emr-serverless").get_application(applicationId=only_application(aws)["id"])["application"]
        return made.get("interactiveConfiguration", {}).get("studioEnabled", False)

    image = f"{REPOSITORY}@sha256:{'a' * 64}"
    done("infra", "up", "--image", image)
    assert attaching() is False
    done("infra", "up", "--image", image, "--interactive")
    assert attaching() is True
    assert set(map(len, done("infra", "up", "--image", image)["stacks"].values())) == {0}
