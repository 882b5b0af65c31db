"""Refuse an option that the chosen target does not take, so that none is ignored."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import typer

from cli.errors import UsageError


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
