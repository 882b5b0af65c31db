"""Expressions of EventBridge Scheduler: what its documentation shows is accepted, and a mistake is named."""

import re

import pytest

from cli.errors import UsageError
from cli.infra.expression import check_expression


@pytest.mark.parametrize(
    "text",
    [
        "cron(0 3 * * ? *)",
        "cron(15 10 ? * 6L 2026-2030)",
        "cron(0 8 1 * ? *)",
        "cron(0/15 9-17 ? * MON-FRI *)",
        "cron(*/5 * * * ? *)",
        "cron(0 18 ? * mon,wed,FRI *)",
        "cron(0 0 L * ? *)",
        "cron(0 0 LW * ? *)",
        "cron(0 0 15W JAN,jul ? *)",
        "cron(0 0 ? * 2#1 *)",
        "cron(0 0 ? * MON#5 *)",
        "rate(1 day)",
        "rate(12 hours)",
        "rate(30 minutes)",
        "at(2026-12-24T03:00:00)",
    ],
)
def test_what_the_service_documents_is_accepted(text):
    check_expression(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 3 * * *", "`0 3 * * *` is not a schedule"),
        ("daily", "`daily` is not a schedule"),
        (" cron(0 3 * * ? *)", "is not a schedule"),
        ("CRON(0 3 * * ? *)", "is not a schedule"),
        ("cron(0 3 * * ?)", "has 5 of the 6 fields: minute, hour, day of the month, month, day of the week, year"),
        ("cron()", "has 0 of the 6 fields"),
        ("cron(0 3 * * * *)", "needs `?` as the day of the month or as the day of the week, not as both"),
        ("cron(0 3 ? * ? *)", "needs `?` as the day of the month or as the day of the week, not as both"),
        ("cron(60 3 * * ? *)", "`60` is not a valid minute in `cron(60 3 * * ? *)`"),
        ("cron(0 24 * * ? *)", "`24` is not a valid hour"),
        ("cron(? 3 * * ? *)", "`?` is not a valid minute"),
        ("cron(0 3 0 * ? *)", "`0` is not a valid day of the month"),
        ("cron(0 3 32W * ? *)", "`32W` is not a valid day of the month"),
        ("cron(0 3 * 13 ? *)", "`13` is not a valid month"),
        ("cron(0 3 * MON ? *)", "`MON` is not a valid month"),
        ("cron(0 3 ? * 0 *)", "`0` is not a valid day of the week"),
        ("cron(0 3 ? * MON#6 *)", "`MON#6` is not a valid day of the week"),
        ("cron(0 3 * * ? 26)", "`26` is not a valid year"),
        ("cron(0/0 3 * * ? *)", "`0/0` is not a valid minute"),
        ("cron(1-2-3 3 * * ? *)", "`1-2-3` is not a valid minute"),
        ("cron(1, 3 * * ? *)", "`1,` is not a valid minute"),
        ("rate(0 days)", "`rate(0 days)` is not a valid rate"),
        ("rate(1.5 hours)", "is not a valid rate"),
        ("rate(1 week)", "is not a valid rate"),
        ("at(2026-12-24)", "`at(2026-12-24)` is not a valid time"),
        ("at(2026-02-30T03:00:00)", "is not a valid time"),
        ("at(2026-12-24T03:00:00Z)", "is not a valid time"),
    ],
)
def test_a_mistake_is_named_with_its_value_and_an_example(text, message):
    with pytest.raises(UsageError, match=re.escape(message)) as refused:
        check_expression(text)

    assert re.search(r"'(cron|rate|at)\(.+\)'", refused.value.hint)
