"""AWS Price List and Service Quotas, as far as EMR Serverless is concerned."""

from __future__ import annotations

import json
from typing import Any
from zlib import crc32

from tests.aws.standin.emr_serverless import Caller
from tests.aws.standin.wire import ServiceError

# Usage types end so in every Region. The figures are made up for Paris, for which none are published.
PRICES = {
    "EMR-SERVERLESS-vCPUHours": ("CPUHours", "0.0590000000"),
    "EMR-SERVERLESS-MemoryGBHours": ("GBHours", "0.0065000000"),
    "EMR-SERVERLESS-ARM-vCPUHours": ("ARMCPUHours", "0.0472000000"),
    "EMR-SERVERLESS-ARM-MemoryGBHours": ("ARMGBHours", "0.0052000000"),
    "EMR-SERVERLESS-StorageGBHours": ("StorageGBHours", "0.0001250000"),
    "EMR-EKS-EC2-vCPUHours": ("CPUHours", "0.0113000000"),  # has the same unit as Serverless's, and is another price
    "EMR-EKS-EC2-GBHours": ("GBHours", "0.0012400000"),
}
REGIONS = {"eu-west-3": ("EUW3-", "EU (Paris)"), "eu-west-1": ("EU-", "EU (Ireland)"), "eu-central-1": ("EUC1-", "EU (Frankfurt)")}
ASKED_IN = (
    "us-east-1",
    "eu-central-1",
    "ap-south-1",
)  # https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html


class PriceList:
    def __init__(self) -> None:
        self.known: dict[str, str] | None = {name: usd for name, (_, usd) in PRICES.items()}

    def get_products(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        if self.known is None:
            action = "pricing:GetProducts"
            raise ServiceError("AccessDeniedException", f"User: {caller.arn} is not authorized to perform: {action}", 400)
        if caller.region not in ASKED_IN:
            raise ServiceError("UnrecognizedClientException", f"there is no price list in {caller.region}")
        wanted = {item["Field"]: item["Value"] for item in params.get("Filters", [])}
        found = [
            product(region, name, usd)
            for region in REGIONS
            for name, usd in self.known.items()
            if params["ServiceCode"] == "ElasticMapReduce"
        ]
        fitting = [
            item
            for item in found
            if all(item["product"]["attributes"].get(field, "").lower() == value.lower() for field, value in wanted.items())
        ]
        return {"FormatVersion": "aws_v1", "PriceList": [json.dumps(item) for item in fitting]}


def product(region: str, name: str, usd: str) -> dict[str, Any]:
    """In the shape of https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-files.html"""
    prefix, location = REGIONS[region]
    sku = f"{crc32((region + name).encode()):016X}"
    serverless = "SERVERLESS" in name
    attributes = {
        "regionCode": region,
        "location": location,
        "locationType": "AWS Region",
        "servicecode": "ElasticMapReduce",
        "servicename": "Amazon Elastic MapReduce",
        "usagetype": prefix + name,
        "operation": "Worker" if serverless else "StartJobRun",
        "meterunit": PRICES[name][0],
    }
    dimension = {"unit": "Hours", "beginRange": "0", "endRange": "Inf", "pricePerUnit": {"USD": usd}, "appliesTo": []}
    term = {"sku": sku, "effectiveDate": "2026-11-01T00:00:00Z", "priceDimensions": {f"{sku}.JRTCKXETXF.6YS6EN2CT7": dimension}}
    family = "EMR Serverless" if serverless else "EMR Containers"
    return {
        "product": {"sku": sku, "productFamily": family, "attributes": attributes},
        "serviceCode": "ElasticMapReduce",
        "terms": {"OnDemand": {f"{sku}.JRTCKXETXF": term}},
        "publicationDate": "2026-11-18T00:00:00Z",
    }


class ServiceQuotas:
    def __init__(self) -> None:
        self.vcpu: float = 16.0

    def get_service_quota(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        if (params["ServiceCode"], params["QuotaCode"]) != ("emr-serverless", "L-D05C8A75"):
            raise ServiceError("NoSuchResourceException", f"there is no quota {params['QuotaCode']} of {params['ServiceCode']} here")
        arn = f"arn:aws:servicequotas:{caller.region}:{caller.account}:emr-serverless/L-D05C8A75"
        quota = {"ServiceCode": "emr-serverless", "ServiceName": "Amazon EMR Serverless", "QuotaCode": "L-D05C8A75", "QuotaArn": arn}
        name = "Max concurrent vCPUs per account"
        return {"Quota": quota | {"QuotaName": name, "Value": float(self.vcpu), "Unit": "None", "Adjustable": True, "GlobalQuota": False}}
