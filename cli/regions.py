"""Where anything may be stored or processed: AWS's Regions on the soil of the European Union, by name. Pure."""

from __future__ import annotations

from cli.errors import RefusedError

PARIS = "eu-west-3"

# By name, never by `eu-`: https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html
EU_REGIONS = {
    PARIS: "Paris",
    "eu-west-1": "Ireland",
    "eu-central-1": "Frankfurt",
    "eu-north-1": "Stockholm",
    "eu-south-1": "Milan",
    "eu-south-2": "Spain",
    "eusc-de-east-1": "Brandenburg",  # the European Sovereign Cloud, a partition of its own
}
OUTSIDE = {"eu-west-2": "London", "eu-central-2": "Zurich"}  # in Europe, not in the Union


def refuse_outside_eu(region: str) -> None:
    """
    Comes before any client of that Region is made.

    Raises:
        RefusedError: `region` is none of EU_REGIONS.
    """
    if region in EU_REGIONS:
        return
    city = f" ({OUTSIDE[region]})" if region in OUTSIDE else ""
    raise RefusedError(
        f"Region `{region}`{city} is not on the list of Regions in the European Union",
        f"use {PARIS}, or one of {', '.join(name for name in EU_REGIONS if name != PARIS)}",
    )
