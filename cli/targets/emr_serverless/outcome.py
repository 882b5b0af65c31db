"""Determine how a run ended from GetJobRun's answer, the job's outcome and the end of its log. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cli.aws.redact import redact
from job.contract.records import Outcome, plural_noun

TIMED_OUT = re.compile(r"(?i)time[ -]?out|timed out|exceeded .*(?:duration|time)")
# What the JVM, Python, Spark and the service say when memory is short; 137 is 128 + SIGKILL.
# https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/jobs-troubleshooting.html
OUT_OF_MEMORY = re.compile(
    r"OutOfMemoryError|\bMemoryError\b"
    r"|(?i:exit ?(?:ed with)? ?(?:code|status)[: ]+(?:is )?137|out of memory|oom-?kill|memory usage exceeded)"
)
QUOTA = re.compile(r"(?i)ServiceQuotaExceeded|service limit|maximum ?capacity|quota")
ERROR = re.compile(r"^(?:[\w.]+(?:Error|Exception|Interrupt)|Caused by)\b")
LAST_LINES = 8  # of a traceback


def resolve_outcome(job_run: Mapping[str, Any], run_id: str, outcome: Outcome | None, stderr: Sequence[str]) -> Outcome:
    """
    Return one Outcome from what is known of an ended run.

    `outcome` is what the job wrote into OUTPUT, if anything; `stderr` the driver's, as far as it is known.

    The service gives 256 characters of `stateDetails`. They may contain a presigned URL, and so may the job's message.
    """
    state, details = job_run["state"], redact(job_run.get("stateDetails", ""))
    if outcome:
        outcome = replace(outcome, message=redact(outcome.message), hint=redact(outcome.hint))
    if outcome and (outcome.code == 0 or (state == "FAILED" and outcome.kind != "Interrupted" and not _memory(outcome.message))):
        return outcome
    if state == "SUCCESS":
        return Outcome(run_id, 1, "Died", "EMR reported SUCCESS, but the job wrote no outcome", f"see `fruitsctl logs {run_id} --stderr`")
    minutes = job_run.get("executionTimeoutMinutes")
    if TIMED_OUT.search(details) or (minutes and job_run.get("totalExecutionDurationSeconds", 0) >= minutes * 60):
        return Outcome(
            run_id,
            1,
            "TimedOut",
            f"the run reached its timeout of `{minutes}` {plural_noun(minutes or 0, 'minutes')}",
            "run it again to resume from the last commit, with a higher --timeout or more --executors",
        )
    if state == "CANCELLED":
        return Outcome(run_id, 130, "Cancelled", "the run was cancelled", "run it again: it resumes from the last commit")
    said = "\n".join([details, outcome.message if outcome else "", *stderr[-500:]])
    if _memory(said):
        return Outcome(run_id, 1, "OutOfMemory", f"the run ran out of memory: {_last_error(stderr) or details}", "raise --executor-memory")
    if QUOTA.search(details):
        return Outcome(
            run_id,
            1,
            "Quota",
            f"the quota of the service is exhausted: {details}",
            "lower --executors, or request a higher quota (L-D05C8A75)",
        )
    if outcome:
        return outcome
    last = "\n".join(redact(line) for line in traceback_end(stderr))
    return Outcome(
        run_id,
        1,
        "Died",
        last or f"the run ended in state {state}: {details}",
        f"see the whole log with `fruitsctl logs {run_id} --stderr`",
    )


def traceback_end(lines: Sequence[str]) -> list[str]:
    """Return the last lines of the last Python traceback, up to its error; without one, of the last error."""
    starts = [i for i, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    if starts:
        block = lines[starts[-1] :]
        stop = next((i for i, line in enumerate(block[1:], 1) if line.strip() and not line.startswith(" ")), len(block) - 1)
        return list(block[max(0, stop + 1 - LAST_LINES) : stop + 1])
    last = _last_error(lines)
    return [last] if last else list(lines[-LAST_LINES:])


def _last_error(lines: Sequence[str]) -> str:
    return next((redact(line.strip()) for line in reversed(lines) if ERROR.match(line) or OUT_OF_MEMORY.search(line)), "")


def _memory(text: str) -> bool:
    return bool(OUT_OF_MEMORY.search(text))
