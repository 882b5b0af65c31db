"""Names and hosts of AWS, compared with what botocore knows; every other name is one of a server elsewhere."""

import json
from pathlib import Path

import boto3
import botocore
import pytest

from job.contract.regions import AWS_NAME, AWS_SUFFIXES, EU_REGIONS, is_aws, is_url, outside_eu, outside_eu_label, region_of_endpoint

PARTITIONS = json.loads((Path(botocore.__file__).parent / "data/partitions.json").read_text())["partitions"]


def test_every_region_and_every_domain_that_botocore_knows_is_one_of_aws():
    regions = {name for partition in PARTITIONS for name in partition["regions"] if "global" not in name}
    domains = {partition["outputs"][name] for partition in PARTITIONS for name in ("dnsSuffix", "dualStackDnsSuffix")}

    assert [name for name in regions if not AWS_NAME.fullmatch(name)] == []
    assert domains - set(AWS_SUFFIXES) == set()


@pytest.mark.parametrize("region", sorted(EU_REGIONS))
def test_the_host_of_s3_tells_its_region(region):
    client = boto3.session.Session(aws_access_key_id="a", aws_secret_access_key="b").client("s3", region_name=region)

    assert is_aws(client.meta.endpoint_url)
    assert region_of_endpoint(client.meta.endpoint_url) == region


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://s3.dualstack.us-west-2.amazonaws.com", "us-west-2"),
        ("https://s3-us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("https://s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("https://s3express-use1-az4.us-east-1.amazonaws.com", "us-east-1"),
        ("https://s3.eu-isoe-west-1.cloud.adc-e.uk", "eu-isoe-west-1"),
        ("https://eu-west-3.s3.us-east-1.amazonaws.com:443/eu-west-3", "us-east-1"),
        ("https://eu-west-3@s3.us-east-1.amazonaws.com", "us-east-1"),
        ("https://s3.amazonaws.com/eu-west-3", None),
        ("https://s3-external-1.amazonaws.com", None),
        ("https://mrap.accesspoint.s3-global.amazonaws.com", None),
        ("https://d111111abcdef8.cloudfront.net", None),
        ("https://a1234567890abcdef.awsglobalaccelerator.com", None),
        ("https://fruits.us-east-1.awsapprunner.com", "us-east-1"),
        ("http://fruits.us-east-1.elasticbeanstalk.com", "us-east-1"),
        ("https://fruits.abc.eu-west-3.cs.amazonlightsail.com", "eu-west-3"),
    ],
)
def test_only_the_host_of_an_endpoint_counts(url, region):
    assert is_aws(url)
    assert region_of_endpoint(url) == region


@pytest.mark.parametrize("url", ["http://127.0.0.1:7070", "https://s3.fr-par.scw.cloud", "https://s3.eu-west-3.amazonaws.com.example.org"])
def test_all_others_are_custom_endpoints(url):
    assert is_url(url)
    assert not is_aws(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://s3.us-east-1.amazonaws.com\\@x.eu",
        "https://s3.us-east-1.amazonaws.com\\.x.eu",
        "https:\\\\s3.us-east-1.amazonaws.com",
        "https://key:secret@x.eu",
        "https://x.eu@s3.us-east-1.amazonaws.com",
        "https://s3.us-east-1.amazonaws\u3002com",
        "https://s3.us-east-1.amazonaws\uff0ecom",
        "https://\uff533.us-east-1.amazonaws.com",
        "https://s3.us-east-1.amazonaws%2ecom",
        "https://xn--%C3%A9.eu",
        "https://s3.us-east-1.\tamazonaws.com",
        "https://s3.us-east-1.amazon\naws.com",
        " https://x.eu",
        "https://x.eu ",
        "https://x .eu",
        "https://x.eu\x00.amazonaws.com",
        "\x01https://x.eu",
        "https://x\u200b.eu",
        "https://my_host:9000",
        "https://a..b",
    ],
)
def test_an_endpoint_that_two_parsers_may_read_differently_is_none(url):
    assert not is_url(url)


@pytest.mark.parametrize("url", ["HTTPS://S3.Example.ORG:9000", "http://[::1]:7070", "https://x.eu./", "http://minio", "https://x.eu/s3"])
def test_every_client_reads_these_alike(url):
    assert is_url(url)


@pytest.mark.parametrize("label", ["us-east-1", "eu-west-3", "garage", "fr-par", "eu-central-003", "default"])
def test_a_custom_endpoint_may_have_its_own_name(label):
    assert outside_eu_label(label) is None


@pytest.mark.parametrize("label", ["us-west-2", "eu-west-2", "EU-WEST-2", "us-gov-west-1"])
def test_but_none_of_another_region_of_aws(label):
    assert outside_eu_label(label) == outside_eu(label) != None  # noqa: E711
