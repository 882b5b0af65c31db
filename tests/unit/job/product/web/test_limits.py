"""Rate, memory and work: what one visitor may ask, and what all together."""

import asyncio
import threading

import pytest

from job.product.web.limits import ADDRESSES, MemoryBudget, RateLimiter, Refused, WorkerPool


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def taken(rate, address, times):
    """How many of `times` photos were let through."""
    count = 0
    for _ in range(times):
        try:
            rate.check(address)
        except Refused:
            continue
        count += 1
    return count


def test_a_minute_s_worth_goes_at_once_then_it_trickles():
    clock = Clock()
    rate = RateLimiter(30, clock)

    assert taken(rate, "192.0.2.1", 40) == 30
    clock.now = 2.0
    assert taken(rate, "192.0.2.1", 5) == 1
    clock.now = 1000.0
    assert taken(rate, "192.0.2.1", 40) == 30


def test_a_refusal_says_when_to_come_back():
    rate = RateLimiter(6, Clock())
    assert taken(rate, "192.0.2.1", 6) == 6

    with pytest.raises(Refused) as refused:
        rate.check("192.0.2.1")

    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "10"})


def test_asking_while_refused_costs_nothing_more():
    clock = Clock()
    rate = RateLimiter(6, clock)
    assert taken(rate, "192.0.2.1", 100) == 6
    clock.now = 10.0
    assert taken(rate, "192.0.2.1", 1) == 1


def test_one_address_does_not_use_up_another_s_share():
    rate = RateLimiter(2, Clock())

    assert [taken(rate, f"192.0.2.{i}", 5) for i in range(3)] == [2, 2, 2]
    assert [taken(rate, f"::ffff:192.0.2.{i}", 5) for i in range(3)] == [2, 2, 2]


def test_the_addresses_of_one_ipv6_subscriber_share_one_bucket():
    rate = RateLimiter(2, Clock())

    assert [taken(rate, f"2001:db8::{i:x}", 2) for i in range(3)] == [2, 0, 0]
    assert taken(rate, "2001:db8:0:1::1", 2) == 2
    assert taken(rate, "fe80::1%eth0", 2) == 2


def test_zero_is_no_limit():
    assert taken(RateLimiter(0, Clock()), "192.0.2.1", 10_000) == 10_000


def test_addresses_without_number_do_not_fill_the_memory():
    rate = RateLimiter(1, Clock())
    for i in range(ADDRESSES + 500):
        rate.check(f"address {i}")

    assert len(rate._buckets) == 10_000


def test_bytes_are_booked_and_given_back():
    memory = MemoryBudget(100)
    with memory.reserve() as mine, memory.reserve() as theirs:
        mine(60)
        theirs(40)
        with pytest.raises(Refused, match="too many uploads") as refused:
            mine(1)
        assert refused.value.status == 503
    with memory.reserve() as again:
        again(100)


def test_no_more_photos_are_in_work_than_there_are_threads():
    inside, most, lock = 0, 0, threading.Lock()
    rest = threading.Event()

    def task():
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        rest.wait(0.01)
        with lock:
            inside -= 1
        return threading.current_thread().name

    async def main():
        work = WorkerPool(3, 30)
        names = await asyncio.gather(*(work.run(task) for _ in range(30)))
        work.close()
        return names

    names = asyncio.run(main())
    assert len(names) == 30
    assert most == 3
    assert len(set(names)) == 3


def test_who_waits_too_long_is_sent_away_and_a_slow_photo_keeps_its_thread():
    go_on = threading.Event()

    async def main():
        work = WorkerPool(1, 0.2)
        with pytest.raises(Refused) as slow:
            await work.run(go_on.wait)
        with pytest.raises(Refused) as waiting:
            await work.run(lambda: "not reached")
        go_on.set()
        return slow.value, waiting.value, await work.run(lambda: "again")

    slow, waiting, again = asyncio.run(main())
    assert (slow.status, slow.code) == (504, "too_slow")
    assert (waiting.status, waiting.code, "Retry-After" in waiting.headers) == (503, "busy", True)
    assert again == "again"


def test_an_error_of_the_work_is_the_caller_s():
    def task():
        raise ValueError("broken")

    async def main():
        work = WorkerPool(1, 5)
        for _ in range(3):
            with pytest.raises(ValueError, match="broken"):
                await work.run(task)
        return await work.run(lambda: 1)

    assert asyncio.run(main()) == 1
