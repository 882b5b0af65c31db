"""
Make the IAM policies for the user of fruitsctl and for the role that CloudFormation assumes. Pure.

Their statements are in templates/policies.toml.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from string import Template
from typing import Any


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
    schedule: bool = False
    alarm: bool = False


@dataclass(frozen=True)
class Statement:
    """One statement of a policy, with the reason for it."""

    sid: str
    why: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Mapping[str, Any]]


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
    return _statements("operator", scope)


def deployer(scope: Scope) -> list[Statement]:
    """Return the policy of CloudFormation's role: creates, changes and deletes what the templates name, and nothing else."""
    return _statements("deployer", scope)


def _statements(who: str, scope: Scope) -> list[Statement]:
    text = (files("cli.infra") / "templates" / "policies.toml").read_text(encoding="utf-8")
    names = {name: json.dumps(value)[1:-1] for name, value in asdict(scope).items() if isinstance(value, str)}  # quoted as in TOML
    return [
        Statement(
            row["sid"],
            row["why"],
            tuple(f"{row['service']}:{name}" for name in row["actions"].split()),
            tuple(row["resources"]),
            row.get("condition", {}),
        )
        for row in tomllib.loads(Template(text).substitute(names))[who]
        if "only_with" not in row or getattr(scope, row["only_with"])
    ]
