"""
Store costs of runs as OUTPUT/costs/<run_id>.json on S3, and sum them by month.

Not in runs/<run_id>/: the job deletes old runs, and their costs would go with them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cli.aws.errors import translate_aws_errors
from cli.billing.costs import Cost
from cli.errors import FruitsError, UsageError
from job.contract.uris import bucket_and_key, is_s3, join, shown


@dataclass(frozen=True)
class Month:
    """Sums of a month's runs; `usd` is None if no run has a known cost."""

    month: str  # YYYY-MM, UTC
    runs: int
    unknown: int  # runs without a bill yet, not in the sums
    embedded: int
    usd: float | None
    usd_cluster: float
    estimate: bool  # whether some price was estimated

    @property
    def usd_per_1000_images(self) -> float | None:
        return self.usd / self.embedded * 1_000 if self.usd is not None and self.embedded else None


def cost_uri(output: str, run_id: str) -> str:
    """Return the URI of a run's cost record."""
    return join(output, "costs", f"{run_id}.json")


def save_cost(session: Any, output: str, cost: Cost) -> str:
    """
    Write a cost record over an earlier one of the same run, and return its URI.

    Raises:
        RefusedError: the bucket is outside the European Union.
        FruitsError: no credentials, or AWS refuses.
    """
    uri = cost_uri(output, cost.run_id)
    client, bucket, key = _place(session, uri)
    with translate_aws_errors("s3:PutObject"):
        client.put_object(Bucket=bucket, Key=key, Body=cost.to_json().encode(), ContentType="application/json")
    return uri


def load_costs(session: Any, output: str) -> list[Cost]:
    """
    Return all cost records of OUTPUT, oldest first.

    Raises:
        UsageError: OUTPUT is not on S3.
        RefusedError: the bucket is outside the European Union.
        FruitsError: no credentials, AWS refuses, or a file is not a cost record.
    """
    if not is_s3(output):
        raise UsageError(f"OUTPUT `{shown(output)}` is local: its runs have no AWS cost", "give the s3:// OUTPUT of runs on EMR Serverless")
    client, bucket, prefix = _place(session, join(output, "costs", ""))
    with translate_aws_errors("s3:ListBucket"):
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", []) if item["Key"].endswith(".json")]
    return sorted((_read(client, bucket, key) for key in keys), key=lambda cost: cost.started_at)


def months(costs: Iterable[Cost]) -> list[Month]:
    """Return the sums by month, oldest first."""
    found: dict[str, list[Cost]] = {}
    for cost in costs:
        found.setdefault(cost.month, []).append(cost)
    return [_sum(month, runs) for month, runs in sorted(found.items())]


def _sum(month: str, runs: list[Cost]) -> Month:
    billed = [run for run in runs if run.usd is not None]
    return Month(
        month,
        len(runs),
        len(runs) - len(billed),
        sum(run.embedded or 0 for run in billed),
        sum(run.usd or 0.0 for run in billed) if billed else None,
        sum(run.usd_cluster for run in billed),
        any(run.estimate for run in billed),
    )


def _read(client: Any, bucket: str, key: str) -> Cost:
    with translate_aws_errors("s3:GetObject"):
        content = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    try:
        return Cost.from_json(content)
    except (ValueError, TypeError) as error:
        raise FruitsError(
            f"`s3://{bucket}/{key}` is not a cost record: {error}", "delete the file, or move it to another prefix"
        ) from error


def _place(session: Any, uri: str) -> tuple[Any, str, str]:
    from cli.aws import s3 as buckets

    bucket, key = bucket_and_key(uri)
    return buckets.client_for(session, bucket), bucket, key
