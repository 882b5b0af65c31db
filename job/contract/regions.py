"""Where anything may be stored or processed: AWS's Regions on the soil of the European Union, by name. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

PARIS = "eu-west-3"  # unless the environment, fruits.toml or a profile says otherwise

# By name, never by `eu-`: https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html
EU_REGIONS = {
    PARIS: "Paris",
    "eu-west-1": "Ireland",
    "eu-central-1": "Frankfurt",
    "eu-north-1": "Stockholm",
    "eu-south-1": "Milan",
    "eu-south-2": "Spain",
    "eusc-de-east-1": "Brandenburg",  # the European Sovereign Cloud, a separate partition
}
OUTSIDE = {"eu-west-2": "London", "eu-central-2": "Zurich"}  # in Europe, not in the Union
LABEL = "us-east-1"  # that versitygw, MinIO and others have in signatures, wherever they are, unless they are told another
HINT = f"use {PARIS}, or one of {', '.join(name for name in EU_REGIONS if name != PARIS)}"

# Ends of names that no bucket has: aliases of access points, also on Outposts, directory buckets, tables.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
NO_BUCKET = ("-s3alias", "--ol-s3", "--op-s3", "--x-s3", "--xa-s3", "--table-s3", ".mrap")

# Names and hosts of all partitions of AWS; tests/unit/job/contract/test_regions.py compares them with botocore's list.
_NAME = r"[a-z]{2,4}(?:-(?:gov|iso[a-z]?|de))?-(?:central|(?:north|south)(?:east|west)?|east|west)-\d"
AWS_NAME = re.compile(_NAME, re.I)
AWS_SUFFIXES = (
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "api.aws",
    "api.amazonwebservices.com.cn",
    "api.amazonwebservices.eu",
    "on.aws",
    "c2s.ic.gov",
    "api.aws.ic.gov",
    "sc2s.sgov.gov",
    "api.aws.scloud",
    "cloud.adc-e.uk",
    "api.cloud-aws.adc-e.uk",
    "csp.hci.ic.gov",
    "api.aws.hci.ic.gov",
)
# Hosts of AWS that may be in front of S3, as an endpoint's: edges all over the world, or a server whose Region is before the suffix.
_OTHER_SUFFIXES = (
    "aws.com",
    "awsapprunner.com",
    "awsglobalaccelerator.com",
    "cloudfront.net",
    "cs.amazonlightsail.com",
    "elasticbeanstalk.com",
)
# Blanks, control characters and other than ASCII, which some parsers drop or map to ASCII, and what WHATWG's URL and RFC 3986 split
# differently: https://url.spec.whatwg.org/#concept-basic-url-parser
_READ_DIFFERENTLY = re.compile(r"[^!-~]|[\\@%]")
_HOST = re.compile(rf"(?:.*?[.-])?({_NAME})(?:\.vpce)?\.(?:{'|'.join(map(re.escape, AWS_SUFFIXES + _OTHER_SUFFIXES))})")


def outside_eu(region: str) -> tuple[str, str] | None:
    """Message and hint for a `region` that is none of EU_REGIONS."""
    if region in EU_REGIONS:
        return None
    city = f" ({OUTSIDE[region]})" if region in OUTSIDE else ""
    return f"Region `{region}`{city} is not on the list of Regions in the European Union", HINT


def outside_eu_label(region: str) -> tuple[str, str] | None:
    """As `outside_eu`, of the Region that is set for a custom endpoint, where names that are not AWS's say nothing of a place."""
    return None if region == LABEL or not AWS_NAME.fullmatch(region) else outside_eu(region)


def is_aws(url: str) -> bool:
    """Whether `url` is an endpoint of AWS; any other is a custom one."""
    host = _host(url)
    return any(host == suffix or host.endswith("." + suffix) for suffix in AWS_SUFFIXES + _OTHER_SUFFIXES)


def region_of_endpoint(url: str) -> str | None:
    """The Region in the host of an endpoint of AWS; None for those that serve all Regions, such as `s3.amazonaws.com`."""
    found = _HOST.fullmatch(_host(url))
    return found[1] if found else None


def is_url(text: str) -> bool:
    """Whether boto3, obstore and Spark can all use `text` as an endpoint, and find the same host in it."""
    from botocore.utils import is_valid_uri

    try:
        parts = urlsplit(text)
        known = parts.scheme in ("http", "https") and not _READ_DIFFERENTLY.search(text)
        return known and bool(is_valid_uri(text)) and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is not a number, half an IPv6 address
        return False


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").rstrip(".")
