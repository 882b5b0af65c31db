"""Every target of a run, in the order of help; which one a command line or fruits.toml chooses; which options belong to it."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any

import typer

from cli.errors import UsageError
from cli.settings.config import Settings
from cli.targets.base import Target, TargetOptions
from cli.targets.options import PANELS, TARGET, Declared, check_table, declared, parameter

ROWS = (
    "cli.targets.local.target:Local",
    "cli.targets.compose.target:Compose",
    "cli.targets.submit.target:Submit",
    "cli.targets.emr_serverless.target:EmrServerless",
    "cli.targets.emr_eks.target:EmrEks",
)
TARGETS: tuple[Target[Any, Any], ...] = tuple(getattr(import_module(module), name)() for module, name in (row.split(":") for row in ROWS))


def named(name: str) -> Target[Any, Any]:
    """Return the target of that name. Raises UsageError if there is none."""
    found = next((target for target in TARGETS if target.name == name), None)
    if found is None:
        raise UsageError(f"unknown target `{name}`", f"use {_listed([target.name for target in TARGETS])}")
    return found


def chosen(values: Mapping[str, Any], config: Settings) -> Target[Any, Any]:
    """
    Return the one target whose flag is set, without a flag that of the settings.

    Raises:
        UsageError: no target is given, more than one, or an unknown one.
    """
    targets = [target for target in TARGETS if values[target.name]]
    if len(targets) > 1:
        raise UsageError(f"{', '.join(f'`--{target.name}`' for target in targets)} cannot be combined", "choose one target")
    if targets:
        return targets[0]
    if config.target:
        return named(config.target)
    raise UsageError("no target given", f"add {_listed([f'--{target.name}' for target in TARGETS if target.offered])}")


def options_of(target: Target[Any, Any], values: Mapping[str, Any], given: Collection[str], config: Settings) -> TargetOptions:
    """
    Return the options of `target`: those on the command line, then those of its table in fruits.toml, then defaults.

    Args:
        target: the chosen one.
        values: every value of the command line.
        given: the names of those that are on it.
        config: has the tables.

    Raises:
        UsageError: a table is not of a target, has an unknown option, or a value of another type.
    """
    for name in config.tables:
        check_table(named_table(name).options, config.tables[name], f"`[{name}]` of fruits.toml")
    table = config.tables.get(target.name, {})
    own = {one.name: values[one.name] for one in declared(target.options) if one.name in values}
    return target.options(**{**own, **{name: value for name, value in table.items() if name not in given}})  # type: ignore[no-any-return]


def named_table(name: str) -> Target[Any, Any]:
    """Return the target whose options the table `name` of fruits.toml has. Raises UsageError if there is none."""
    try:
        return named(name)
    except UsageError as error:
        names = [f"[{target.name}]" for target in TARGETS]
        raise UsageError(f"unknown table `[{name}]` in fruits.toml", f"use {_listed(names)}") from error


def taken_by(also: Collection[str] = ()) -> dict[str, frozenset[str]]:
    """Return each option with the flags of the targets that take it: those of `also` by all."""
    every = frozenset(f"--{target.name}" for target in TARGETS)
    table = dict.fromkeys(also, every)
    for one in options():
        table[one.name] = frozenset(f"--{target.name}" for target in takers(one))
    return table


def takers(one: Declared) -> list[Target[Any, Any]]:
    """Return the targets that take an option."""
    return [target for target in TARGETS if any(own.name == one.name for own in declared(target.options))]


def options() -> Iterator[Declared]:
    """Yield every option of every target once."""
    found = {one.name: one for target in TARGETS for one in declared(target.options)}
    yield from found.values()


def parameters(common: type | None = None, only: Collection[str] | None = None, prefix: str | None = None) -> list[inspect.Parameter]:
    """
    Return what a command takes for its targets, in the order of the panels of help.

    Args:
        common: a dataclass with options that every target takes.
        only: the options of targets that the command has; None: all, and a flag for each target.
        prefix: of the help of `only`; None: the targets that take an option.
    """
    flags = [_flag(target) for target in TARGETS] if only is None else []
    own = [parameter(one) for one in declared(common)] if common else []
    own += [parameter(one, _prefix(one) if prefix is None else prefix) for one in options() if only is None or one.name in only]
    return [*flags, *sorted(own, key=lambda one: PANELS.index(one.annotation.__metadata__[0].rich_help_panel))]


def _flag(target: Target[Any, Any]) -> inspect.Parameter:
    facts = typer.Option(f"--{target.name}", help=target.help, rich_help_panel=TARGET)
    return inspect.Parameter(target.name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, facts])


def _prefix(one: Declared) -> str:
    """Return `With --serverless or --eks`, nothing for an option that every target takes."""
    found = takers(one)
    if len(found) == len(TARGETS):
        return ""
    named_here = [target for target in found if target.offered] or found
    return f"With {' or '.join(f'--{target.name}' for target in named_here)}"


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
