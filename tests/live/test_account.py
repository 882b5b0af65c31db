"""What can be asked of a real account for nothing: prices, quota, the base image, the owner of a bucket. No cost."""

import subprocess
import time

import pytest

from cli.billing import prices
from cli.settings.release import BASES, RELEASE

BASE = BASES["serverless"].format(release=RELEASE)


@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_the_price_list_has_all_three_prices_of_paris(clients, architecture):
    found = prices.fetch_prices(clients.session, "eu-west-3", architecture, time.time())

    assert (found.region, found.estimate) == ("eu-west-3", False)
    guess = prices.estimated_prices("eu-west-3", architecture)
    for name in ("vcpu_hour", "gb_hour", "storage_gb_hour"):
        assert getattr(found, name) == pytest.approx(getattr(guess, name), rel=0.15), name


def test_the_filters_of_the_price_list_give_paris_only(clients):
    client = clients.session.client("pricing", region_name=prices.PRICING_REGION)

    found = [
        product["product"]["attributes"]
        for meter, _ in prices.METERS["x86_64"].values()
        for product in prices._products(client, "eu-west-3", meter)
    ]

    assert {attributes["regionCode"] for attributes in found} == {"eu-west-3"}
    assert any(attributes["usagetype"].endswith("EMR-SERVERLESS-vCPUHours") for attributes in found)


def test_the_quota_is_known_by_its_code(clients):
    quota = clients("service-quotas").get_service_quota(ServiceCode="emr-serverless", QuotaCode="L-D05C8A75")["Quota"]

    assert "vCPU" in quota["QuotaName"]
    assert quota["Value"] >= 16


def test_another_owner_than_ours_is_refused(clients, deployed):
    s3 = clients("s3")

    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.list_object_versions(Bucket=deployed.bucket, ExpectedBucketOwner="111122223333")

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_the_base_has_the_python_and_the_spark_that_the_image_was_made_for():
    """Needs Docker, and pulls the base: some GB."""

    def said(*words):
        return subprocess.run(["docker", "run", "--rm", "--entrypoint", *words], capture_output=True, text=True, check=True).stdout

    assert said("python3", BASE, "--version").startswith("Python 3.9.")
    assert "3.5.6" in said("cat", BASE, "/usr/lib/spark/RELEASE")


def test_the_image_is_built_on_the_base_of_today():
    """An image on an older base still runs; this says that it is time to build again."""
    subprocess.run(["docker", "pull", "--quiet", BASE], capture_output=True, check=True)

    def layers(image):
        inspected = subprocess.run(
            ["docker", "inspect", "--format", '{{join .RootFS.Layers " "}}', image], capture_output=True, text=True, check=True
        )
        return inspected.stdout.split()

    base = layers(BASE)
    assert layers("fruitsctl:serverless")[: len(base)] == base
