"""
A run on EMR on EKS against moto's service, which starts runs as RUNNING and ends them only when they are cancelled: where a run
ends by itself, a thread beside the command does what the job does, and sets its state.
"""

import gzip
import json
import threading
import time

import boto3
import pytest
from moto.eks.models import eks_backends

from cli.aws import clients as aws_clients
from cli.aws.clients import Clients
from cli.aws.run_state import RunState
from cli.errors import FruitsError, RefusedError, UsageError
from cli.targets.emr_eks import follow
from cli.targets.emr_eks.options import EksOptions
from cli.targets.emr_eks.target import EmrEks
from cli.targets.emr_eks.trust import trust_of
from job.contract.params import Params
from job.contract.records import Outcome, Progress, to_line
from tests.aws.account import BUCKET, ended
from tests.aws.fruitsctl import done, fruitsctl
from tests.aws.virtual_cluster import ROLE, a_cluster_with_runs, a_virtual_cluster, clients_of_paris  # noqa: F401
from tests.image_registry import image_registry
from tests.waiting import wait_until

IMAGE = "123456789012.dkr.ecr.eu-west-3.amazonaws.com/fruitsctl@sha256:" + "0a" * 32
PARAMS = Params("s3://bucket/photos", "s3://bucket/out", "20261121T080000Z-41a4")
OUTCOME = {"run_id": PARAMS.run_id, "code": 2, "kind": "InputError", "message": "nothing to embed in `s3://bucket/photos`", "hint": "push"}


@pytest.fixture
def bucket(clients):
    s3 = clients("s3")
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    return s3


def wanted(virtual_cluster, execution_role=ROLE, image=IMAGE, **others):
    return EksOptions(virtual_cluster=virtual_cluster, execution_role=execution_role, image=image, **others)


def request_of(virtual_cluster, **others):
    return dict(EmrEks().dry_run(EmrEks().plan(PARAMS, wanted(virtual_cluster, dry_run=True, **others)))[0])


def test_a_dry_run_prints_the_request_and_sends_nothing(clients, virtual_cluster, bucket):
    request = request_of(virtual_cluster, executors=5)

    assert request["virtualClusterId"] == virtual_cluster
    assert "--conf spark.executor.instances=5" in request["jobDriver"]["sparkSubmitJobDriver"]["sparkSubmitParameters"]
    assert clients("emr-containers").list_job_runs(virtualClusterId=virtual_cluster)["jobRuns"] == []


def test_a_run_is_sent_followed_and_cancelled(clients, virtual_cluster, bucket):
    job_run_id = follow.start(clients, request_of(virtual_cluster))
    said, ended = [], []
    following = threading.Thread(target=lambda: ended.append(follow.follow(clients, virtual_cluster, job_run_id, said.append)))
    following.start()
    wait_until(lambda: said, following.is_alive)

    job_run = follow.cancel(Clients(clients.session, "eu-west-3"), virtual_cluster, job_run_id, lambda _: None)
    following.join(30)

    assert (job_run["state"], ended[0]["state"]) == ("CANCELLED", "CANCELLED")
    assert said == [f"{job_run_id}: RUNNING", f"{job_run_id}: CANCELLED"]


def test_cancelling_what_has_ended_is_no_error(clients, virtual_cluster, bucket):
    job_run_id = follow.start(clients, request_of(virtual_cluster))
    follow.cancel(clients, virtual_cluster, job_run_id, lambda _: None)

    assert follow.cancel(clients, virtual_cluster, job_run_id, lambda _: None)["state"] == "CANCELLED"


@pytest.fixture
def account(standin, monkeypatch):
    """All of AWS by way of the stand-in, which breaks what it is told to; botocore's own retries would hide it."""
    for name, value in standin.environment(everything=True).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(aws_clients, "ATTEMPTS", 0)
    monkeypatch.setattr(aws_clients, "PAUSE_SECONDS", 0.01)
    return standin


