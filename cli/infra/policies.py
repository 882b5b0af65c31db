"""
Make the IAM policies for the user of fruitsctl and for the role that CloudFormation assumes. Pure.

*operator* is every call that this command makes. *deployer* is what CloudFormation's handlers call for the types of our templates:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cli.aws.emr_serverless import TAG


@dataclass(frozen=True)
class Scope:
    """The names that policies are made for."""

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
        """
        The service-linked role of EMR Serverless.

        https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/using-service-linked-roles.html
        """
        return self.global_arn("iam", "role/aws-service-role/ops.emr-serverless.amazonaws.com/AWSServiceRoleForAmazonEMRServerless")


@dataclass(frozen=True)
class Statement:
    """One statement of a policy, with the reason for it."""

    sid: str
    why: str  # also why `*`, where the resource is that
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def document(statements: list[Statement]) -> dict[str, Any]:
    """Return the statements as a policy document."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": item.sid, "Effect": "Allow", "Action": list(item.actions), "Resource": list(item.resources)}
            | ({"Condition": item.condition} if item.condition else {})
            for item in statements
        ],
    }


def operator(scope: Scope) -> list[Statement]:
    """Return the policy of a user of fruitsctl: pushes, runs, follows, reads costs, and calls CloudFormation for the stacks."""
    application, stacks = scope.arn("emr-serverless", "/applications/*"), scope.arn("cloudformation", f"stack/{scope.project}-*")
    ours = {"StringEquals": {f"aws:ResourceTag/{TAG}": scope.project}}
    group = scope.arn("logs", f"log-group:/aws/emr-serverless/{scope.project}")
    statements = [
        Statement(
            "Runs",
            "start, follow, cancel and list runs; start and stop the application",
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
            "tag a run when it is sent",
            ("emr-serverless:TagResource",),
            (scope.arn("emr-serverless", "/applications/*/jobruns/*"),),
            {"StringEquals": {f"aws:RequestTag/{TAG}": scope.project}},
        ),
        Statement(
            "FindApplication",
            "`infra down` finds an application whose stack was deleted",
            ("emr-serverless:ListApplications",),
            (scope.arn("emr-serverless", "/*"),),
        ),
        Statement(
            "RuntimeRole",
            "pass the runtime role, and no other role, to EMR Serverless",
            ("iam:PassRole",),
            (scope.runtime_role,),
            {"StringEquals": {"iam:PassedToService": "emr-serverless.amazonaws.com"}},
        ),
        Statement(
            "SeeRole",
            "check that the runtime role and the service-linked role exist",
            ("iam:GetRole",),
            (scope.runtime_role, scope.service_role),
        ),
        Statement(
            "Bucket",
            "find its Region; list photos and results; `infra down` deletes it",
            ("s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads", "s3:DeleteBucket"),
            (scope.bucket,),
        ),
        Statement(
            "Objects",
            "upload photos, read results and logs, write cost records; `forget` deletes every version of a photo; "
            "`infra down` empties the bucket",
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
        Statement("RegistryLogin", "get a token for `docker login`; AWS has no narrower resource", ("ecr:GetAuthorizationToken",), ("*",)),
        Statement(
            "Registry",
            "push and find the image; `infra down` empties and deletes the repository",
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
            "check that the log group exists; AWS has no narrower resource",
            ("logs:DescribeLogGroups",),
            (scope.arn("logs", "log-group:*"),),
        ),
        Statement(
            "Stacks",
            "plan, create, change, show and delete the stacks",
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
            "pass the deployer role to CloudFormation",
            ("iam:PassRole",),
            (scope.global_arn("iam", f"role/{scope.project}-deployer"),),
            {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}},
        ),
        Statement(
            "Left", "`infra down` searches by tag for remaining resources; AWS has no narrower resource", ("tag:GetResources",), ("*",)
        ),
        Statement("Prices", "read the price list; AWS has no narrower resource", ("pricing:GetProducts",), ("*",)),
        Statement("Quota", "read the vCPU quota; AWS has no narrower resource", ("servicequotas:GetServiceQuota",), ("*",)),
    ]
    if scope.own_key:
        use = ("kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey", "kms:ScheduleKeyDeletion")
        statements.append(
            Statement(
                "Key", "read and write encrypted objects; `infra down` schedules its deletion", use, (scope.arn("kms", "key/*"),), ours
            )
        )
    return statements


def deployer(scope: Scope) -> list[Statement]:
    """Return the policy of CloudFormation's role: creates, changes and deletes what the templates name, and nothing else."""
    from cli.infra.handlers import HANDLERS

    application = scope.arn("emr-serverless", "/applications/*")
    ours = {"StringEquals": {f"aws:ResourceTag/{TAG}": scope.project}}
    tagged = {"StringEquals": {f"aws:RequestTag/{TAG}": scope.project}}
    statements = [
        Statement("Bucket", "the bucket of the data stack, and its policy", HANDLERS["s3"], (scope.bucket,)),
        Statement(
            "Repository",
            "the image repository; EMR Serverless reads the image when the application is created",
            HANDLERS["ecr"],
            (scope.arn("ecr", f"repository/{scope.project}"),),
        ),
        Statement("Role", "the runtime role", HANDLERS["iam"], (scope.runtime_role,)),
        Statement(
            "LogGroup",
            "the log group",
            HANDLERS["logs"],
            (scope.arn("logs", f"log-group:/aws/emr-serverless/{scope.project}*"),),
        ),
        Statement("FindLogGroups", "AWS has no narrower resource", ("logs:DescribeLogGroups",), (scope.arn("logs", "log-group:*"),)),
        Statement(
            "NewApplication",
            "a new application has no id yet; only one with the project's tag",
            ("emr-serverless:CreateApplication",),
            (scope.arn("emr-serverless", "/*"),),
            tagged,
        ),
        Statement("Application", "the application", HANDLERS["emr-serverless"], (application,), ours),
        Statement("TagApplication", "add the first tag to a new application", ("emr-serverless:TagResource",), (application,), tagged),
        Statement(
            "ServiceRole",
            "the first application of an account creates the service-linked role",
            ("iam:CreateServiceLinkedRole",),
            (scope.service_role,),
            {"StringLike": {"iam:AWSServiceName": "ops.emr-serverless.amazonaws.com"}},
        ),
    ]
    if scope.own_key:
        statements += [
            Statement(
                "NewKey", "a new key has no ARN yet; only one with the project's tag", ("kms:CreateKey", "kms:TagResource"), ("*",), tagged
            ),
            Statement("Key", "the key, and the grants that the repository needs", HANDLERS["kms"], (scope.arn("kms", "key/*"),), ours),
        ]
    if scope.vpc:
        kinds = ("vpc", "subnet", "route-table", "security-group", "security-group-rule", "vpc-endpoint", "network-interface")
        parts = tuple(scope.arn("ec2", f"{kind}/*") for kind in kinds)
        looks = tuple(action for action in HANDLERS["ec2"] if action.startswith("ec2:Describe"))
        statements += [
            Statement("Network", "the private network", tuple(action for action in HANDLERS["ec2"] if action not in looks), parts),
            Statement("SeeNetwork", "AWS has no narrower resource for read-only calls", looks, ("*",)),
        ]
    if scope.budget:
        statements.append(
            Statement(
                "Budget",
                "the budget and its e-mail alarm",
                HANDLERS["budgets"],
                (scope.global_arn("budgets", f"budget/{scope.project}-{scope.region}"),),
            )
        )
    return statements
