"""Check an expression of EventBridge Scheduler before AWS is asked. Pure."""

from __future__ import annotations

import re
from datetime import datetime

from cli.errors import UsageError

EXAMPLE = "for example 'cron(0 3 * * ? *)' for every night at 3"
# https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day of the month", 1, 31, []),
    ("month", 1, 12, MONTHS),
    ("day of the week", 1, 7, DAYS),
    ("year", 1970, 2199, []),
)


def check_expression(text: str) -> None:
    """
    Check an expression of EventBridge Scheduler: cron, rate or at.

    Raises:
        UsageError: it is not valid.
    """
    found = re.fullmatch(r"(cron|rate|at)\((.*)\)", text)
    kind, inside = found.groups() if found else ("", "")
    if kind == "cron":
        _check_cron(text, inside.split())
    elif kind == "rate":
        if not re.fullmatch(r"[1-9]\d* (minutes?|hours?|days?)", inside):
            raise UsageError(f"`{text}` is not a valid rate", "give a number and minutes, hours or days, for example 'rate(1 day)'")
    elif kind == "at":
        try:
            datetime.strptime(inside, "%Y-%m-%dT%H:%M:%S")  # in the time zone of the schedule
        except ValueError as error:
            raise UsageError(f"`{text}` is not a valid time", "write it as 'at(2026-12-24T03:00:00)'") from error
    else:
        raise UsageError(f"`{text}` is not a schedule", f"give cron(…), rate(…) or at(…), {EXAMPLE}")


def _check_cron(text: str, words: list[str]) -> None:
    if len(words) != len(FIELDS):
        listed = ", ".join(name for name, *_ in FIELDS)
        raise UsageError(f"`{text}` has {len(words)} of the {len(FIELDS)} fields: {listed}", EXAMPLE)
    for word, (name, least, most, names) in zip(words, FIELDS, strict=True):
        if not _is_field(word, name, least, most, names):
            raise UsageError(f"`{word}` is not a valid {name} in `{text}`", EXAMPLE)
    if (words[2] == "?") == (words[4] == "?"):
        raise UsageError(f"`{text}` needs `?` as the day of the month or as the day of the week, not as both", EXAMPLE)


def _is_field(word: str, name: str, least: int, most: int, names: list[str]) -> bool:
    if word == "*" or (word == "?" and name.startswith("day")):
        return True
    if name == "day of the month" and re.fullmatch(r"L|LW|([1-9]|[12]\d|3[01])W", word):
        return True
    if name == "day of the week" and re.fullmatch(rf"L|([1-7]|{'|'.join(DAYS)})(L|#[1-5])", word, re.I):
        return True

    def number(part: str) -> int | None:
        if part.upper() in names:
            return names.index(part.upper()) + 1
        return int(part) if re.fullmatch(r"[0-9]{1,4}", part) and least <= int(part) <= most else None

    for item in word.split(","):
        span, slash, step = item.partition("/")
        if slash and not re.fullmatch(r"[1-9]\d{0,3}", step):
            return False
        ends = [number(part) for part in span.split("-")]
        if not (slash and span == "*") and (len(ends) > 2 or None in ends):
            return False
    return True