def asked(account, operation):
    return [call for call in account.calls if call.action == f"emr-containers:{operation}"]


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        ("ExpiredTokenException", "AWS rejected the credentials for `emr-containers:StartJobRun`: ExpiredTokenException", "log in again"),
        ("AccessDeniedException", "access denied for `emr-containers:StartJobRun`", "add `emr-containers:StartJobRun`"),
    ],
)
def test_a_run_is_not_sent_again_with_credentials_that_are_refused(account, clients, virtual_cluster, bucket, code, message, hint):
    request = request_of(virtual_cluster)
    account.fail("emr-containers:StartJobRun", code)

    with pytest.raises(FruitsError, match=message) as error:
        follow.start(Clients(boto3.session.Session(), "eu-west-3"), request)

    assert error.value.hint.startswith(hint)
    assert len(asked(account, "StartJobRun")) == 1


def test_a_run_whose_answers_are_lost_is_sent_five_times_and_says_so(account, clients, virtual_cluster, bucket):
    request, said = request_of(virtual_cluster), []
    account.lose_answer("emr-containers:StartJobRun", 100)

    with pytest.raises(FruitsError, match=r"^no response from AWS when starting run `20261121T080000Z-41a4`$") as error:
        follow.start(Clients(boto3.session.Session(), "eu-west-3"), request, said.append)

    assert error.value.hint == "run the same command with `--run-id 20261121T080000Z-41a4`: the run starts once"
    assert said == ["no response from AWS; retrying with the same token, so that the run starts once"] * 4
    assert len(asked(account, "StartJobRun")) == 5


@pytest.mark.parametrize(
    ("code", "told", "hint"),
    [
        (
            "ExpiredTokenException",
            "the credentials have expired",
            "log in again, for example with `aws sso login`, then run `fruitsctl status",
        ),
        ("ThrottlingException", "AWS throttles requests", "wait some minutes, then run `fruitsctl status"),
    ],
)
def test_a_run_is_not_followed_for_ever(account, clients, virtual_cluster, bucket, monkeypatch, code, told, hint):
    monkeypatch.setattr(aws_clients, "FOLLOW_RETRY_SECONDS", 2)
    job_run_id, said = follow.start(clients, request_of(virtual_cluster)), []
    account.fail("emr-containers:DescribeJobRun", code)

    with pytest.raises(FruitsError, match=r"after 0 minutes of retries$") as error:
        follow.follow(Clients(boto3.session.Session(), "eu-west-3"), virtual_cluster, job_run_id, said.append)

    assert error.value.hint.startswith(hint)
    assert len(said) == 1
    assert said[0].startswith(told)


def test_a_run_that_does_not_end_is_not_followed_for_ever(clients, virtual_cluster, bucket):
    job_run_id = follow.start(clients, request_of(virtual_cluster))

    with pytest.raises(FruitsError, match=f"^job run `{job_run_id}` is still `RUNNING` after 0 minutes$") as error:
        follow.follow(clients, virtual_cluster, job_run_id, lambda _: None, most_seconds=0)

    assert error.value.hint.startswith(f"run `fruitsctl status {job_run_id}")


def test_a_status_that_cannot_be_had_is_an_error_at_once(account, clients, virtual_cluster, bucket):
    job_run_id = follow.start(clients, request_of(virtual_cluster))
    account.fail("emr-containers:DescribeJobRun", "ExpiredTokenException")

    with pytest.raises(UsageError, match="AWS rejected the credentials"):
        follow.describe(Clients(boto3.session.Session(), "eu-west-3"), virtual_cluster, job_run_id, lambda _: None)


def test_a_cancellation_that_is_throttled_is_tried_again(account, clients, virtual_cluster, bucket):
    job_run_id = follow.start(clients, request_of(virtual_cluster))
    account.fail("emr-containers:CancelJobRun", "ThrottlingException", 2)

    job_run = follow.cancel(Clients(boto3.session.Session(), "eu-west-3"), virtual_cluster, job_run_id, lambda _: None)

    assert job_run["state"] == "CANCELLED"


