"""Prices that are not asked for: the dated estimates, and what is read out of a price list."""

import pytest

from cli.aws.regions import EU_REGIONS
from cli.billing.prices import Prices, estimated_prices, price


def product(usage, *usd, currency="USD"):
    """An item of the price list, the parts that are read."""
    dimensions = {f"D{number}": {"unit": "Hours", "pricePerUnit": {currency: amount}} for number, amount in enumerate(usd)}
    return {"product": {"attributes": {"usagetype": usage}}, "terms": {"OnDemand": {"T": {"priceDimensions": dimensions}}}}


def test_the_estimate_for_paris_is_dated_named_and_marked():
    assert estimated_prices("eu-west-3", "x86_64") == Prices(
        vcpu_hour=0.06318,
        gb_hour=0.00689,
        storage_gb_hour=0.000129,
        region="eu-west-3",
        architecture="x86_64",
        as_of="2026-04",
        source="the higher price of aws-emr-utilities (pull request 108) and PerfKitBenchmarker, not from AWS",
        estimate=True,
    )


def test_arm_costs_a_fifth_less():
    # 0.06318 x 0.8005 = 0.050576; 0.00689 x 0.8005 = 0.005515
    found = estimated_prices("eu-west-3", "arm64")

    assert (found.vcpu_hour, found.gb_hour, found.storage_gb_hour) == (0.050576, 0.005515, 0.000129)


def test_no_region_of_the_union_is_without_an_estimate_and_one_that_no_table_has_costs_the_most():
    for region in EU_REGIONS:
        found = estimated_prices(region, "x86_64")

        assert found.estimate
        assert 0.05 < found.vcpu_hour <= 0.06318
    assert estimated_prices("eu-south-2", "x86_64").vcpu_hour == 0.06318
    assert estimated_prices("eu-south-2", "x86_64").storage_gb_hour == 0.000132
    assert estimated_prices("eu-south-2", "x86_64").source.startswith("the highest known price in the European Union")


def test_a_price_is_that_of_the_usage_type_and_not_of_one_that_contains_it():
    listed = [
        product("EUW3-EMR-SERVERLESS-ARM-vCPUHours", "0.0505"),
        product("EUW3-EMR-SERVERLESS-vCPUHours", "0.0631800000"),
        product("EUW3-EMR-EKS-EC2-vCPUHours", "0.0101"),
    ]

    assert price(listed, "EMR-SERVERLESS-vCPUHours") == 0.06318


def test_of_several_prices_the_highest_counts():
    assert price([product("X-EMR-SERVERLESS-vCPUHours", "0.05", "0.06")], "EMR-SERVERLESS-vCPUHours") == 0.06


@pytest.mark.parametrize(
    "listed",
    [
        [],
        [product("EUW3-EMR-SERVERLESS-MemoryGBHours", "0.006")],
        [product("EUW3-EMR-SERVERLESS-vCPUHours", "0.0000000000")],
        [product("EUW3-EMR-SERVERLESS-vCPUHours", "0.06", currency="CNY")],
        [{"product": {"attributes": {}}, "terms": {}}],
    ],
)
def test_a_price_that_is_not_listed_is_unknown_and_not_nothing(listed):
    assert price(listed, "EMR-SERVERLESS-vCPUHours") is None
