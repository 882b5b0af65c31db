"""
Draw the folders of `job` and `cli` and the imports between them as a Mermaid diagram.

`python docs/site/code_map.py` writes it into the code map. An import that follows from others (a -> b -> c has a -> c) is not drawn.
"""

from __future__ import annotations

import re
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "contributing" / "code-map.md"
PACKAGES = ("cli", "job")
DIAGRAM = re.compile(r"(?s)```mermaid\n.*?```")

Edges = set[tuple[str, str]]


def diagram() -> str:
    """Return the diagram as a fenced block of Markdown."""
    edges = imports()
    lines = ["```mermaid", "flowchart TD"]
    for package in PACKAGES:
        rooms = sorted({one for edge in edges for one in edge if one.startswith(f"{package}.")})
        lines += [f"  subgraph {package}", *(f'    {named(room)}["{room.partition(".")[2]}"]' for room in rooms), "  end"]
    lines += [f"  {named(importer)} --> {named(imported)}" for importer, imported in sorted(reduced(edges))]
    return "\n".join([*lines, "```"])


def imports() -> Edges:
    """Return (importer, imported) for folders, and modules beside them, of the two packages."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    edges = {(room(one), room(other)) for one in graph.modules for other in graph.find_modules_directly_imported_by(one)}
    return {(one, other) for one, other in edges if one != other and "." in one and "." in other}


def room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def named(room: str) -> str:
    """Return the name of `room` in the diagram."""
    return room.replace(".", "_")


def reduced(edges: Edges) -> Edges:
    """Return `edges` without those that a longer way replaces."""
    return {(one, other) for one, other in edges if other not in reached(one, edges - {(one, other)})}


def reached(start: str, edges: Edges) -> set[str]:
    found, waiting = set[str](), [start]
    while waiting:
        here = waiting.pop()
        new = {other for one, other in edges if one == here} - found
        found |= new
        waiting += new
    return found


if __name__ == "__main__":
    PAGE.write_text(DIAGRAM.sub(lambda _: diagram(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