def test_a_state_that_is_new_to_this_version_is_waited_for():
    assert follow.state({"state": "PAUSED"}) is RunState.RUNNING
    assert follow.state({"state": "SUBMITTED"}) is RunState.PENDING


def test_a_failed_run_ends_with_the_jobs_own_words_and_code(clients, bucket):
    bucket.put_object(Bucket="bucket", Key=f"out/runs/{PARAMS.run_id}/outcome.json", Body=json.dumps(OUTCOME).encode())

    with pytest.raises(FruitsError) as error:
        follow.raise_unless_done(clients, {"state": "FAILED", "stateDetails": "exit 1"}, PARAMS.output, PARAMS.run_id, "s3://bucket/logs/")

    assert (str(error.value), error.value.hint, error.value.exit_code) == ("nothing to embed in `s3://bucket/photos`", "push", 2)


def test_a_run_that_died_without_a_word_ends_with_the_services_words_and_without_its_links(clients, bucket):
    details = "Pod failed, see https://logs.example/x?X-Amz-Signature=abc"
    job_run = {"state": "FAILED", "failureReason": "USER_ERROR", "stateDetails": details}

    with pytest.raises(FruitsError) as error:
        follow.raise_unless_done(clients, job_run, PARAMS.output, PARAMS.run_id, "s3://bucket/logs/")

    assert str(error.value) == "run `20261121T080000Z-41a4` failed: USER_ERROR: Pod failed, see https://logs.example/x?***"
    assert error.value.hint == "see the logs in s3://bucket/logs/"


def test_a_cancelled_run_says_so_and_how_to_continue(clients):
    with pytest.raises(FruitsError, match="was cancelled"):
        follow.raise_unless_done(clients, {"state": "CANCELLED"}, PARAMS.output, PARAMS.run_id, "s3://bucket/logs/")


def test_a_virtual_cluster_that_is_not_there_is_named_with_the_action(clients):
    with pytest.raises(FruitsError, match="`emr-containers:DescribeJobRun` failed with ResourceNotFoundException"):
        follow.describe(clients, "nobody", "0000000abcdefghijkl", lambda _: None)


def test_the_trust_policy_is_of_the_clusters_own_issuer_and_namespace(clients, virtual_cluster):
    policy = trust_of(clients.session, "eu-west-3", virtual_cluster, "fruits-eks")

    issuer = clients("eks").describe_cluster(name="shared")["cluster"]["identity"]["oidc"]["issuer"].removeprefix("https://")
    [statement] = policy["Statement"]
    assert statement["Principal"]["Federated"] == f"arn:aws:iam::123456789012:oidc-provider/{issuer}"
    assert statement["Condition"]["StringLike"][f"{issuer}:sub"].startswith(
        "system:serviceaccount:fruits:emr-containers-sa-*-*-123456789012-"
    )
    role = clients("iam").create_role(RoleName="fruits-eks", AssumeRolePolicyDocument=json.dumps(policy))["Role"]
    assert role["AssumeRolePolicyDocument"] == policy


def test_a_cluster_without_an_issuer_is_told_the_command_that_makes_one(clients, virtual_cluster):
    eks_backends["123456789012"]["eu-west-3"].clusters["shared"].identity = {}

    with pytest.raises(UsageError, match=r"^cluster `shared` has no OIDC issuer$") as error:
        trust_of(clients.session, "eu-west-3", virtual_cluster, "fruits-eks")

    assert error.value.hint == "run `eksctl utils associate-iam-oidc-provider --approve --region eu-west-3 --cluster shared`"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (wanted(None), "`--eks` needs `--virtual-cluster`"),
        (wanted("abc", None), "`--eks` needs `--execution-role`"),
        (wanted(None, None), "`--eks` needs `--virtual-cluster` and `--execution-role`"),
        (wanted("abc", image=None), "no image was pushed to `123456789012.dkr.ecr.eu-west-3.amazonaws.com/fruitsctl` from this machine"),
    ],
)
def test_what_is_missing_is_refused(clients, options, said):
    with pytest.raises(UsageError) as error:
        EmrEks().plan(PARAMS, options)
    assert str(error.value).startswith(said)
    assert error.value.exit_code == 2


