"""Refuse an option that the chosen target does not take, so that none is ignored. Each command has its own table of options."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

import typer

from cli.errors import UsageError


class Target(StrEnum):
    """Where a run can happen, as its option on the command line."""

    LOCAL = "--local"
    COMPOSE = "--compose"
    SUBMIT = "--submit"
    SERVERLESS = "--serverless"
    EKS = "--eks"


LOCAL, COMPOSE, SUBMIT, SERVERLESS, EKS = Target
EVERY = frozenset(Target)

# The options of `run` by the name of their parameter. A test fails if one is missing here.
RUN: dict[str, frozenset[Target]] = {
    "input": EVERY,
    "output": EVERY,
    "components": EVERY,
    "variance": EVERY,
    "standardize": EVERY,
    "fit_on": EVERY,
    "pca": EVERY,
    "model": EVERY,
    "engine": EVERY,
    "max_reject_ratio": EVERY,
    "retry_rejects": EVERY,
    "limit": EVERY,
    "chunk_images": EVERY,
    "keep_runs": EVERY,
    "lease_seconds": EVERY,
    "run_id": EVERY,
    "dry_run": EVERY,
    "as_json": EVERY,
    "weights": frozenset({LOCAL, SUBMIT}),  # the image has its own
    "content_hash": frozenset({LOCAL, SUBMIT}),  # S3 has an ETag for each photo
    "detach": frozenset({SERVERLESS, EKS}),
    "executors": frozenset({SERVERLESS, EKS}),
    "attempts": frozenset({SERVERLESS, EKS}),
    "max_cost": frozenset({SERVERLESS}),  # EKS bills nodes, not runs
    "timeout": frozenset({SERVERLESS}),  # StartJobRun of EMR on EKS has none
    "executor_memory": frozenset({SERVERLESS}),
    "images": frozenset({SERVERLESS}),
    "deadline": frozenset({SERVERLESS}),
    "yes": frozenset({SERVERLESS}),
    "virtual_cluster": frozenset({EKS}),
    "execution_role": frozenset({EKS}),
    "image": frozenset({EKS}),
    "log_group": frozenset({EKS}),
}


def chosen(flags: Mapping[Target, bool]) -> Target:
    """
    Return the one target whose flag is set.

    Raises:
        UsageError: no target is given, or more than one.
    """
    targets = [target for target, is_set in flags.items() if is_set]
    if not targets:
        raise UsageError("no target given", "add --local, --compose, --serverless or --eks")
    if len(targets) > 1:
        raise UsageError(f"{_quoted(targets)} cannot be combined", "choose one target")
    return targets[0]


def refuse_foreign(context: typer.Context, place: str, taken_by: Mapping[str, Collection[str]]) -> None:
    """
    Check the options on the command line; defaults, the environment and fruits.toml are not looked at.

    Args:
        context: of the command that is running.
        place: the chosen target, as `taken_by` names it: an option, or a noun.
        taken_by: parameter to the targets that take it; a parameter that is missing belongs to all.

    Raises:
        UsageError: an option does not belong to `place`.
    """
    foreign = {flag: taken_by[name] for name, flag in given(context).items() if place not in taken_by.get(name, (place,))}
    if not foreign:
        return
    homes = ", ".join(f"{flag} needs {' or '.join(sorted(targets))}" for flag, targets in foreign.items())
    here = f"`{place}`" if place.startswith("--") else place
    raise UsageError(f"{_quoted(foreign)} cannot be used with {here}", f"remove {'it' if len(foreign) == 1 else 'them'}: {homes}")


def given(context: typer.Context) -> dict[str, str]:
    """Return the parameters that are on the command line, each with its name there."""
    found = {}
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        if source is not None and source.name == "COMMANDLINE":
            found[str(parameter.name)] = next(
                (name for name in parameter.opts if name.startswith("--")), parameter.human_readable_name.upper()
            )
    return found


def _quoted(names: Collection[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
