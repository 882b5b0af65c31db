"""
The IAM policies for two: who uses fruitsctl, and the role that CloudFormation acts as. Names in, policy documents out; pure.

*operator* is every call that this command makes. *deployer* is what CloudFormation's handlers call for the types of our templates:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cli.infra.application import TAG


@dataclass(frozen=True)
class Scope:
    partition: str
    region: str
    account: str
    project: str
    own_key: bool = False
    vpc: bool = False
    budget: bool = False

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def global_arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}::{self.account}:{resource}"

    @property
    def bucket(self) -> str:
        return f"arn:{self.partition}:s3:::{self.project}-{self.account}-{self.region}"

    @property
    def runtime_role(self) -> str:
        return self.global_arn("iam", f"role/{self.project}-{self.region}")

    @property
    def service_role(self) -> str:
        """EMR Serverless's own: https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/using-service-linked-roles.html"""
        return self.global_arn("iam", "role/aws-service-role/ops.emr-serverless.amazonaws.com/AWSServiceRoleForAmazonEMRServerless")


@dataclass(frozen=True)
class Statement:
    sid: str
    why: str  # also why `*`, where the resource is that
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def document(statements: list[Statement]) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": item.sid, "Effect": "Allow", "Action": list(item.actions), "Resource": list(item.resources)}
            | ({"Condition": item.condition} if item.condition else {})
            for item in statements
        ],
    }


def operator(scope: Scope) -> list[Statement]:
    """Who uses fruitsctl: pushes, runs, follows, looks at costs, and asks CloudFormation for the stacks."""
    application, stacks = scope.arn("emr-serverless", "/applications/*"), scope.arn("cloudformation", f"stack/{scope.project}-*")
    ours = {"StringEquals": {f"aws:ResourceTag/{TAG}": scope.project}}
    group = scope.arn("logs", f"log-group:/aws/emr-serverless/{scope.project}")
    statements = [
        Statement(
            "Runs",
            "send, follow, cancel and list runs; start and stop the application",
            tuple(
                f"emr-serverless:{name}"
                for name in (
                    "StartJobRun",
                    "GetJobRun",
                    "CancelJobRun",
                    "ListJobRuns",
                    "GetDashboardForJobRun",
                    "GetApplication",
                    "StartApplication",
                    "StopApplication",
                    "UpdateApplication",
                    "DeleteApplication",
                )
            ),
            (application,),
            ours,
        ),
        Statement(
            "TagRuns",
            "a run is tagged when it is sent",
            ("emr-serverless:TagResource",),
            (scope.arn("emr-serverless", "/applications/*/jobruns/*"),),
            {"StringEquals": {f"aws:RequestTag/{TAG}": scope.project}},
        ),
        Statement(
            "FindApplication",
            "`infra down` finds one whose stack is gone",
            ("emr-serverless:ListApplications",),
            (scope.arn("emr-serverless", "/*"),),
        ),
        Statement(
            "RuntimeRole",
            "a run takes this one role, and gives it to this one service",
            ("iam:PassRole",),
            (scope.runtime_role,),
            {"StringEquals": {"iam:PassedToService": "emr-serverless.amazonaws.com"}},
        ),
        Statement(
            "SeeRole",
            "whether the roles of the runs and of the service are there",
            ("iam:GetRole",),
            (scope.runtime_role, scope.service_role),
        ),
        Statement(
            "Bucket",
            "where it is; list photos and results; remove it at the end",
            ("s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads", "s3:DeleteBucket"),
            (scope.bucket,),
        ),
        Statement(
            "Objects",
            "send photos, read results and logs, write what a run cost; forget photos in every version; empty the bucket at the end",
            (
                "s3:GetObject",
                "s3:GetObjectVersion",
                "s3:PutObject",
                "s3:DeleteObject",
                "s3:DeleteObjectVersion",
                "s3:AbortMultipartUpload",
                "s3:ListMultipartUploadParts",
            ),
            (f"{scope.bucket}/*",),
        ),
        Statement("RegistryLogin", "a token for docker; AWS knows no narrower resource", ("ecr:GetAuthorizationToken",), ("*",)),
        Statement(
            "Registry",
            "push the image, look for it, empty and remove the repository at the end",
            tuple(
                f"ecr:{name}"
                for name in (
                    "BatchCheckLayerAvailability",
                    "BatchGetImage",
                    "GetDownloadUrlForLayer",
                    "InitiateLayerUpload",
                    "UploadLayerPart",
                    "CompleteLayerUpload",
                    "PutImage",
                    "CreateRepository",
                    "PutLifecyclePolicy",
                    "TagResource",
                    "DescribeRepositories",
                    "DescribeImages",
                    "ListImages",
                    "ListTagsForResource",
                    "BatchDeleteImage",
                    "DeleteRepository",
                )
            ),
            (scope.arn("ecr", f"repository/{scope.project}"),),
        ),
        Statement(
            "ReadLogs",
            "follow the driver's log",
            ("logs:DescribeLogStreams", "logs:FilterLogEvents"),
            (group, f"{group}:*"),
        ),
        Statement(
            "FindLogs",
            "whether the group is there; it is asked of the account's Region",
            ("logs:DescribeLogGroups",),
            (scope.arn("logs", "log-group:*"),),
        ),
        Statement(
            "Stacks",
            "plan, make, change, show and remove the stacks",
            tuple(
                f"cloudformation:{name}"
                for name in (
                    "CreateChangeSet",
                    "DescribeChangeSet",
                    "ExecuteChangeSet",
                    "DeleteChangeSet",
                    "DescribeStacks",
                    "DescribeStackEvents",
                    "ListStackResources",
                    "DeleteStack",
                    "TagResource",
                )
            ),
            (f"{stacks}/*",),
        ),
        Statement(
            "Deployer",
            "CloudFormation acts as the deployer",
            ("iam:PassRole",),
            (scope.global_arn("iam", f"role/{scope.project}-deployer"),),
            {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}},
        ),
        Statement(
            "Left", "`infra down` proves that nothing is left; a search by tag has no narrower resource", ("tag:GetResources",), ("*",)
        ),
        Statement("Prices", "price lists have no resource", ("pricing:GetProducts",), ("*",)),
        Statement("Quota", "a quota's value has no narrower resource", ("servicequotas:GetServiceQuota",), ("*",)),
    ]
    if scope.own_key:
        use = ("kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey", "kms:ScheduleKeyDeletion")
        statements.append(
            Statement("Key", "photos and results are encrypted with it; it goes at the end", use, (scope.arn("kms", "key/*"),), ours)
        )
    return statements


