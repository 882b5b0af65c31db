"""The tagging API's GetResources: what moto knows, and the applications that the stand-in has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.aws.standin.emr_serverless import Caller, EmrServerless


class Tagging:
    def __init__(self, emr: EmrServerless, moto: Callable[[str], Any]) -> None:
        """`moto` makes its client of the tagging API in a Region."""
        self._emr, self._moto = emr, moto

    def get_resources(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        answer = self._moto(caller.region).get_resources(**params)
        found = answer["ResourceTagMappingList"]
        if not answer.get("PaginationToken") and not params.get("PaginationToken"):
            found = found + [
                {"ResourceARN": application.arn, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
                for application in self._emr.applications.listed()
                if (tags := application.settings["tags"])
                and application.state != "TERMINATED"
                and all(
                    wanted["Key"] in tags and tags[wanted["Key"]] in (wanted.get("Values") or tags.values())
                    for wanted in params.get("TagFilters", [])
                )
            ]
        return {"ResourceTagMappingList": found, "PaginationToken": answer.get("PaginationToken", "")}