def test_a_bucket_in_another_region_than_the_cluster_is_refused_before_the_request_is_shown_or_sent(clients, virtual_cluster):
    boto3.client("s3", region_name="eu-west-1").create_bucket(
        Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )

    with pytest.raises(RefusedError, match="bucket `bucket` is in eu-west-1, the virtual cluster in eu-west-3"):
        EmrEks().plan(PARAMS, wanted(virtual_cluster))


def test_a_bucket_outside_the_union_is_refused_before_the_request_is_shown_or_sent(clients, virtual_cluster):
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="bucket")

    with pytest.raises(RefusedError, match="bucket `bucket`: Region `us-east-1` is not on the list of Regions in the European Union"):
        EmrEks().plan(PARAMS, wanted(virtual_cluster))


@pytest.mark.parametrize(
    "host", ["111122223333.dkr.ECR.us-east-1.amazonaws.com", "111122223333.dkr.ecr.US-EAST-1.amazonaws.com", "PUBLIC.ecr.aws"]
)
def test_an_image_outside_the_union_is_refused(clients, virtual_cluster, bucket, host):
    with pytest.raises(RefusedError, match="Region `us-east-1` is not on the list of Regions in the European Union"):
        EmrEks().plan(PARAMS, wanted(virtual_cluster, image=f"{host}/fruitsctl@sha256:{'0a' * 32}"))


@pytest.mark.parametrize(("region", "error"), [("eu-west-2", RefusedError), ("eusc-de-east-1", UsageError)])
def test_a_region_without_the_service_or_outside_the_union_is_refused(clients, monkeypatch, region, error):
    monkeypatch.setenv("AWS_REGION", region)

    with pytest.raises(error):
        EmrEks().plan(PARAMS, wanted("abc"))


def test_a_run_is_sent_followed_and_summed_up(cluster, virtual_cluster, clients):
    words, end = cluster
    end("COMPLETED")

    said = ended(words, 0, "images      10 listed", "k = 2")

    [run] = clients("emr-containers").list_job_runs(virtualClusterId=virtual_cluster)["jobRuns"]
    assert (run["name"], run["executionRoleArn"], run["releaseLabel"]) == ("r1", ROLE, "emr-7.13.0-latest")
    assert f"Run r1 is job run {run['id']}\n" in said.stderr
    assert f"{run['id']}: COMPLETED\n" in said.stderr
    assert f"--eks --virtual-cluster {virtual_cluster} --execution-role {ROLE}" in said.stdout


def test_the_manifest_of_a_run_is_its_json(cluster):
    words, end = cluster
    end("COMPLETED")

    assert done(*words)["counts"]["embedded"] == 10


def test_a_job_that_fails_ends_the_command_with_the_jobs_own_error_and_code(cluster):
    words, end = cluster
    end("FAILED", Outcome("r1", 2, "InputError", f"nothing to embed in `s3://{BUCKET}/photos`", "upload photos"))

    ended(words, 2, f"error: nothing to embed in `s3://{BUCKET}/photos`\nhint: upload photos\n")


def test_a_job_that_dies_ends_the_command_with_the_place_of_its_logs(cluster, virtual_cluster, clients):
    words, end = cluster
    end("FAILED", None, "Driver pod was evicted")

    said = ended(words, 1, "error: run `r1` failed: Driver pod was evicted\n")

    [run] = clients("emr-containers").list_job_runs(virtualClusterId=virtual_cluster)["jobRuns"]
    assert said.stderr.endswith(f"hint: see the logs in s3://{BUCKET}/logs/{virtual_cluster}/jobs/{run['id']}/\n")


