"""The templates, checked against CloudFormation's schemas of every Region in the Union."""

from pathlib import Path

import pytest
from cfnlint import api as cfnlint
from cfnlint.config import ManualArgs
from cfnlint.schema import ResourceNotFoundError
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER as schemas

from cli.aws.regions import EU_REGIONS
from cli.infra.deploy import BUDGET_REGIONS

TEMPLATES = sorted((Path(__file__).parents[2] / "cli" / "infra" / "templates").glob("*.yaml"))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_templates_have_no_fault_in_any_region_where_they_are_used(template):
    regions = BUDGET_REGIONS if template.stem == "budget" else EU_REGIONS

    assert cfnlint.lint(template.read_text(), config=ManualArgs(regions=sorted(regions))) == []


def test_budgets_are_made_in_every_region_that_has_them_and_in_no_other():
    def has_budgets(region):
        try:
            return bool(schemas.get_resource_schema(region, "AWS::Budgets::Budget"))
        except ResourceNotFoundError:
            return False

    assert {region for region in EU_REGIONS if has_budgets(region)} == BUDGET_REGIONS
