"""Costs, every sum worked out by hand beside it: round prices, so that a worker of 4 vCPUs and 16 GB is 0.32 an hour."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import product

import pytest

from cli.billing import costs
from cli.billing.costs import Cost
from cli.billing.prices import Prices
from cli.billing.sizing import Fleet, Worker
from cli.errors import RefusedError

PRICES = Prices(0.06, 0.005, 0.0001, "eu-west-3", "x86_64", "2026-11-01", "made up", estimate=False)
ESTIMATED = Prices(0.06, 0.005, 0.0001, "eu-west-3", "x86_64", "2026-04", "made up", estimate=True)
FLEET = Fleet(Worker(4, 16), Worker(4, 16), 3)  # 4 x 0.32 = 1.28 an hour

JOB_RUN = {
    "jobRunId": "00fabcdef",
    "state": "SUCCESS",
    "createdAt": datetime(2026, 12, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))),  # still November in UTC
    "updatedAt": datetime(2026, 11, 30, 23, 42, tzinfo=UTC),
    "endedAt": datetime(2026, 11, 30, 23, 40, tzinfo=UTC),
    "jobDriver": {"sparkSubmit": {"entryPointArguments": ["--input=s3://b/photos", "--run-id=20261130T233000Z-41a4"]}},
    "billedResourceUtilization": {"vCPUHour": 1.5, "memoryGBHour": 6.0, "storageGBHour": 10.0},
}


def test_a_worker_costs_its_vcpus_and_its_memory_and_the_disk_over_20_gb():
    assert costs.hourly_cost(Worker(4, 16, 20), PRICES) == pytest.approx(0.32)  # 4 x 0.06 + 16 x 0.005
    assert costs.hourly_cost(Worker(4, 16, 60), PRICES) == pytest.approx(0.324)  # and 40 x 0.0001


def test_a_fleet_costs_its_driver_and_all_its_executors():
    assert costs.fleet_hourly_cost(FLEET, PRICES) == pytest.approx(1.28)


def test_the_worst_case_is_all_workers_until_the_timeout_one_minute_to_stop_and_six_replaced_executors():
    # 1.28 x 61 / 60 = 1.301333; 2 x 3 executors of a minute each: 6 x 0.32 / 60 = 0.032
    assert costs.worst_case(FLEET, PRICES, 1, 60) == pytest.approx(1.333333, abs=1e-6)


def test_every_attempt_may_be_the_worst():
    assert costs.worst_case(FLEET, PRICES, 3, 60) == pytest.approx(4.0)  # 3 x 1.333333


def test_a_single_executor_may_still_be_replaced_three_times():
    one = Fleet(Worker(4, 16), Worker(4, 16), 1)

    assert costs.worst_case(one, PRICES, 1, 59) == pytest.approx(0.656)  # 0.64 x 60 / 60 and 3 x 0.32 / 60


def test_an_estimated_price_counts_a_fifth_more():
    assert costs.worst_case(FLEET, ESTIMATED, 1, 60) == pytest.approx(1.6)  # 1.333333 x 1.2


def test_a_run_within_its_limit_is_allowed():
    assert costs.check_max_cost(1.34, FLEET, PRICES, 1, 60) == pytest.approx(1.333333, abs=1e-6)


def test_a_run_over_its_limit_is_refused_with_the_largest_that_fits():
    with pytest.raises(RefusedError) as error:
        costs.check_max_cost(1.0, FLEET, PRICES, 1, 60)

    assert str(error.value) == "the run could cost `$1.34`, more than $1: 1 x 60 minutes of a driver and 3 executors"
    # 2 executors: 0.96 x 61 / 60 + 4 x 0.32 / 60 = 0.997; 44 minutes: 1.28 x 45 / 60 + 0.032 = 0.992, 45 would be 1.013
    assert error.value.hint == "add --executors 2 or --timeout 44"
    assert error.value.exit_code == 3


def test_what_the_refusal_names_then_fits():
    assert costs.check_max_cost(1.0, Fleet(Worker(4, 16), Worker(4, 16), 2), PRICES, 1, 60) <= 1.0
    assert costs.check_max_cost(1.0, FLEET, PRICES, 1, 44) <= 1.0


def test_the_refusal_says_that_its_prices_are_estimated():
    with pytest.raises(RefusedError, match=r"`\$1.60`, more than \$1.5: .*, at estimated prices of 2026-04 plus 20%"):
        costs.check_max_cost(1.5, FLEET, ESTIMATED, 1, 60)


def test_if_nothing_fits_the_refusal_names_the_limit_that_would_allow_it():
    with pytest.raises(RefusedError) as error:
        costs.check_max_cost(0.05, FLEET, PRICES, 1, 60)

    assert error.value.hint == "raise it to --max-cost 1.34"


def test_the_limit_that_the_refusal_names_is_enough():
    for vcpu_hour, attempts, timeout in product((0.061974, 0.06318, 0.057974), (1, 2, 3), (5, 17, 60, 720)):
        prices = Prices(vcpu_hour, 0.006816, 0.000132, "eu-west-3", "x86_64", "2026-04", "made up", estimate=True)
        named = float(costs.round_up_cents(costs.worst_case(FLEET, prices, attempts, timeout)))

        assert costs.check_max_cost(named, FLEET, prices, attempts, timeout) <= named


def test_the_longest_timeout_fits_and_a_minute_more_does_not():
    assert costs.longest_timeout(1.0, FLEET, PRICES, 1) == 44
    for cents, attempts, prices in product(range(6, 400, 7), (1, 2), (PRICES, ESTIMATED)):
        limit = cents / 100
        minutes = costs.longest_timeout(limit, FLEET, prices, attempts)

        assert minutes == 0 or costs.worst_case(FLEET, prices, attempts, minutes) <= limit
        assert costs.worst_case(FLEET, prices, attempts, minutes + 1) > limit


def test_no_timeout_fits_a_limit_below_the_start():
    assert costs.longest_timeout(0.05, FLEET, PRICES, 1) == 0  # 1.28 / 60 + 0.032 = 0.0533


def test_the_probable_cost_is_all_workers_for_the_probable_time():
    # 66,000 photos by 3 executors of 220 photos/s: 100 s and 5 minutes; 1.28 x 6.6667 / 60
    assert costs.estimated_cost(FLEET, PRICES, 66_000) == pytest.approx(0.142222, abs=1e-6)


def test_what_aws_bills_is_vcpu_hours_memory_and_disk():
    used = {"vCPUHour": 1.5, "memoryGBHour": 6.0, "storageGBHour": 10.0}

    assert costs.billed_cost(used, PRICES) == pytest.approx(0.121)  # 0.09 + 0.03 + 0.001


def test_without_billed_disk_there_is_none():
    assert costs.billed_cost({"vCPUHour": 1.5, "memoryGBHour": 6.0}, PRICES) == pytest.approx(0.12)


def test_half_an_answer_is_no_bill():
    with pytest.raises(KeyError):
        costs.billed_cost({"vCPUHour": 1.5}, PRICES)


def test_requests_and_logs_are_estimated_from_what_is_listed_and_read():
    # 5,000 + 10,000 GETs at 0.42 a million: 0.0063; 500 + 100 pages + 100 writes at 5.30 a million: 0.00371; 7 MB of logs: 0.0042
    assert costs.request_cost(100_000, 10_000) == pytest.approx(0.01421)


def test_the_notebooks_cluster_is_three_machines_with_emrs_share_and_their_disks():
    # 3 x (0.224 + 0.048 + 79 x 0.116 / 730 = 0.012553) = 0.853660
    assert costs.cluster_cost(3600) == pytest.approx(0.853660, abs=1e-6)
    assert costs.cluster_cost(600) == pytest.approx(0.142277, abs=1e-6)


def test_a_runs_cost_is_kept_with_what_it_was_worked_out_from():
    found = costs.cost_record(JOB_RUN, PRICES, {"listed": 4_000, "embedded": 3_930})

    assert (found.run_id, found.job_run_id, found.state) == ("20261130T233000Z-41a4", "00fabcdef", "SUCCESS")
    assert (found.started_at, found.month, found.seconds) == ("2026-11-30T23:30:00+00:00", "2026-11", 600.0)
    assert (found.images, found.embedded) == (4_000, 3_930)
    assert found.usd == pytest.approx(0.121)
    assert found.usd_per_1000_images == pytest.approx(0.0307888, abs=1e-7)  # 0.121 / 3.93
    assert found.usd_cluster == pytest.approx(0.142277, abs=1e-6)
    assert found.prices["source"] == "made up"
    assert not found.estimate


def test_a_run_that_embedded_nothing_has_no_cost_per_photo():
    assert costs.cost_record(JOB_RUN, PRICES, {"listed": 4_000, "embedded": 0}).usd_per_1000_images is None


@pytest.mark.parametrize("used", [{}, None, {"vCPUHour": 1.5}])
def test_what_aws_has_not_billed_yet_is_unknown_and_not_nothing(used):
    found = costs.cost_record({**JOB_RUN, "billedResourceUtilization": used}, PRICES, None)

    assert (found.usd, found.usd_per_1000_images, found.usd_requests, found.images) == (None, None, None, None)


def test_a_run_without_an_end_is_counted_to_its_last_change():
    job_run = {key: value for key, value in JOB_RUN.items() if key != "endedAt"}

    assert costs.cost_record(job_run, PRICES, None).seconds == 720.0


def test_a_cost_is_read_back_as_it_was_written():
    found = costs.cost_record(JOB_RUN, ESTIMATED, {"listed": 4_000, "embedded": 3_930})

    assert Cost.from_json(found.to_json()) == found
    assert found.estimate


def test_prices_of_nothing_cannot_be_made():
    with pytest.raises(ValueError, match="unknown price"):
        Prices(0.06, 0.0, 0.0001, "eu-west-3", "x86_64", "2026-11-01", "made up", estimate=False)