def deployer(scope: Scope) -> list[Statement]:
    """The role that CloudFormation acts as: makes, changes and removes what the templates name, and nothing else."""
    from cli.infra.handlers import HANDLERS

    application = scope.arn("emr-serverless", "/applications/*")
    ours = {"StringEquals": {f"aws:ResourceTag/{TAG}": scope.project}}
    tagged = {"StringEquals": {f"aws:RequestTag/{TAG}": scope.project}}
    statements = [
        Statement("Bucket", "the data stack's bucket and its policy", HANDLERS["s3"], (scope.bucket,)),
        Statement(
            "Repository",
            "the registry; the service reads the image for the application",
            HANDLERS["ecr"],
            (scope.arn("ecr", f"repository/{scope.project}"),),
        ),
        Statement("Role", "the role of the runs", HANDLERS["iam"], (scope.runtime_role,)),
        Statement(
            "LogGroup",
            "the log group of the runs",
            HANDLERS["logs"],
            (scope.arn("logs", f"log-group:/aws/emr-serverless/{scope.project}*"),),
        ),
        Statement("FindLogGroups", "asked of the account's Region", ("logs:DescribeLogGroups",), (scope.arn("logs", "log-group:*"),)),
        Statement(
            "NewApplication",
            "before it is made, it has no id; only one with our tag",
            ("emr-serverless:CreateApplication",),
            (scope.arn("emr-serverless", "/*"),),
            tagged,
        ),
        Statement("Application", "the application", HANDLERS["emr-serverless"], (application,), ours),
        Statement("TagApplication", "it has no tag yet when it gets its first", ("emr-serverless:TagResource",), (application,), tagged),
        Statement(
            "ServiceRole",
            "the first application of an account makes the service's own role",
            ("iam:CreateServiceLinkedRole",),
            (scope.service_role,),
            {"StringLike": {"iam:AWSServiceName": "ops.emr-serverless.amazonaws.com"}},
        ),
    ]
    if scope.own_key:
        statements += [
            Statement(
                "NewKey", "before it is made, a key has no ARN; only one with our tag", ("kms:CreateKey", "kms:TagResource"), ("*",), tagged
            ),
            Statement("Key", "the key, also for the repository's grants", HANDLERS["kms"], (scope.arn("kms", "key/*"),), ours),
        ]
    if scope.vpc:
        kinds = ("vpc", "subnet", "route-table", "security-group", "security-group-rule", "vpc-endpoint", "network-interface")
        parts = tuple(scope.arn("ec2", f"{kind}/*") for kind in kinds)
        looks = tuple(action for action in HANDLERS["ec2"] if action.startswith("ec2:Describe"))
        statements += [
            Statement("Network", "the private network", tuple(action for action in HANDLERS["ec2"] if action not in looks), parts),
            Statement("SeeNetwork", "EC2 knows no narrower resource for what only looks", looks, ("*",)),
        ]
    if scope.budget:
        statements.append(
            Statement("Budget", "the alarm", HANDLERS["budgets"], (scope.global_arn("budgets", f"budget/{scope.project}-{scope.region}"),))
        )
    return statements
