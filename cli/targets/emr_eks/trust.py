"""What the execution role must trust, so that a job's pods in a virtual cluster's namespace can assume it (IRSA)."""

from __future__ import annotations

from typing import Any

from cli.aws.errors import client, translate_aws_errors
from cli.errors import UsageError

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(text: str) -> str:
    """
    Return the text's bytes as one number in base 36, as EMR names its service accounts.

    https://docs.aws.amazon.com/cli/latest/reference/emr-containers/update-role-trust-policy.html
    """
    number, digits = int.from_bytes(text.encode(), "big"), ""
    while number:
        number, rest = divmod(number, 36)
        digits = DIGITS[rest] + digits
    return digits or "0"


def trust_policy(partition: str, account: str, issuer: str, namespace: str, role_name: str) -> dict[str, Any]:
    """
    Return the trust policy: only pods that EMR starts for this role may assume it, and only with an STS token.

    `issuer` is the cluster's OIDC issuer, with or without https://.
    """
    provider = issuer.removeprefix("https://")
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": f"arn:{partition}:iam::{account}:oidc-provider/{provider}"},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {f"{provider}:aud": "sts.amazonaws.com"},
                    "StringLike": {
                        f"{provider}:sub": f"system:serviceaccount:{namespace}:emr-containers-sa-*-*-{account}-{base36(role_name)}"
                    },
                },
            }
        ],
    }


def trust_of(session: Any, region: str, virtual_cluster_id: str, role_name: str) -> dict[str, Any]:
    """
    Return the trust policy for an existing virtual cluster.

    Raises:
        RefusedError: `region` is outside the European Union.
        UsageError: its cluster has no OIDC issuer.
        FruitsError: no credentials, or AWS refuses.
    """
    with translate_aws_errors("emr-containers:DescribeVirtualCluster"):
        virtual = client(session, "emr-containers", region).describe_virtual_cluster(id=virtual_cluster_id)["virtualCluster"]
    provider = virtual["containerProvider"]
    with translate_aws_errors("eks:DescribeCluster"):
        cluster = client(session, "eks", region).describe_cluster(name=provider["id"])["cluster"]
    issuer = cluster.get("identity", {}).get("oidc", {}).get("issuer")
    if not issuer:
        raise UsageError(
            f"cluster `{provider['id']}` has no OIDC issuer",
            f"run `eksctl utils associate-iam-oidc-provider --approve --region {region} --cluster {provider['id']}`",
        )
    _, partition, _, _, account, _ = cluster["arn"].split(":", 5)
    return trust_policy(partition, account, issuer, provider["info"]["eksInfo"]["namespace"], role_name)
