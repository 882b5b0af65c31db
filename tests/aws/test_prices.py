"""AWS's price list, asked over HTTP by boto3; the server here answers as the service does, from products of its shape."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from cli.billing.prices import prices
from cli.errors import RefusedError, UsageError

NOW = 1_795_000_000.0  # 2026-11-18, UTC

PRODUCTS = {
    # meter, usage type: USD
    ("CPUHours", "EUW3-EMR-SERVERLESS-vCPUHours"): "0.0600000000",
    ("GBHours", "EUW3-EMR-SERVERLESS-MemoryGBHours"): "0.0065000000",
    ("ARMCPUHours", "EUW3-EMR-SERVERLESS-ARM-vCPUHours"): "0.0480000000",
    ("ARMGBHours", "EUW3-EMR-SERVERLESS-ARM-MemoryGBHours"): "0.0052000000",
    ("StorageGBHours", "EUW3-EMR-SERVERLESS-StorageGBHours"): "0.0001290000",
    ("StorageGBHours", "EUW3-EMR-SERVERLESS-ShuffleOptimizedStorageGBHours"): "0.0002000000",
    ("CPUHours", "EUW3-EMR-EKS-EC2-vCPUHours"): "0.0101200000",  # the same meter, another product
    ("GBHours", "EUW3-EMR-EKS-EC2-GBHours"): "0.0011112500",
}


def listed(meter, usage, usd):
    """
    A product as the API has it: JSON in a string. https://docs.aws.amazon.com/aws-cost-
    management/latest/APIReference/API_pricing_GetProducts.html
    """
    sku = f"SKU{abs(hash(usage)) % 10**8}"
    rate = f"{sku}.JRTCKXETXF.6YS6EN2CT7"
    attributes = {"regionCode": "eu-west-3", "servicecode": "ElasticMapReduce", "meterunit": meter, "usagetype": usage}
    dimension = {"unit": "Hours", "rateCode": rate, "beginRange": "0", "endRange": "Inf", "pricePerUnit": {"USD": usd}, "appliesTo": []}
    term = {"priceDimensions": {rate: dimension}, "sku": sku, "effectiveDate": "2026-11-01T00:00:00Z", "offerTermCode": "JRTCKXETXF"}
    return json.dumps(
        {
            "product": {"productFamily": "EMR Serverless", "attributes": attributes, "sku": sku},
            "serviceCode": "ElasticMapReduce",
            "terms": {"OnDemand": {f"{sku}.JRTCKXETXF": term}},
            "version": "20261101000000",
            "publicationDate": "2026-11-01T00:00:00Z",
        }
    )


class PriceList:
    """Filters as the service does, one product a page, so that a reader must turn pages."""

    def __init__(self):
        self.products = dict(PRODUCTS)
        self.requests = []  # (Region that signed it, body)
        self.refusal = None  # (status, code)

    def answer(self, region, body):
        self.requests.append((region, body))
        if self.refusal:
            status, code = self.refusal
            return status, {"__type": code, "message": "User: arn:aws:iam::111122223333:user/alice is not authorized"}
        wanted = {item["Field"]: item["Value"] for item in body["Filters"]}
        found = [listed(*key, usd) for key, usd in self.products.items()]
        found = [item for item in found if wanted.items() <= json.loads(item)["product"]["attributes"].items()]
        page = int(body.get("NextToken", 0))
        following = {"NextToken": str(page + 1)} if page + 1 < len(found) else {}
        return 200, {"FormatVersion": "aws_v1", "PriceList": found[page : page + 1], **following}


@pytest.fixture
def price_list(monkeypatch, tmp_path):
    state = PriceList()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            assert self.headers["X-Amz-Target"] == "AWSPriceListService.GetProducts"
            region = self.headers["Authorization"].split("Credential=")[1].split("/")[2]
            status, answer = state.answer(region, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", f"http://127.0.0.1:{server.server_port}")
        yield state
        server.shutdown()


@pytest.fixture
def session(price_list):
    return boto3.session.Session(aws_access_key_id="key", aws_secret_access_key="secret", region_name="eu-west-3")


def ask(session, cache, architecture="x86_64", now=NOW, region="eu-west-3"):
    return prices(session, region, architecture, cache, lambda: now)


def test_prices_are_those_of_the_list_for_the_region_and_the_architecture(session, tmp_path):
    found = ask(session, tmp_path)

    assert (found.vcpu_hour, found.gb_hour, found.storage_gb_hour) == (0.06, 0.0065, 0.000129)
    assert (found.region, found.architecture, found.as_of) == ("eu-west-3", "x86_64", "2026-11-18")
    assert (found.source, found.estimate) == ("AWS price list", False)


def test_arm_has_its_own_prices_whatever_the_service_calls_it(session, tmp_path):
    found = ask(session, tmp_path, "ARM64")

    assert (found.vcpu_hour, found.gb_hour, found.storage_gb_hour) == (0.048, 0.0052, 0.000129)


def test_only_frankfurt_is_asked_whatever_the_sessions_own_region(session, price_list, tmp_path):
    ask(session, tmp_path)

    assert {region for region, _ in price_list.requests} == {"eu-central-1"}
    assert {body["ServiceCode"] for _, body in price_list.requests} == {"ElasticMapReduce"}


def test_the_sovereign_cloud_asks_itself(session, price_list, tmp_path):
    ask(session, tmp_path, region="eusc-de-east-1")

    assert {region for region, _ in price_list.requests} == {"eusc-de-east-1"}


def test_a_region_outside_the_union_is_refused_before_anything_is_asked(session, price_list, tmp_path):
    with pytest.raises(RefusedError):
        ask(session, tmp_path, region="eu-west-2")
    assert price_list.requests == []


def test_an_architecture_that_the_service_does_not_have_is_refused(session, tmp_path):
    with pytest.raises(UsageError, match="architecture `riscv`"):
        ask(session, tmp_path, "riscv")


def test_prices_are_kept_for_a_day(session, price_list, tmp_path):
    first = ask(session, tmp_path)
    asked = len(price_list.requests)

    assert ask(session, tmp_path, now=NOW + 86_399) == first
    assert len(price_list.requests) == asked
    price_list.products[("CPUHours", "EUW3-EMR-SERVERLESS-vCPUHours")] = "0.0700000000"
    assert ask(session, tmp_path, now=NOW + 86_401).vcpu_hour == 0.07


def test_the_cache_leaves_nothing_but_its_file(session, tmp_path):
    ask(session, tmp_path / "cache")

    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["prices-eu-west-3-x86_64.json"]


@pytest.mark.parametrize("damage", ["", "[]", '{"at": 1795000000.0, "prices": {"vcpu_hour": 0}}'])
def test_a_damaged_cache_is_written_again(session, tmp_path, damage):
    (tmp_path / "prices-eu-west-3-x86_64.json").write_text(damage)

    assert ask(session, tmp_path).vcpu_hour == 0.06
    assert json.loads((tmp_path / "prices-eu-west-3-x86_64.json").read_text())["prices"]["vcpu_hour"] == 0.06


def test_a_cache_that_cannot_be_written_costs_a_question_more_and_nothing_else(session, tmp_path):
    (tmp_path / "file").write_text("")

    assert ask(session, tmp_path / "file").vcpu_hour == 0.06


def test_without_the_permission_it_is_an_estimate_and_says_which_action_is_missing(session, price_list, tmp_path, capsys):
    price_list.refusal = (400, "AccessDeniedException")

    found = ask(session, tmp_path)

    assert (found.vcpu_hour, found.estimate, found.as_of) == (0.06318, True, "2026-04")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(
        "note: using price estimates of 2026-04; the AWS price list is not available: access denied for `pricing:GetProducts`"
    )


def test_an_estimate_is_not_kept(session, price_list, tmp_path):
    price_list.refusal = (400, "AccessDeniedException")
    assert ask(session, tmp_path).estimate

    price_list.refusal = None
    assert not ask(session, tmp_path).estimate


def test_a_list_without_one_of_the_prices_is_an_estimate_in_all(session, price_list, tmp_path, capsys):
    del price_list.products[("GBHours", "EUW3-EMR-SERVERLESS-MemoryGBHours")]

    found = ask(session, tmp_path)

    assert (found.vcpu_hour, found.gb_hour, found.estimate) == (0.06318, 0.00689, True)
    assert "no USD price of EMR-SERVERLESS-MemoryGBHours" in capsys.readouterr().err


def test_a_price_of_nothing_is_an_estimate(session, price_list, tmp_path):
    price_list.products[("CPUHours", "EUW3-EMR-SERVERLESS-vCPUHours")] = "0.0000000000"

    assert ask(session, tmp_path).vcpu_hour == 0.06318


def test_without_credentials_it_is_an_estimate(price_list, tmp_path, capsys):
    found = ask(boto3.session.Session(), tmp_path)

    assert found.estimate
    assert "no AWS credentials found" in capsys.readouterr().err
