"""
What other tools for EMR Serverless get wrong, and ours does not: the few defects that no other test pins, and the page that lists them all.

docs/reference/what-others-get-wrong.md names the source of each defect and the test that holds ours.
"""

import ast
import inspect
import re
from pathlib import Path

import boto3
import pytest
import yaml

from cli.aws import clients
from cli.aws import emr_serverless as application
from cli.aws.errors import client
from cli.container import rules as image_check
from cli.infra import deploy, stacks
from cli.photos import upload
from cli.targets.emr import waits
from cli.targets.emr_serverless.policy import session_policy
from tests.aws.account import REPOSITORY, RUN, an_account, ended, nobody_waits, started  # noqa: F401
from tests.aws.fruitsctl import done, fruitsctl
from tests.aws.standin.runner import ScriptedRunner
from tests.aws.test_infra_policies import Loader, of_policies, of_templates
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "what-others-get-wrong.md"
POLLED = waits.POLL_SECONDS  # before a fixture makes it short
IMAGE = f"{REPOSITORY}@sha256:{'a' * 64}"


def template(name):
    return yaml.load((ROOT / "cli" / "infra" / "templates" / f"{name}.yaml").read_text(), Loader)["Resources"]


def arguments(*words):
    return done(*RUN, "--dry-run", *words)["request"]["jobDriver"]["sparkSubmit"]["entryPointArguments"]


def test_the_bucket_is_encrypted_and_cleans_up_after_itself(aws):
    done("infra", "up")
    (bucket,) = (found["Name"] for found in aws("s3").list_buckets()["Buckets"])
    (rule,) = aws("s3").get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"

    rules = {rule["Id"]: rule for rule in template("data")["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]}
    assert {rule["Status"] for rule in rules.values()} == {"Enabled"}
    assert (rules["logs"]["Prefix"], rules["logs"]["ExpirationInDays"]) == ("logs/", "LogDays")
    assert rules["old-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 7}
    assert rules["incomplete-uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}


def test_glue_is_out_of_reach(account):
    lists = [statement["Action"] for statement in of_templates()] + [list(item.actions) for item in of_policies()]
    named = {action for actions in lists for action in ([actions] if isinstance(actions, str) else actions)}

    assert "s3:GetObject" in named
    assert {action.partition(":")[0] for action in named} & {"glue", "lakeformation", "athena", "dynamodb"} == set()
    deployed = deploy.deployed(boto3.session.Session(), "eu-west-3", "fruitsctl")
    assert "glue" not in session_policy(f"s3://{deployed.bucket}/photos", f"s3://{deployed.bucket}/out", deployed)


def test_up_starts_nothing(standin, aws, monkeypatch, tmp_path):
    monkeypatch.setenv("FRUITS_STATE", str(tmp_path / "state"))
    for module in (stacks, application):
        monkeypatch.setattr(module, "POLL_SECONDS", 0.02)
    done("infra", "up", "--image", IMAGE)

    (made,) = aws("emr-serverless").list_applications()["applications"]
    assert made["state"] == "CREATED"
    assert "StartApplication" not in {call.operation for call in standin.calls}


def test_commas_spaces_and_stars_of_an_argument_arrive_as_they_were_typed(account):
    given = arguments("--fit-on", "Apple Red 1,Pear*")

    assert "--fit-on=Apple Red 1,Pear*" in given
    assert "--input=s3://fruitsctl-123456789012-eu-west-3/photos" in given


def test_keys_on_s3_have_slashes_whatever_the_system_thinks_of_paths(aws, tmp_path):
    aws("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    photo = tmp_path / "photos" / "Apple Red" / "a.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"fruit")

    (found,), _ = upload.find_photos(tmp_path / "photos", "s3://bucket/some/photos")
    assert found.key == "some/photos/Apple Red/a.jpg"
    assert [path.name for path in (ROOT / "cli").rglob("*.py") if "os.path.join" in path.read_text()] == []


def test_a_run_without_a_limit_ends_after_three_hours_at_most_and_takes_what_a_new_account_may_have(account):
    request = done(*RUN, "--dry-run")["request"]

    assert request["executionTimeoutMinutes"] == 180
    assert "--conf spark.dynamicAllocation.maxExecutors=3 " in request["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"] + " "


def test_the_log_is_read_during_the_run(account):
    account.runner = ScriptedRunner(["first words"] + [""] * 200, seconds=60)
    done(*RUN, "--detach")

    wait_until(lambda: "first words" in fruitsctl("logs", "r1").stdout)
    assert done("status", "r1")["state"] == "RUNNING"


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-2", "eu-central-2"])
def test_the_region_of_the_environment_is_guarded_before_anything_is_asked(account, monkeypatch, region):
    monkeypatch.setenv("AWS_REGION", region)
    account.calls.clear()

    ended(RUN, 3, region)
    assert account.calls == []


def test_every_client_of_aws_is_told_its_region():
    """boto3 would take one from wherever it finds it."""
    assert inspect.signature(client).parameters["region"].default is inspect.Parameter.empty
    vague = set()
    for path in sorted((ROOT / "cli").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "client":
                service = isinstance(node.args[0], ast.Constant)  # otherwise it is one of our own functions
                if service and "region_name" not in {keyword.arg for keyword in node.keywords}:
                    vague.add(path.name)

    assert vague == set()


def test_a_variable_of_an_image_whose_value_holds_an_equals_sign_is_read_whole():
    options = "-Dfile.encoding=UTF-8"
    same = {"Config": {"Env": ["JAVA_HOME=/etc/alternatives/jre", f"JAVA_TOOL_OPTIONS={options}"]}}

    assert image_check._env(same)["JAVA_TOOL_OPTIONS"] == options


def test_the_state_of_a_run_is_asked_for_at_most_once_in_four_seconds():
    assert min(clients.jittered(POLLED) for _ in range(1_000)) >= 4


def test_the_page_names_tests_that_exist_and_each_of_these():
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE.read_text())

    assert [name for path, name in named if f"\ndef {name}(" not in (ROOT / path).read_text()] == []
    here = set(re.findall(r"^def (test_\w+)\(", Path(__file__).read_text(), re.MULTILINE))
    assert here - {name for _, name in named} == {"test_the_page_names_tests_that_exist_and_each_of_these"}
    assert all(row.count("`tests/") >= 1 for row in PAGE.read_text().splitlines() if re.match(r"\| (?!-|defect|what)", row))
