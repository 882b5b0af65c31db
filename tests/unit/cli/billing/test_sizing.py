"""Worker sizes, fleets and their Spark settings; the sums stand beside the figures."""

from itertools import product

import pytest

from cli.billing.sizing import Fleet, Worker, executors_within, fleet, minutes_for, rounded, seconds_per_photo, spark_conf
from cli.errors import UsageError

# https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/app-behavior.html, "Supported worker configurations"
SIZES = [
    *((1, gb) for gb in range(2, 9)),
    *((2, gb) for gb in range(4, 17)),
    *((4, gb) for gb in range(8, 31)),
    *((8, gb) for gb in (16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60)),
    *((16, gb) for gb in (32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120)),
]


def mb(text):
    return int(text.removesuffix("m"))


def test_without_a_wish_a_new_account_gets_a_driver_and_three_executors():
    found = fleet(None, None, None, 16)

    assert found == Fleet(Worker(4, 8, 20), Worker(4, 8, 20), 3)
    assert found.vcpu == 16


def test_without_a_wish_a_small_quota_is_kept():
    assert fleet(None, None, None, 12).max_executors == 2


def test_the_number_of_executors_is_as_asked_for():
    assert fleet(7, None, None, 32).max_executors == 7


def test_more_executors_than_the_quota_allows_are_refused_with_the_most_that_fits():
    with pytest.raises(UsageError) as error:
        fleet(4, None, None, 16)

    assert str(error.value) == "`4` executors and the driver need 20 vCPUs, the quota is 16"
    assert error.value.hint == "use --executors 3, or request a higher quota (L-D05C8A75)"


def test_a_quota_without_room_for_one_executor_is_refused():
    with pytest.raises(UsageError, match="the quota of `4` vCPUs is too small: a driver and one executor need 8"):
        fleet(None, None, None, 4)


@pytest.mark.parametrize("executors", [0, -1])
def test_fewer_than_one_executor_is_refused(executors):
    with pytest.raises(UsageError, match="executors"):
        fleet(executors, None, None, 16)


@pytest.mark.parametrize(
    ("images", "deadline", "executors"),
    [
        (100_000, 15.0, 1),  # 10 minutes for embedding are 600 s, one executor makes 55 x 4 = 220 a second: 132,000
        (132_000, 15.0, 1),
        (132_001, 15.0, 2),
        (390_000, 15.0, 3),  # 396,000 would fit
        (500, 5.1, 1),  # 6 s are 1,320 photos
    ],
)
def test_a_deadline_gives_the_executors_that_embed_so_many_photos_in_time(images, deadline, executors):
    assert fleet(None, images, deadline, 16).max_executors == executors


def test_a_deadline_that_the_quota_does_not_allow_is_refused_with_the_one_that_fits():
    with pytest.raises(UsageError) as error:
        fleet(None, 1_000_000, 15.0, 16)

    # 1,000,000 / 132,000 = 7.6: 8 executors. With 3 of them 1,000,000 / 660 a second = 1,515 s = 25.3 minutes, and 5
    assert str(error.value) == "1,000,000 photos within `15` minutes: `8` executors and the driver need 36 vCPUs, the quota is 16"
    assert error.value.hint == "use --deadline 31, which fits with 3 executors, or request a higher quota (L-D05C8A75)"


def test_the_deadline_that_is_named_then_fits():
    assert fleet(None, 1_000_000, 31.0, 16).max_executors == 3


def test_a_deadline_before_anything_can_have_started_is_refused():
    with pytest.raises(UsageError, match="`5` minutes are too short"):
        fleet(None, 10, 5.0, 16)


def test_a_deadline_needs_the_number_of_photos():
    with pytest.raises(UsageError) as error:
        fleet(None, None, 30.0, 16)

    assert error.value.hint == "add --images"


def test_a_deadline_and_a_number_of_executors_contradict_each_other():
    with pytest.raises(UsageError, match="both `--executors 2` and `--deadline 30` given"):
        fleet(2, 1000, 30.0, 16)


def test_executors_may_have_more_memory_or_less():
    assert fleet(2, None, None, 16, executor_memory_gb=24) == Fleet(Worker(4, 8), Worker(4, 24), 2)
    assert fleet(2, None, None, 16, executor_memory_gb=3).executor == Worker(4, 8)  # with 4 vCPUs there is none smaller


def test_more_memory_than_an_executor_can_have_is_refused():
    with pytest.raises(UsageError) as error:
        fleet(2, None, None, 16, executor_memory_gb=31)

    assert error.value.hint == "choose 8 to 30 GB"


def test_the_number_of_photos_alone_changes_nothing():
    assert fleet(None, 10, None, 16).max_executors == 3


def test_the_whole_run_is_estimated_from_the_measured_rate():
    assert minutes_for(66_000, 3) == pytest.approx(5 + 66_000 / 660 / 60)  # 6.67


