"""`infra down` over what somebody deleted by hand, in a separate project without an application. Stands for minutes, empty: no cost."""

import secrets

import pytest

from cli.infra import deploy


@pytest.fixture
def project(fruitsctl, clients, tmp_path, monkeypatch):
    monkeypatch.setenv("FRUITS_STATE", str(tmp_path))  # nothing was pushed for it
    monkeypatch.setenv("FRUITS_PROJECT", name := f"fruitslive-{secrets.token_hex(3)}")
    fruitsctl("infra", "up")
    yield name
    fruitsctl("infra", "down", "--yes")


def test_parts_that_are_gone_do_not_keep_a_stack_from_going(project, fruitsctl, clients):
    """CloudFormation's handlers meet a bucket whose policy they are to delete, a role and a log group that are not there any more."""
    found = deploy.deployed(clients.session, clients.region, project)
    clients("logs").delete_log_group(logGroupName=found.log_group)
    clients("s3").delete_bucket(Bucket=found.bucket)
    clients("ecr").delete_repository(repositoryName=project)

    assert fruitsctl("infra", "down", "--yes") == "all resources are removed\n"


def test_data_that_was_kept_is_taken_up_again(project, fruitsctl, clients):
    bucket = deploy.deployed(clients.session, clients.region, project).bucket
    clients("s3").put_object(Bucket=bucket, Key="photos/a.jpg", Body=b"fruit")

    fruitsctl("infra", "down", "--keep-data", "--yes")
    fruitsctl("infra", "up")

    assert clients("s3").get_object(Bucket=bucket, Key="photos/a.jpg")["Body"].read() == b"fruit"
