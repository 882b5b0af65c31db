"""
What EMR Serverless costs: Region and architecture in, Prices out. From AWS's price list, kept for a day; else a dated estimate, never 0.

Asking sends the Region's name and nothing else. https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/price-changes.html
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.aws.errors import asking, client
from cli.aws.regions import refuse_outside_eu
from cli.errors import FruitsError, UsageError
from cli.settings.replacing import replacing
from cli.ui.output import say

SOVEREIGN = "eusc-de-east-1"  # a separate partition: accounts and price list are not those of the others
PRICING_REGION = "eu-central-1"  # the only one in the Union that has the API: https://docs.aws.amazon.com/general/latest/gr/pricing.html
CACHE_SECONDS = 24 * 3600

# Architecture to price to what the price list calls it: the meter asked for, and the end of the usage type. Only some storage is billed.
METERS = {
    "x86_64": {
        "vcpu_hour": ("CPUHours", "EMR-SERVERLESS-vCPUHours"),
        "gb_hour": ("GBHours", "EMR-SERVERLESS-MemoryGBHours"),
        "storage_gb_hour": ("StorageGBHours", "EMR-SERVERLESS-StorageGBHours"),
    },
    "arm64": {
        "vcpu_hour": ("ARMCPUHours", "EMR-SERVERLESS-ARM-vCPUHours"),
        "gb_hour": ("ARMGBHours", "EMR-SERVERLESS-ARM-MemoryGBHours"),
        "storage_gb_hour": ("StorageGBHours", "EMR-SERVERLESS-StorageGBHours"),
    },
}

# USD per vCPU-hour, GB-hour, and GB-hour of disk, x86_64: of two published tables the higher figure. They disagree by up to a tenth.
ESTIMATES = {
    "eu-west-3": (0.06318, 0.00689, 0.000129),
    "eu-west-1": (0.057974, 0.006376, 0.000122),
    "eu-central-1": (0.061974, 0.006816, 0.000132),
    "eu-north-1": (0.05785, 0.00637, 0.000116),
}
ELSEWHERE = (0.06318, 0.00689, 0.000132)  # the highest of each in the Union, where no table has the Region
ESTIMATES_AS_OF = "2026-04"
ESTIMATES_SOURCE = "the higher price of aws-emr-utilities (pull request 108) and PerfKitBenchmarker, not from AWS"
ARM_SHARE = 0.8005  # of x86_64: eu-west-1 0.046374 / 0.057974, eu-central-1 0.049574 / 0.061974; rounded up


@dataclass(frozen=True)
class Prices:
    """USD, without tax and discounts."""

    vcpu_hour: float
    gb_hour: float
    storage_gb_hour: float  # of disk over 20 GB per worker
    region: str
    architecture: str
    as_of: str
    source: str
    estimate: bool  # not what AWS says today

    def __post_init__(self) -> None:
        if min(self.vcpu_hour, self.gb_hour, self.storage_gb_hour) <= 0:
            raise ValueError("a price of 0 is an unknown price")


def prices(session: Any, region: str, architecture: str, cache: Path, clock: Callable[[], float] = time.time) -> Prices:
    """
    AWS's own, at most a day old; an estimate, with a note on stderr, if they cannot be had.

    Raises:
        RefusedError: `region` is outside the European Union.
        UsageError: the service has no such architecture.
    """
    refuse_outside_eu(region)
    architecture = architecture.lower()
    if architecture not in METERS:
        raise UsageError(f"unknown architecture `{architecture}`", f"use {' or '.join(METERS)}")
    file = cache / f"prices-{region}-{architecture}.json"
    known = _kept(file, clock())
    if known is not None:
        return known
    try:
        found = listed(session, region, architecture, clock())
    except FruitsError as error:
        say(f"note: using price estimates of {ESTIMATES_AS_OF}; the AWS price list is not available: {error}")
        return estimate(region, architecture)
    _keep(file, found, clock())
    return found


def listed(session: Any, region: str, architecture: str, now: float) -> Prices:
    """
    Raises:
        FruitsError: AWS refuses or does not answer, or its list has no such price.
    """
    where = SOVEREIGN if region == SOVEREIGN else PRICING_REGION
    pricing = client(session, "pricing", where, attempts=3, read_seconds=20)
    meters = METERS[architecture]
    found = {name: price(_products(pricing, region, meter), usage) for name, (meter, usage) in meters.items()}
    missing = [meters[name][1] for name, usd in found.items() if usd is None]
    if missing:
        raise FruitsError(f"no USD price of {', '.join(missing)} in the price list of `{region}`")
    today = datetime.fromtimestamp(now, UTC).date().isoformat()
    vcpu, memory, storage = (found[name] or 0.0 for name in ("vcpu_hour", "gb_hour", "storage_gb_hour"))
    return Prices(vcpu, memory, storage, region, architecture, today, "AWS price list", False)


def estimate(region: str, architecture: str) -> Prices:
    """What is known without asking."""
    vcpu, memory, storage = ESTIMATES.get(region, ELSEWHERE)
    share = ARM_SHARE if architecture == "arm64" else 1.0
    source = ESTIMATES_SOURCE if region in ESTIMATES else f"the highest known price in the European Union: {ESTIMATES_SOURCE}"
    return Prices(round(vcpu * share, 6), round(memory * share, 6), storage, region, architecture, ESTIMATES_AS_OF, source, True)


def price(products: list[dict[str, Any]], usage: str) -> float | None:
    """USD an hour for the usage type that ends so; the highest if there are several, None if there is none, or none but 0."""
    found = [
        float(dimension["pricePerUnit"].get("USD", 0))
        for product in products
        if str(product["product"]["attributes"].get("usagetype", "")).endswith(usage)
        for term in product["terms"].get("OnDemand", {}).values()
        for dimension in term["priceDimensions"].values()
    ]
    return max(found, default=0.0) or None


def _products(pricing: Any, region: str, meter: str) -> list[dict[str, Any]]:
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in (("regionCode", region), ("meterunit", meter))]
    with asking("pricing:GetProducts"):
        pages = pricing.get_paginator("get_products").paginate(ServiceCode="ElasticMapReduce", Filters=filters)
        return [json.loads(item) for page in pages for item in page["PriceList"]]


def _kept(file: Path, now: float) -> Prices | None:
    """What a damaged file says is worth no more than nothing."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return Prices(**kept["prices"]) if 0 <= now - kept["at"] < CACHE_SECONDS else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(file: Path, found: Prices, now: float) -> None:
    with suppress(OSError), replacing(file) as part:  # without a cache the next command asks again
        part.write_text(json.dumps({"at": now, "prices": asdict(found)}) + "\n", encoding="utf-8")
