"""The options of `--eks`."""

from __future__ import annotations

from dataclasses import dataclass

from cli.targets.emr.options import EmrOptions
from cli.targets.options import EKS, option


@dataclass(frozen=True)
class EksOptions(EmrOptions):
    """What --eks takes."""

    virtual_cluster: str | None = option(None, "the virtual cluster; required.", EKS, metavar="ID")
    execution_role: str | None = option(None, "role of the job; required. See `fruitsctl eks trust`.", EKS, metavar="ARN")
    image: str | None = option(None, "image as `image push` prints it. [default: the last one pushed]", EKS, metavar="NAME@DIGEST")
    log_group: str | None = option(None, "CloudWatch log group that receives the logs, besides S3.", EKS, metavar="NAME")
