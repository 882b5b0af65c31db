"""Every permission of the templates and of both policies: named, as narrow as AWS allows, explained; checked against its schemas."""

import json
import re
from pathlib import Path

import pytest
import yaml
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER as schemas

from cli.infra import policies
from cli.infra.policies import Scope
from tests.aws.fruitsctl import fruitsctl

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / "cli" / "infra" / "templates").glob("*.yaml"))
SCOPE = Scope("aws", "eu-west-3", "111122223333", "fruitsctl", own_key=True, vpc=True, budget=True, schedule=True, alarm=True)


class Loader(yaml.SafeLoader):
    """CloudFormation's short forms as their plain arguments."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: getattr(node, "value", None))


def statements(node):
    if isinstance(node, dict):
        if "Effect" in node:
            yield node
        for value in node.values():
            yield from statements(value)
    elif isinstance(node, list):
        for value in node:
            yield from statements(value)


def of_templates():
    return [found for template in TEMPLATES for found in statements(yaml.load(template.read_text(), Loader))]


def of_policies():
    return [*policies.operator(SCOPE), *policies.deployer(SCOPE)]


def listed(value):
    return value if isinstance(value, list) else [value]


def test_no_permission_of_the_templates_is_wider_than_its_reason():
    wide = {
        statement["Sid"]
        for statement in of_templates()
        if statement["Effect"] == "Allow"
        and (statement.get("Resource") == "*" or any(action == "*" or action.endswith(":*") for action in listed(statement["Action"])))
    }

    assert wide == {"Account", "Logs", "Serverless"}  # of a key's own policy, where `*` is that key


def test_the_policies_name_every_action_and_a_star_only_where_aws_knows_no_resource():
    assert [item.sid for item in of_policies() if any("*" in action for action in item.actions)] == []
    assert {item.sid for item in of_policies() if "*" in item.resources} == {
        "RegistryLogin",  # ecr:GetAuthorizationToken
        "Left",  # tag:GetResources
        "Prices",  # pricing:GetProducts
        "Quota",  # servicequotas:GetServiceQuota
        "NewKey",  # kms:CreateKey, of ours by its tag
        "SeeNetwork",  # ec2:Describe*
    }
    assert all(item.why for item in of_policies())


def test_a_role_is_passed_to_one_service_only():
    passed = {item.resources: item.condition for item in of_policies() if "iam:PassRole" in item.actions}

    assert passed == {
        ("arn:aws:iam::111122223333:role/fruitsctl-eu-west-3",): {"StringEquals": {"iam:PassedToService": "emr-serverless.amazonaws.com"}},
        ("arn:aws:iam::111122223333:role/fruitsctl-eu-west-3-scheduler",): {
            "StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}
        },
        ("arn:aws:iam::111122223333:role/fruitsctl-deployer",): {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}},
    }


@pytest.mark.parametrize("statement", policies.deployer(SCOPE), ids=lambda statement: statement.sid)
def test_the_deployer_may_no_more_than_the_handlers_of_our_types_need(statement):
    types = {resource["Type"] for template in TEMPLATES for resource in yaml.load(template.read_text(), Loader)["Resources"].values()}
    needed = {
        action
        for kind in types
        for handler in schemas.get_resource_schema("eu-west-3", kind).schema.get("handlers", {}).values()
        for action in handler["permissions"]
    }

    assert set(statement.actions) - needed == set()


def test_the_deployer_may_create_and_delete_every_type_of_the_templates():
    allowed = {action for item in policies.deployer(SCOPE) for action in item.actions}
    types = {resource["Type"] for template in TEMPLATES for resource in yaml.load(template.read_text(), Loader)["Resources"].values()}
    verbs = re.compile(r"^(?!kms|sso|s3tables|vpc-lattice|firehose)[a-z0-9-]+:(Create|Delete)")
    own = {kind.split("::")[2] for kind in types}
    needed = {
        action
        for kind in types
        for handler in ("create", "delete")
        for action in schemas.get_resource_schema("eu-west-3", kind).schema["handlers"][handler]["permissions"]
        if verbs.match(action) and re.sub(r"^.*:(Create|Delete)", "", action).rstrip("s").lower() in {name.lower() for name in own}
    }

    assert {"s3:CreateBucket", "iam:DeleteRole", "ec2:CreateVpcEndpoint", "emr-serverless:CreateApplication"} <= needed
    assert needed - allowed == set()


@pytest.mark.parametrize("who", ["operator", "deployer"])
def test_a_policy_is_printed_as_iam_takes_it(who):
    printed = fruitsctl("infra", "policy", who, "--account", "111122223333", "--region", "eu-west-3")

    document = json.loads(printed.stdout)
    assert document["Version"] == "2012-10-17"
    assert {statement["Effect"] for statement in document["Statement"]} == {"Allow"}
    # A managed policy's limit: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    assert len(re.sub(r"\s", "", printed.stdout)) <= 6144
    assert "own-key" not in printed.stdout


def test_the_policies_with_every_option_fit_into_a_role():
    """Inline; as a managed policy the deployer's is too long, which docs/how-to/aws.md says."""
    sizes = [len(json.dumps(policies.document(made(SCOPE)), separators=(",", ":"))) for made in (policies.operator, policies.deployer)]

    assert sizes[0] <= 6144 < sizes[1] <= 10_240


def test_the_sovereign_cloud_has_its_own_partition():
    printed = fruitsctl("infra", "policy", "operator", "--account", "111122223333", "--region", "eusc-de-east-1")

    assert "arn:aws-eusc:s3:::fruitsctl-111122223333-eusc-de-east-1" in printed.stdout
    assert "arn:aws:" not in printed.stdout


def test_every_permission_is_on_the_page_about_them():
    page = (ROOT / "docs" / "reference" / "permissions.md").read_text()
    named = {action for statement in of_templates() for action in listed(statement["Action"])}
    named |= {action for item in of_policies() for action in item.actions}

    assert sorted(action for action in named if f"`{action}`" not in page) == []


def test_without_an_account_the_policy_is_for_the_callers_own(aws):
    own, named = (fruitsctl("infra", "policy", "operator", "--region", "eu-west-3", *more) for more in ((), ("--account", "123456789012")))

    assert own.returncode == 0, own.stderr
    assert own.stdout == named.stdout
    assert "123456789012" in own.stdout