def test_a_run_without_a_manifest_is_not_taken_for_done(cluster):
    words, end = cluster
    end("COMPLETED", None)

    ended(words, 1, f"error: the run has finished, but `s3://{BUCKET}/out/runs/r1/manifest.json` is missing\n")


def test_a_detached_run_is_asked_for_and_cancelled_by_its_id(cluster, virtual_cluster):
    words, _ = cluster
    sent = done(*words, "--detach")
    run = (sent["job_run_id"], "--virtual-cluster", virtual_cluster)

    assert sent["run_id"] == "r1"
    assert done("eks", "status", *run)["state"] == "RUNNING"
    assert done("eks", "cancel", *run)["state"] == "CANCELLED"
    ended(("eks", "status", *run), 0, "state         CANCELLED")


def test_ctrl_c_detaches_and_says_how_to_find_the_run(cluster, monkeypatch):
    words, _ = cluster

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(follow, "follow", interrupt)
    ended(words, 0, "Detached from run r1, which continues", "fruitsctl status r1")

    assert done("status", "r1")["state"] == "RUNNING"


def test_an_image_of_another_target_is_refused_before_a_run_is_sent(cluster, virtual_cluster, clients):
    words, _ = cluster
    with image_registry() as image:
        ended((*words[:-1], image({"fruitsctl.target": "serverless"})), 2, "was built for `serverless`, not for EMR on EKS")

    assert clients("emr-containers").list_job_runs(virtualClusterId=virtual_cluster)["jobRuns"] == []


def test_the_trust_policy_is_printed(cluster, virtual_cluster):
    policy = json.loads(ended(("eks", "trust", "--virtual-cluster", virtual_cluster, "--role", "fruits-eks"), 0).stdout)

    assert policy["Statement"][0]["Action"] == "sts:AssumeRoleWithWebIdentity"


def test_a_run_is_found_from_another_machine_by_the_cluster_of_fruits_toml(cluster, virtual_cluster, monkeypatch, tmp_path):
    words, _ = cluster
    sent = done(*words, "--detach")
    monkeypatch.setenv("FRUITS_STATE", str(tmp_path / "elsewhere"))
    assert fruitsctl("status", "r1").returncode != 0

    (tmp_path / "fruits.toml").write_text(f'[eks]\nvirtual_cluster = "{virtual_cluster}"\n')

    found = done("status", "r1")
    assert (found["target"], found["job_run_id"], found["output"]) == ("eks", sent["job_run_id"], f"s3://{BUCKET}/out")
    assert done("status")["run_id"] == "r1"
    assert done("cancel", sent["job_run_id"])["state"] == "CANCELLED"


def test_the_drivers_log_comes_from_the_log_group_of_the_run(cluster, virtual_cluster, aws):
    words, _ = cluster
    sent = done(*words, "--detach", "--log-group", "fruits")
    stream = f"r1/{virtual_cluster}/jobs/{sent['job_run_id']}/containers/spark-1/spark-1-driver/stdout"
    logs, line = aws("logs"), to_line(Progress("embed", 5, 10))
    logs.create_log_group(logGroupName="fruits")
    for name in (stream, stream.replace("driver", "exec-1")):
        logs.create_log_stream(logGroupName="fruits", logStreamName=name)
        logs.put_log_events(
            logGroupName="fruits", logStreamName=name, logEvents=[{"timestamp": int(time.time() * 1000), "message": f"{line}"}]
        )

    assert fruitsctl("logs", "r1").stdout == "Embed images: 5 of 10 images, 0 s\n"
    assert done("status", "r1")["progress"]["done"] == 5


def test_the_drivers_log_comes_from_the_bucket_where_the_run_has_no_log_group(cluster, virtual_cluster, aws):
    words, _ = cluster
    sent = done(*words, "--detach")
    key = f"logs/{virtual_cluster}/jobs/{sent['job_run_id']}/containers/spark-1/spark-1-driver/stderr.gz"
    aws("s3").put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(b"KeyError: 'label'\n"))

    assert fruitsctl("logs", "r1", "--stderr").stdout == "KeyError: 'label'\n"
