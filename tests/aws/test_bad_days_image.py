"""Images that the service cannot use, or that were pushed elsewhere."""

from cli.targets.emr_serverless import prepare
from tests.aws.account import RUN, an_account, ended, nobody_waits, only_application, pushed, started  # noqa: F401


def test_an_image_of_another_release_is_named(account, aws, monkeypatch):
    """From 7.14 on the service compares; earlier releases take what comes, and `image check` is what finds it."""
    monkeypatch.setattr(prepare, "RELEASE", "emr-7.14.0")
    aws("emr-serverless").update_application(applicationId=only_application(aws)["id"], releaseLabel="emr-7.14.0")
    account.image(release="emr-7.13.0")

    ended(RUN, 1, "release version emr-7.13.0 doesn't match", "hint: rebuild the image for the release of the application")
    assert started(account) == []


def test_who_has_pushed_nothing_runs_the_applications_own_image(account, aws, monkeypatch, tmp_path):
    monkeypatch.setenv("FRUITS_STATE", str(tmp_path / "another-machine"))
    (image,) = aws("ecr").describe_images(repositoryName="fruitsctl")["imageDetails"]

    ended(RUN, 0, "10 listed")
    (request,) = started(account)
    (run,) = aws("emr-serverless").list_job_runs(applicationId=request["applicationId"])["jobRuns"]
    found = aws("emr-serverless").get_job_run(applicationId=request["applicationId"], jobRunId=run["id"])["jobRun"]
    assert found["imageConfiguration"]["resolvedImageDigest"] == image["imageDigest"]


def test_a_repository_that_was_deleted_by_hand_is_named(account, aws):
    aws("ecr").delete_repository(repositoryName="fruitsctl", force=True)

    ended(RUN, 1, "The repository fruitsctl does not exist in the registry 123456789012", "hint: run `fruitsctl infra up`")
