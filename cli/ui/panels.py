"""Help with one section for each panel, where typer's plain help has one for all options."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class PanelCommand(TyperCommand):
    """A command whose options are grouped by `rich_help_panel`; those without one come last."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in sorted(self.get_params(ctx), key=_rank):
            if record := parameter.get_help_record(ctx):
                sections.setdefault(_panel(parameter), []).append(record)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)


class PanelGroup(TyperGroup):
    """A group whose commands are grouped by `rich_help_panel`."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, Any]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                panel = getattr(command, "rich_help_panel", None)
                sections.setdefault(panel if isinstance(panel, str) else "Commands", []).append((name, command))
        width = max(len(name) for rows in sections.values() for name, _ in rows)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(f"{name:<{width}}", command.get_short_help_str(formatter.width - 6 - width)) for name, command in rows]
                )


def _rank(parameter: Any) -> int:
    """Return the place of a parameter: arguments first, then panels, then the rest. The order within them stays."""
    return 0 if parameter.param_type_name == "argument" else 2 if _panel(parameter) == "Options" else 1


def _panel(parameter: Any) -> str:
    panel = getattr(parameter, "rich_help_panel", None)
    return panel if isinstance(panel, str) else "Arguments" if parameter.param_type_name == "argument" else "Options"
