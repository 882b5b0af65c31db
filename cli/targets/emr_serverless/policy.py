"""
What one run may do, of what its role may: INPUT, OUTPUT and what is deployed in, a session policy out. Pure.

The service intersects it with the role: https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/jobs-execution-policy.html
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from cli.errors import UsageError
from job.contract.uris import bucket_and_key

if TYPE_CHECKING:
    from cli.infra.deploy import Deployed

MOST_CHARACTERS = 2048  # of executionIamPolicy.policy
WRITE = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
STREAMS = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]


def session_policy(source: str, target: str, deployed: Deployed) -> str:
    """
    Return the session policy as JSON without spaces, at most MOST_CHARACTERS.

    Raises:
        UsageError: it is longer, because INPUT or OUTPUT is long.
    """
    _, partition, _, _, account, _ = deployed.role_arn.split(":", 5)
    logs = f"arn:{partition}:logs:{deployed.region}:{account}"
    group = f"{logs}:log-group:{deployed.log_group}"
    statements = [
        *(_listing(partition, bucket, keys) for bucket, keys in _by_bucket(source, target).items()),
        _allow("s3:GetObject", _objects(partition, source)),
        _allow(WRITE, _objects(partition, target)),
        _allow("s3:PutObject", _objects(partition, f"s3://{deployed.bucket}/logs")),
        _allow("logs:DescribeLogGroups", f"{logs}:*"),  # takes no narrower resource than the account's Region
        _allow(STREAMS, [group, f"{group}:*"]),
    ]
    if deployed.key_arn:
        statements.append(_allow(["kms:Decrypt", "kms:GenerateDataKey"], deployed.key_arn))
    text = json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))
    if len(text) > MOST_CHARACTERS:
        raise UsageError(
            f"the session policy of the run has `{len(text)}` characters, the limit is {MOST_CHARACTERS}",
            "choose shorter prefixes for INPUT and OUTPUT",
        )
    return text


def _by_bucket(*uris: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for bucket, key in map(bucket_and_key, uris):
        found.setdefault(bucket, []).append(key)
    return found


def _listing(partition: str, bucket: str, keys: list[str]) -> dict[str, Any]:
    statement = _allow(["s3:ListBucket"], f"arn:{partition}:s3:::{bucket}")
    if all(keys):  # one that is the whole bucket is listed without any prefix
        prefixes = [pattern for key in map(_escaped, keys) for pattern in (key, f"{key}/*")]
        # IfExists: S3 answers 404 for an object that is not there only to a caller that may list, and a GET has no prefix; others get 403.
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        statement["Condition"] = {"StringLikeIfExists": {"s3:prefix": prefixes}}
    return statement


def _objects(partition: str, uri: str) -> str:
    bucket, key = bucket_and_key(uri)
    return f"arn:{partition}:s3:::{bucket}/{_escaped(key)}/*" if key else f"arn:{partition}:s3:::{bucket}/*"


def _escaped(key: str) -> str:
    """
    Escape wildcards in a key.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
    """
    return re.sub(r"[*?$]", lambda found: f"${{{found[0]}}}", key)


def _allow(actions: str | list[str], resources: str | list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources}
