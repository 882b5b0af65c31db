"""Generate the reference pages from the code: the repository's root goes in, {path below docs/: Markdown} comes out. Only imports run."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import typer.main
from pyspark.sql.pandas.types import from_arrow_schema

import cli.errors
import job.contract.errors
from cli.commands.app import app, main
from job.contract import records
from job.contract.params import Params
from job.storage import schema

MADE = "<!-- generated from {source} when the site is built -->\n\n"


def pages(root: Path) -> dict[str, bytes]:
    """Return {path below docs/: content} of each generated page."""
    made = {
        "commands": commands(),
        "parameters": parameters(root),
        "files": files(root),
        "errors": errors(),
    }
    return {f"reference/{name}.md": text.encode() for name, text in made.items()}


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join("| " + " | ".join(escaped(cell) for cell in line) + " |" for line in lines) + "\n"


def escaped(cell: str) -> str:
    """Return `cell` on one line. A pipe would end the cell, except between backticks."""
    return "".join(part if i % 2 else part.replace("|", "\\|") for i, part in enumerate(re.split(r"(`[^`]*`)", cell.replace("\n", " "))))


def plain(text: str) -> str:
    """Return help text as Markdown. Outside of backticks, angle brackets, stars and underscores are literal."""
    return "".join(
        part if i % 2 else re.sub(r"([*_\[])", r"\\\1", part).replace("<", "&lt;") for i, part in enumerate(re.split(r"(`[^`]*`)", text))
    )


def commands() -> str:
    text = MADE.format(source="every command's `--help`") + "# Commands\n\nThe `--help` text of every command.\n"
    root = typer.main.get_command(app)
    context = root.context_class(root, info_name="fruitsctl")
    found = [pair for pair in walk(root, context) if pair[0] is not root]
    text += "\n" + table(
        ("command", "description"),
        [(f"[`{context.command_path}`](#{anchor(context.command_path)})", plain(summary(command))) for command, context in found],
    )
    for command, context in found:
        text += f"\n## `{context.command_path}` {{ #{anchor(context.command_path)} }}\n\n```text\n{command.get_usage(context)}\n```\n\n"
        text += plain(textwrap.dedent(command.help or "")) + "\n\n"
        if command.epilog:
            text += "```sh\n" + "\n".join(line.strip() for line in command.epilog.splitlines() if line.startswith("  ")) + "\n```\n\n"
        rows = [record for parameter in command.get_params(context) if (record := parameter.get_help_record(context))]
        text += table(("argument or option", "description"), [(f"`{name}`", plain(words)) for name, words in rows])
    return text


def walk(command: Any, context: Any) -> Iterator[tuple[Any, Any]]:
    """Yield `command` and its visible subcommands, each with the context that has its full name."""
    yield command, context
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield from walk(child, child.context_class(child, info_name=name, parent=context))


def summary(command: Any) -> str:
    return (command.help or "").strip().partition("\n\n")[0].replace("\n", " ")


def anchor(path: str) -> str:
    return path.replace(" ", "-")


def fields_of(cls: type, source: Path) -> list[tuple[str, str, str, str]]:
    """Return name, type, default and comment of each field of a dataclass in `source`."""
    text = source.read_text(encoding="utf-8")
    lines = text.splitlines()
    node = next(n for n in ast.parse(text).body if isinstance(n, ast.ClassDef) and n.name == cls.__name__)
    rows = []
    for field in node.body:
        if isinstance(field, ast.AnnAssign):
            default = ast.unparse(field.value) if field.value else ""
            made = re.fullmatch(r"field\(default_factory=(\w+)\)", default)
            default = {"list": "[]", "dict": "{}"}[made.group(1)] if made else default
            comment = lines[(field.end_lineno or 0) - 1].partition("  # ")[2]
            rows.append((ast.unparse(field.target), ast.unparse(field.annotation), default, comment))
    return rows


def field_table(cls: type, source: Path) -> str:
    rows = [
        (f"`{name}`", f"`{kind}`", f"`{default}`" if default else "", plain(words)) for name, kind, default, words in fields_of(cls, source)
    ]
    return table(("field", "type", "default", "description"), rows)


def parameters(root: Path) -> str:
    text = MADE.format(source="`job/contract/params.py`") + "# Job arguments\n\n"
    text += "`fruitsctl run` passes these arguments to the job, on every target.\n"
    text += "A field that is set becomes `--name=value`, with `-` for `_`.\n"
    text += "A run's `manifest.json` has them under `params`, so that you can repeat the run.\n\n"
    return text + field_table(Params, root / "job" / "contract" / "params.py")


def files(root: Path) -> str:
    text = MADE.format(source="`job/storage/schema.py` and `job/contract/records.py`") + "# Tables and JSON files\n\n"
    text += "Columns and fields of the files that [Output of a run](output.md) lists.\n\n## Tables\n"
    for name, words, columns in schemas(root):
        text += f"\n### `{name}`\n\n{plain(words)}\n\n"
        rows = [(f"`{column.name}`", f"`{column.dataType.simpleString()}`") for column in from_arrow_schema(columns)]
        text += table(("column", "type"), rows)
    text += "\n## `manifest.json`\n\n" + field_table(records.Manifest, root / "job" / "contract" / "records.py")
    text += "\nEach entry of `stages` has:\n\n" + field_table(records.Stage, root / "job" / "contract" / "records.py")
    stages = table(("key", "stage"), [(f"`{key}`", words) for key, words in records.STAGES.items()])
    text += f"\n{stages}\n## `outcome.json`\n\nA failed run writes this file too.\n\n" + field_table(
        records.Outcome, root / "job" / "contract" / "records.py"
    )
    return text


def schemas(root: Path) -> Iterator[tuple[str, str, pa.Schema]]:
    """Yield name, comment and columns of each table of job/storage/schema.py."""
    source = (root / "job" / "storage" / "schema.py").read_text(encoding="utf-8")
    for comment, name in re.findall(r"^# (.+)\n([A-Z_]+) = ", source, re.M):
        yield name, comment, getattr(schema, name)


def errors() -> str:
    text = MADE.format(source="`cli/errors.py` and `job/contract/errors.py`") + "# Errors and exit codes\n\n"
    text += f"{(main.__doc__ or '').strip()}\n\n"
    text += "stderr has the error, with the value in backticks, and one hint. stdout has data only.\n"
    for title, module in (("The command", cli.errors), ("The job", job.contract.errors)):
        text += f"\n## {title}\n\n" + table(("error", "exit code", "when"), list(tree(module.__doc__ or "")))
    return text + "\nEvery target returns the exit code and the message of the job unchanged.\n"


def tree(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, exit code (its own or its parent's) and cause of each line of a module's tree of errors."""
    codes: dict[int, str] = {}
    for line in re.findall(r"^.*Error {2,}.+$", text, re.M):
        branch, name, own, words = re.fullmatch(r"([\s├└│─]*)(\w+) {2,}(?:code (\d): )?(.+)", line).groups()
        parents = [depth for depth in codes if depth < len(branch)]
        codes[len(branch)] = own or codes[max(parents)]
        codes = {depth: code for depth, code in codes.items() if depth <= len(branch)}
        yield f"`{name}`", codes[len(branch)], plain(words)
