"""Runs' costs in a bucket, kept and summed; `fruitsctl cost` from its arguments to its exit code."""

import json
import sys
from dataclasses import dataclass, replace

import boto3
import pytest

from cli.billing.costs import Cost
from cli.billing.history import load_costs, months, save_cost
from cli.commands.app import main
from cli.errors import FruitsError, RefusedError, UsageError

BUCKET = "fruitsctl-111122223333-eu-west-3"
OUTPUT = f"s3://{BUCKET}/out"
COST = Cost(
    run_id="20261110T080000Z-0001",
    job_run_id="00f1",
    state="SUCCESS",
    started_at="2026-11-10T08:00:00+00:00",
    seconds=600.0,
    images=4_000,
    embedded=4_000,
    vcpu_hours=1.5,
    gb_hours=6.0,
    storage_gb_hours=0.0,
    usd=0.12,
    usd_requests=0.01,
    usd_cluster=0.14,
    prices={"as_of": "2026-11-10", "source": "AWS price list", "estimate": False},
)
LATER = replace(COST, run_id="20261112T080000Z-0002", started_at="2026-11-12T08:00:00+00:00", embedded=1_000, usd=0.08, usd_cluster=0.06)
UNBILLED = replace(COST, run_id="20261113T080000Z-0003", started_at="2026-11-13T08:00:00+00:00", state="FAILED", usd=None, usd_cluster=9.0)
OCTOBER = replace(COST, run_id="20261031T235959Z-0004", started_at="2026-10-31T23:59:59+00:00", embedded=0, usd=0.01, usd_cluster=0.02)


@pytest.fixture
def bucket(aws):
    s3 = aws("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    return s3


@pytest.fixture
def kept(bucket):
    for cost in (LATER, UNBILLED, COST, OCTOBER):
        save_cost(boto3.session.Session(region_name="eu-west-3"), OUTPUT, cost)


@dataclass
class Done:
    code: int
    out: str
    err: str


@pytest.fixture
def cost_command(monkeypatch, capsys):
    """`fruitsctl cost`, from its arguments to its exit code."""
    monkeypatch.setenv("AWS_REGION", "eu-west-3")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fruitsctl", "cost", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return Done(end.value.code, *capsys.readouterr())

    return run


def test_a_cost_is_kept_beside_the_runs_where_no_clean_up_of_old_runs_takes_it(bucket):
    uri = save_cost(boto3.session.Session(), OUTPUT, COST)

    assert uri == f"s3://{BUCKET}/out/costs/20261110T080000Z-0001.json"
    body = bucket.get_object(Bucket=BUCKET, Key="out/costs/20261110T080000Z-0001.json")["Body"].read()
    assert json.loads(body)["usd"] == 0.12


def test_a_run_has_one_cost_the_newest(bucket):
    session = boto3.session.Session()
    save_cost(session, OUTPUT, replace(COST, usd=None))
    save_cost(session, OUTPUT, COST)

    assert load_costs(session, OUTPUT) == [COST]


def test_costs_are_read_back_oldest_first(kept):
    assert load_costs(boto3.session.Session(), OUTPUT) == [OCTOBER, COST, LATER, UNBILLED]


def test_an_output_without_runs_has_no_costs(bucket):
    assert load_costs(boto3.session.Session(), OUTPUT) == []


def test_a_file_that_is_no_cost_is_named(bucket):
    bucket.put_object(Bucket=BUCKET, Key="out/costs/x.json", Body=b'{"run_id": "x"}')

    with pytest.raises(FruitsError, match=f"`s3://{BUCKET}/out/costs/x.json` is not a cost record"):
        load_costs(boto3.session.Session(), OUTPUT)


def test_a_bucket_outside_the_union_is_neither_read_nor_written(aws):
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="virginia")

    for ask in (lambda session: load_costs(session, "s3://virginia/out"), lambda session: save_cost(session, "s3://virginia/out", COST)):
        with pytest.raises(RefusedError):
            ask(boto3.session.Session())


def test_a_local_output_cost_nothing_at_aws(aws):
    with pytest.raises(UsageError, match="its runs have no AWS cost"):
        load_costs(boto3.session.Session(), "file:///tmp/out")


def test_a_month_is_the_sum_of_its_billed_runs_and_says_how_many_are_not():
    october, november = months([COST, LATER, UNBILLED, OCTOBER])

    assert (october.month, october.runs, october.unknown, october.usd) == ("2026-10", 1, 0, 0.01)
    assert october.usd_per_1000_images is None  # nothing was embedded
    assert (november.month, november.runs, november.unknown, november.embedded) == ("2026-11", 3, 1, 5_000)
    assert november.usd == pytest.approx(0.20)
    assert november.usd_cluster == pytest.approx(0.20)  # of the same two runs
    assert november.usd_per_1000_images == pytest.approx(0.04)  # 0.20 / 5


def test_a_month_without_a_bill_is_unknown_and_not_nothing():
    [month] = months([UNBILLED])

    assert (month.usd, month.usd_per_1000_images) == (None, None)


def test_the_command_prints_a_table_of_months(kept, cost_command):
    done = cost_command("--output", OUTPUT)

    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        "month     runs    embedded        cost   per 1,000   notebook's cluster",
        "2026-10      1           0     $0.0100     unknown              $0.0200",
        "2026-11      3       5,000     $0.2000     $0.0400              $0.2000",
        "",
        "The totals leave out runs whose hours AWS has not reported yet: 1",
    ]


def test_the_command_prints_the_runs_of_a_month(kept, cost_command):
    done = cost_command("--output", OUTPUT, "--month", "2026-10")

    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        "run                      state        embedded        cost   per 1,000   notebook's cluster",
        "20261031T235959Z-0004    SUCCESS             0     $0.0100     unknown              $0.0200",
        "total                                              $0.0100",
    ]


def test_the_command_prints_one_run(kept, cost_command):
    done = cost_command("20261110T080000Z-0001", "--output", OUTPUT)

    assert done.code == 0, done.err
    assert "workers             $0.1200   (1.500 vCPU-hours, 6.000 GB-hours)" in done.out
    assert "per 1,000 photos    $0.0300   (4,000 embedded)" in done.out


def test_the_command_takes_the_output_from_the_environment_and_prints_json(kept, cost_command, monkeypatch):
    monkeypatch.setenv("FRUITS_OUTPUT", OUTPUT)

    found = json.loads(cost_command("--month", "2026-11", "--json").out)

    assert [run["run_id"] for run in found["runs"]] == ["20261110T080000Z-0001", "20261112T080000Z-0002", "20261113T080000Z-0003"]
    assert found["months"][0]["unknown"] == 1


def test_a_run_without_a_cost_leads_to_its_status(kept, cost_command):
    done = cost_command("nobody", "--output", OUTPUT)

    assert done.code == 2
    assert done.err.splitlines()[0] == f"error: no cost is stored for run `nobody` in {OUTPUT}"


def test_a_month_that_is_none_is_refused(cost_command, aws):
    assert cost_command("--output", OUTPUT, "--month", "2026-13").code == 2