@pytest.mark.parametrize(
    ("files", "full", "measured_ms"),
    [
        # Decoding and network on one core, 6.5 ms of it the network, times 1.25; small photos: the rate of `make bench`
        ({}, False, 18.2),
        ({"in/Kiwi/1.jpg": 5_000}, False, 18.2),
        ({"in/1.jpg": 3_500_000}, False, 1.25 * (35 + 6.5)),
        ({"in/1.jpg": 3_500_000}, True, 1.25 * (129 + 6.5)),
        ({"in/1.HEIC": 1_750_000}, False, 1.25 * (380 + 6.5)),
        ({"in/1.heic": 1_750_000}, True, 1.25 * (380 + 6.5)),
        ({"in/1.jpg": 3_500_000, "in/2.jpg": 3_500_000, "in/3.heic": 1_750_000, "in/4.heic": 1_750_000}, False, 1.25 * (207.5 + 6.5)),
    ],
    ids=["unknown", "small", "phone", "phone in full", "HEIC", "HEIC in full", "half of each"],
)
def test_the_seconds_of_a_photo_are_those_measured_within_a_factor_of_one_and_a_half(files, full, measured_ms):
    assert 1 / 1.5 < 1000 * seconds_per_photo(files, full) / measured_ms < 1.5


def test_a_file_of_a_gigabyte_counts_as_the_largest_photo_that_is_decoded():
    assert seconds_per_photo({"a.tif": 10**9}) == seconds_per_photo({"a.tif": 10**8})


def test_a_deadline_with_photos_of_phones_needs_more_executors():
    phone = seconds_per_photo({"in/1.jpg": 3_500_000})

    assert fleet(None, 130_000, 15.0, 64, 8).max_executors == 1
    assert fleet(None, 130_000, 15.0, 64, 8, phone).max_executors == 4  # 18.2 + 42.2 ms: 130,000 x 0.0604 / (4 x 600) = 3.3


@pytest.mark.parametrize("images", [10_000_000, 100_000_000])
def test_the_minutes_that_executors_take_are_the_deadline_that_asks_for_them(images):
    """To 0.01 minutes: what is computed in floats may need one more executor for the last photo."""
    counts = (1, 2, 4, 16, 64)

    assert [executors_within(images, minutes_for(images, count) + 0.01) for count in counts] == [1, 2, 4, 16, 64]
    assert [executors_within(images, minutes_for(images, count) - 0.01) for count in counts] == [2, 3, 5, 17, 65]


def test_the_settings_of_the_usual_fleet_are_these():
    assert spark_conf(fleet(None, None, None, 16)) == {
        "spark.driver.cores": "4",
        # 8,192 MB less four Python workers of 400 are 6,592; a tenth of the heap is overhead too: 6,592 / 1.1 = 5,992.7
        # the factor is 8,192 / 5,992.7 - 1 = 0.36699; rounded down to 0.3669, so the heap may be 8,192 / 1.3669 = 5,993.1
        "spark.driver.memory": "5993m",
        "spark.executor.cores": "4",
        "spark.executor.memory": "5993m",
        "spark.emr-serverless.memoryOverheadFactor": "0.3669",
        "spark.emr-serverless.driver.disk": "20G",
        "spark.emr-serverless.executor.disk": "20G",
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.minExecutors": "1",
        "spark.dynamicAllocation.initialExecutors": "3",
        "spark.dynamicAllocation.maxExecutors": "3",
        "spark.default.parallelism": "12",
    }


def test_every_pair_of_workers_that_the_service_knows_is_what_its_own_settings_are_rounded_up_to():
    pairs = list(product(SIZES, SIZES))
    assert len(pairs) == 67 * 67
    for driver, executor in pairs:
        wanted = Fleet(Worker(*driver), Worker(*executor, 60), 2)
        conf = spark_conf(wanted)

        assert (rounded(conf, "driver"), rounded(conf, "executor")) == (wanted.driver, wanted.executor), (driver, executor)


def test_beside_the_heap_each_executor_has_room_for_a_python_worker_per_core_and_for_the_jvm():
    for vcpu, memory_gb in SIZES:
        conf = spark_conf(Fleet(Worker(4, 16), Worker(vcpu, memory_gb), 1))
        heap = mb(conf["spark.executor.memory"])

        assert memory_gb * 1024 - heap >= vcpu * 400 + max(0.0999 * heap, 384), (vcpu, memory_gb)
        assert heap >= 512


def test_a_gigabyte_too_much_is_rounded_up_to_the_next_size():
    conf = spark_conf(Fleet(Worker(4, 16), Worker(8, 16), 1))
    conf["spark.executor.memory"] = f"{mb(conf['spark.executor.memory']) + 100}m"

    assert rounded(conf, "executor") == Worker(8, 20, 20)  # of 8 vCPUs there is none with 17 GB


def test_odd_cores_are_rounded_up_to_the_next_size():
    conf = {**spark_conf(fleet(1, None, None, 16)), "spark.executor.cores": "3"}

    assert rounded(conf, "executor") == Worker(4, 8, 20)


@pytest.mark.parametrize(("vcpu", "memory_gb", "disk_gb"), [(3, 8, 20), (1, 9, 20), (4, 31, 20), (8, 18, 20), (4, 16, 19), (4, 16, 201)])
def test_a_worker_that_the_service_does_not_know_cannot_be_made(vcpu, memory_gb, disk_gb):
    with pytest.raises(ValueError, match="a worker has"):
        Worker(vcpu, memory_gb, disk_gb)
