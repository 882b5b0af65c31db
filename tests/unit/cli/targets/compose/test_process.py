"""What `--compose` starts: the same run, inside the stack."""

import shlex

import pytest

from cli.errors import UsageError
from cli.targets.compose.process import plan
from job.contract.params import Params

COMPOSE = ["docker", "compose"]


def test_the_container_gets_what_the_user_asked_for():
    params = Params("s3://fruits/photos", "s3://fruits/out", "run-1", variance=0.9, standardize=True, cache="/home/me/.cache")

    command = shlex.join(plan(params, COMPOSE, as_json=True, terminal=False).command)

    assert command.startswith("docker compose run --rm -T job fruitsctl run s3://fruits/photos s3://fruits/out --submit --run-id=run-1")
    assert "--variance=0.9" in command
    assert "--standardize " in command
    assert "--retry-rejects" not in command
    assert "/home/me" not in command
    assert command.endswith(" --json")


def test_a_terminal_is_handed_on():
    assert "-T" not in plan(Params("s3://a/b", "s3://a/c", "run-1"), COMPOSE, as_json=False, terminal=True).command


@pytest.mark.parametrize(
    "given", [{"input": "file:///photos"}, {"output": "file:///out"}, {"weights": "/w.h5"}, {"model": "keras:Xception"}]
)
def test_what_the_container_cannot_see_is_refused(given):
    with pytest.raises(
        UsageError, match=r"is not accessible from the local stack|`--(weights|model keras:Xception)` cannot be used with --compose"
    ):
        plan(Params(**{"input": "s3://a/b", "output": "s3://a/c", "run_id": "run-1"} | given), COMPOSE, as_json=False, terminal=False)
