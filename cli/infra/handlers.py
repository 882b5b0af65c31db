"""
List the actions that CloudFormation needs for the properties in our templates, by service.

A part of `handlers.*.permissions` of each type's schema.
"""

from __future__ import annotations


def _of(service: str, names: str) -> tuple[str, ...]:
    return tuple(f"{service}:{name}" for name in names.split())


HANDLERS = {
    "s3": _of(
        "s3",
        "CreateBucket DeleteBucket ListBucket GetBucketTagging PutBucketTagging TagResource UntagResource ListTagsForResource "
        "GetEncryptionConfiguration PutEncryptionConfiguration GetLifecycleConfiguration PutLifecycleConfiguration GetBucketVersioning "
        "PutBucketVersioning GetBucketPublicAccessBlock PutBucketPublicAccessBlock GetBucketOwnershipControls PutBucketOwnershipControls "
        "GetBucketPolicy PutBucketPolicy DeleteBucketPolicy",
    ),
    "ecr": _of(
        "ecr",
        "CreateRepository DeleteRepository DescribeRepositories GetLifecyclePolicy PutLifecyclePolicy DeleteLifecyclePolicy "
        "GetRepositoryPolicy SetRepositoryPolicy DeleteRepositoryPolicy PutImageScanningConfiguration PutImageTagMutability TagResource "
        "UntagResource ListTagsForResource BatchGetImage DescribeImages GetDownloadUrlForLayer",
    ),
    "iam": _of(
        "iam",
        "CreateRole DeleteRole GetRole UpdateRole UpdateRoleDescription UpdateAssumeRolePolicy PutRolePolicy GetRolePolicy "
        "DeleteRolePolicy ListRolePolicies ListAttachedRolePolicies TagRole UntagRole",
    ),
    "logs": _of(
        "logs",
        "CreateLogGroup DeleteLogGroup PutRetentionPolicy DeleteRetentionPolicy AssociateKmsKey DisassociateKmsKey TagResource "
        "UntagResource ListTagsForResource GetDataProtectionPolicy DescribeIndexPolicies",
    ),
    "kms": _of(
        "kms",
        "DescribeKey EnableKeyRotation DisableKeyRotation GetKeyPolicy PutKeyPolicy GetKeyRotationStatus ListResourceTags UntagResource "
        "UpdateKeyDescription ScheduleKeyDeletion CreateGrant RetireGrant",
    ),
    "emr-serverless": _of("emr-serverless", "GetApplication UpdateApplication DeleteApplication UntagResource"),
    "ec2": _of(
        "ec2",
        "CreateVpc DeleteVpc ModifyVpcAttribute CreateSubnet DeleteSubnet ModifySubnetAttribute CreateRouteTable DeleteRouteTable "
        "AssociateRouteTable DisassociateRouteTable ReplaceRouteTableAssociation CreateSecurityGroup DeleteSecurityGroup "
        "AuthorizeSecurityGroupEgress RevokeSecurityGroupEgress AuthorizeSecurityGroupIngress RevokeSecurityGroupIngress CreateVpcEndpoint "
        "ModifyVpcEndpoint DeleteVpcEndpoints CreateNetworkInterface CreateTags DeleteTags DescribeVpcs DescribeVpcAttribute "
        "DescribeSubnets DescribeNetworkAcls DescribeRouteTables DescribeSecurityGroups DescribeVpcEndpoints DescribeInstances",
    ),
    "budgets": _of("budgets", "ModifyBudget ViewBudget TagResource UntagResource ListTagsForResource"),
}
