"""A session policy held against recorded requests to S3: what each would need of IAM, and whether the policy allows it. Path style only."""

import json
import re
from urllib.parse import parse_qs, unquote

OBJECT_ACTIONS = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "POST": "s3:PutObject", "DELETE": "s3:DeleteObject"}


def needs(head):
    """
    (action, resource, prefix) of each permission that the request `head` (tests.s3.proxy.Head) needs. The keys of a DeleteObjects
    are in its body: its resource is None.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
    """
    method, target, _ = head.start
    path, _, query = target.partition("?")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    asked = parse_qs(query, keep_blank_values=True)
    arn = f"arn:aws:s3:::{bucket}"
    if not key:
        if "delete" in asked:
            return [("s3:DeleteObject", None, None)]
        known = {"location": "s3:GetBucketLocation", "uploads": "s3:ListBucketMultipartUploads"}
        action = next((known[name] for name in known if name in asked), "s3:ListBucket")
        return [(action, arn, asked.get("prefix", [""])[0] if method == "GET" else None)]
    action = "s3:AbortMultipartUpload" if method == "DELETE" and "uploadId" in asked else OBJECT_ACTIONS[method]
    source = unquote(head.headers.get("x-amz-copy-source", "")).removeprefix("/")
    copied = [("s3:GetObject", f"arn:aws:s3:::{source}", None)] if source else []
    # Without it what is not there is answered with 403: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    missing = [("s3:ListBucket", arn, None)] if method in ("GET", "HEAD") else []
    return [(action, f"{arn}/{key}", None), *copied, *missing]


def allows(policy, action, resource, prefix):
    """Whether `policy` (JSON) has a statement for it; of conditions it knows StringLikeIfExists on s3:prefix."""
    return any(_matches(statement, action, resource, prefix) for statement in json.loads(policy)["Statement"])


def _matches(statement, action, resource, prefix):
    if action not in _list(statement["Action"]):
        return False
    if resource is not None and not any(_like(pattern, resource) for pattern in _list(statement["Resource"])):
        return False
    condition = dict(statement.get("Condition", {}))
    patterns = condition.pop("StringLikeIfExists", {}).get("s3:prefix")
    return not condition and (patterns is None or prefix is None or any(_like(pattern, prefix) for pattern in patterns))


def _like(pattern, text):
    """IAM's wildcards; `${*}` is a plain asterisk: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html"""
    parts = re.findall(r"\$\{([*?$])\}|(\*)|(\?)|([^*?$]+)", pattern)
    expression = "".join(re.escape(plain or text) if plain or text else ".*" if many else "." for plain, many, _, text in parts)
    return re.fullmatch(expression, text, re.S) is not None


def _list(value):
    return value if isinstance(value, list) else [value]
