"""`fruitsctl init`: a commented fruits.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.aws.regions import refuse_outside_eu
from cli.errors import UsageError
from cli.settings.config import FILE, example
from cli.ui.output import emit
from job.contract.uris import from_text


def init(
    input: Annotated[str | None, typer.Option(metavar="INPUT", help="Photos, for all runs from here.")] = None,  # noqa: A002
    output: Annotated[str | None, typer.Option(metavar="OUTPUT", help="What receives features and runs.")] = None,
    region: Annotated[str | None, typer.Option(help="AWS Region, in the European Union.")] = None,
    profile: Annotated[str | None, typer.Option(help="AWS profile.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file that is there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print it, write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")] = False,
) -> None:
    """Write a fruits.toml here, every setting explained."""
    if region:
        refuse_outside_eu(region)
    for place in (input, output):
        if place:
            from_text(place)  # an address of another kind is refused now, not by the first run
    text = example({"input": input, "output": output, "region": region, "profile": profile})
    if dry_run:
        emit({"file": FILE, "text": text}, text.rstrip(), as_json)
        return
    try:
        with open(FILE, "w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"`{FILE}` already exists", "edit it, or add --force") from error
    except OSError as error:
        raise UsageError(f"cannot write `{Path.cwd() / FILE}`: {error.strerror}", "change to a writable folder") from error
    emit({"file": FILE}, f"wrote {FILE}", as_json)
