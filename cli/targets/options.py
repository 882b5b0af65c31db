"""An option of a run, declared once as a field of a dataclass: the parser, fruits.toml, help and the command for the next run read it."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import typer

from cli.errors import UsageError

F = TypeVar("F", bound=Callable[..., None])

TARGET, PCA, FEATURES, RELIABILITY = "Target", "PCA", "Features", "Reliability"
SIZE, EKS, OUTPUT = "Serverless size and cost", "EMR on EKS", "Output"
PANELS = (TARGET, PCA, FEATURES, RELIABILITY, SIZE, EKS, OUTPUT)  # of help, in this order


@dataclass(frozen=True)
class Option:
    """The facts of an option besides its name, type and default, which are the field's."""

    help: str
    panel: str
    flag: str | None = None  # None: the field's name
    metavar: str | None = None
    min: float | None = None
    max: float | None = None
    hidden: bool = False
    repeated: bool = True  # in the command for the next run, and as a setting in fruits.toml


@dataclass(frozen=True)
class Declared:
    """One option with its name on both sides."""

    name: str
    type: Any
    default: Any
    option: Option

    @property
    def flag(self) -> str:
        return self.option.flag or "--" + self.name.replace("_", "-")

    @property
    def choices(self) -> tuple[type, ...]:
        """The types of its values, without None."""
        return tuple(kind for kind in get_args(self.type) or (self.type,) if kind is not type(None))


def option(default: Any, help: str, panel: str, **facts: Any) -> Any:  # noqa: A002 - typer's own name for it
    """Declare a field of a dataclass as an option; `facts` are further fields of Option."""
    return field(default=default, metadata={"option": Option(help, panel, **facts)})


def _declared(kind: type) -> tuple[Declared, ...]:
    """Return the options of the dataclass `kind`, its own before those that it inherits."""
    types = get_type_hints(kind)
    named = [one for one in fields(kind) if "option" in one.metadata]
    named.sort(key=lambda one: one.name not in vars(kind).get("__annotations__", {}))
    return tuple(Declared(one.name, types[one.name], one.default, one.metadata["option"]) for one in named)


declared: Callable[[type], tuple[Declared, ...]] = cache(_declared)  # typed, as mypy takes type[Any] for not hashable


def words(values: Any) -> str:
    """Return the options of a dataclass `values` that differ from their defaults, as on a command line."""
    said = []
    for one in declared(type(values)):
        value = getattr(values, one.name)
        if one.option.repeated and value != one.default:
            said += [one.flag] if value is True else [one.flag, f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join(said)


def parameter(one: Declared, prefix: str = "") -> inspect.Parameter:
    """Return `one` as typer reads it from a signature; `prefix` comes before its help."""
    text = f"{prefix}: {one.option.help}" if prefix else f"{one.option.help[:1].upper()}{one.option.help[1:]}"
    facts = typer.Option(
        one.flag,
        help=text,
        metavar=one.option.metavar,
        min=one.option.min,
        max=one.option.max,
        hidden=one.option.hidden,
        rich_help_panel=one.option.panel,
    )
    return inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=Annotated[one.type, facts])


def takes(parameters: Collection[inspect.Parameter]) -> Callable[[F], F]:
    """Give a command whose last parameter is `**values` these parameters in its place."""

    def give(command: F) -> F:
        types = get_type_hints(command, include_extras=True)
        own = [
            one.replace(annotation=types[one.name])
            for one in inspect.signature(command).parameters.values()
            if one.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        command.__signature__ = inspect.Signature([*own, *parameters])  # type: ignore[attr-defined]
        return command

    return give


def check_table(kind: type, table: Mapping[str, Any], place: str) -> None:
    """
    Check a table of fruits.toml with options of `kind`; `place` names the table in errors.

    Raises:
        UsageError: an option is unknown, or its value has another type or is out of range.
    """
    known = {one.name: one for one in declared(kind) if one.option.repeated and not one.option.hidden}
    for name, value in table.items():
        if name not in known:
            raise UsageError(f"unknown option `{name}` in {place}", f"use {', '.join(known)}" if known else f"remove {place}")
        _check(known[name], value, place)


def _check(one: Declared, value: Any, place: str) -> None:
    wanted = one.choices
    fits = type(value) in wanted or (float in wanted and type(value) is int)
    least, most = one.option.min, one.option.max
    if not fits:
        raise UsageError(f"value of `{one.name}` in {place} is not {_kind(wanted)}: `{value}`", f"write it as {_kind(wanted)}")
    if (least is not None and value < least) or (most is not None and value > most):
        limits = [f"at least {least:g}"] if least is not None else []
        limits += [f"at most {most:g}"] if most is not None else []
        raise UsageError(f"value of `{one.name}` in {place} is out of range: `{value}`", f"give {' and '.join(limits)}")


def _kind(types: Collection[type]) -> str:
    names = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}
    return " or ".join(names[kind] for kind in types)
