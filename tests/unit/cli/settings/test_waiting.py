"""Every wait and every retry has a limit, a message and a hint."""

import pytest

from cli.errors import FruitsError
from cli.settings import waiting
from cli.settings.waiting import retry, skip_repeats, wait_until


@pytest.fixture(name="pauses")
def nobody_sleeps(monkeypatch):
    pauses = []
    monkeypatch.setattr(waiting, "pause", pauses.append)
    return pauses


def test_what_has_ended_is_returned_and_looked_at_no_more(pauses):
    states = iter(["PENDING", "RUNNING", "SUCCESS", "FAILED"])

    assert wait_until(lambda: next(states), lambda state: state == "SUCCESS", 5, 60) == "SUCCESS"
    assert len(pauses) == 2
    assert all(4 <= seconds <= 6 for seconds in pauses)


def test_a_wait_ends_with_the_last_state_and_the_hint(pauses):
    with pytest.raises(FruitsError) as error:
        wait_until(
            lambda: "STARTING", lambda state: state == "STARTED", 5, 0, lambda state: f"application `a1` is still `{state}`", "run it again"
        )

    assert str(error.value) == "application `a1` is still `STARTING` after 0 minutes"
    assert error.value.hint == "run it again"
    assert pauses == []


def test_a_wait_that_may_be_in_vain_returns_the_last_look(pauses):
    assert wait_until(list, bool, 5, 0) == []


def test_an_error_of_a_look_is_raised_as_it_is(pauses):
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 // 0, bool, 5, 60)


def failing(*errors):
    """An action that raises one after the other, then returns 7."""
    left = list(errors)

    def action():
        if left:
            raise left.pop(0)
        return 7

    return action


def busy(error):
    return isinstance(error, ConnectionError)


def test_what_failed_is_tried_again_after_each_pause(pauses):
    told = []

    found = retry(
        failing(ConnectionError("a"), ConnectionError("b")), busy, (1, 2, 3), before=lambda error, pause: told.append((str(error), pause))
    )

    assert found == 7
    assert pauses == [1, 2]
    assert told == [("a", 1), ("b", 2)]


def test_after_the_last_pause_the_last_error_is_raised(pauses):
    with pytest.raises(ConnectionError, match="c"):
        retry(failing(*map(ConnectionError, "abcd")), busy, (1, 2))

    assert pauses == [1, 2]


def test_by_a_limit_of_time_the_last_pause_comes_again_and_again(pauses):
    assert retry(failing(*map(ConnectionError, "abcd")), busy, (1, 2), most_seconds=60) == 7
    assert pauses == [1, 2, 2, 2]

    with pytest.raises(ConnectionError, match="a"):
        retry(failing(ConnectionError("a")), busy, (1,), most_seconds=0)


@pytest.mark.parametrize("error", [ValueError("damaged"), KeyboardInterrupt()])
def test_what_does_not_pass_is_raised_at_once(pauses, error):
    with pytest.raises(type(error)):
        retry(failing(error), busy, (1, 2))

    assert pauses == []


def test_a_line_is_told_once_until_another_comes():
    told = []
    tell = skip_repeats(told.append)
    for line in ("starting", "starting", "started", "starting"):
        tell(line)

    assert told == ["starting", "started", "starting"]
