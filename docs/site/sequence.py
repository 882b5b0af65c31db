"""
Draw sequence diagrams of Mermaid as SVG when the site is built: no script, no font, no request. Text goes in, HTML comes out.

It knows `autonumber`, `accTitle`, `participant A as Words`, `Note over A,B: words` and the arrows `->>` and `-->>`; anything else ends
the build. GitHub draws the same text itself. https://mermaid.js.org/syntax/sequenceDiagram.html
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from html import escape

FENCE = re.compile(r"^```mermaid\nsequenceDiagram\n(.*?)^```$", re.S | re.M)
PARTICIPANT = re.compile(r"participant (\w+) as (.+)")
MESSAGE = re.compile(r"(\w+)(--?>>)(\w+): ?(.+)")
NOTE = re.compile(r"Note over (\w+)(?:,(\w+))?: ?(.+)")
COLUMN, LINE, HEAD, PADDING = 122, 17, 46, 16  # pixels


@dataclass
class Diagram:
    """The lines of a diagram, as far as they are read."""

    title: str = ""
    numbered: bool = False
    names: dict[str, str] = field(default_factory=dict)  # participant -> words, from left to right
    rows: list[tuple[str, str, str, str]] = field(default_factory=list)  # from, to, kind (`->>`, `-->>` or `note`), words


def drawn(markdown: str) -> str:
    """Return `markdown` with every sequence diagram as a picture."""
    return FENCE.sub(lambda found: svg(read(found.group(1))), markdown)


def read(text: str) -> Diagram:
    """
    Read the lines after `sequenceDiagram`.

    Raises:
        ValueError: a line is not known, or names a participant that is not declared.
    """
    diagram = Diagram()
    for line in filter(None, map(str.strip, text.splitlines())):
        if line == "autonumber":
            diagram.numbered = True
        elif line.startswith("accTitle:"):
            diagram.title = line.partition(":")[2].strip()
        elif found := PARTICIPANT.fullmatch(line):
            diagram.names[found[1]] = found[2]
        elif found := NOTE.fullmatch(line):
            diagram.rows.append((found[1], found[2] or found[1], "note", found[3]))
        elif found := MESSAGE.fullmatch(line):
            diagram.rows.append((found[1], found[3], found[2], found[4]))
        else:
            raise ValueError(f"`{line}` is not known to docs/site/sequence.py")
    if unknown := {name for row in diagram.rows for name in row[:2]} - set(diagram.names):
        raise ValueError(f"`{', '.join(sorted(unknown))}` is not a participant")
    return diagram


def svg(diagram: Diagram) -> str:
    """Return the picture in a box that scrolls sideways. Colours are those of the theme, light and dark."""
    x = {name: COLUMN // 2 + COLUMN * number for number, name in enumerate(diagram.names)}
    top, number, parts = HEAD + PADDING, 0, list[str]()
    for source, target, kind, words in diagram.rows:
        if kind != "note":
            number += 1
            words = f"{number}. {words}" if diagram.numbered else words
        part, height = (note if kind == "note" else message)(x[source], x[target], kind, words, top)
        parts.append(part)
        top += height
    width = COLUMN * len(x)
    lines = "".join(f'<path class="life" d="M{here} {HEAD}V{top}"/>' for here in x.values())
    heads = "".join(
        f'<rect class="head" x="{x[name] - COLUMN // 2 + 4}" y="2" width="{COLUMN - 8}" height="{HEAD - 6}" rx="6"/>'
        + written(words, x[name], HEAD // 2 + 4, "name")
        for name, words in diagram.names.items()
    )
    marker = '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
    marker += '<path d="M0 0 10 5 0 10z"/></marker></defs>'
    picture = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top + PADDING}" width="{width}" role="img"'
    picture += f' aria-label="{escape(diagram.title)}">{marker}{lines}{heads}{"".join(parts)}</svg>'
    return f'<div class="sequence md-typeset__scrollwrap">{picture}</div>'


def message(start: int, end: int, kind: str, words: str, top: int) -> tuple[str, int]:
    """Return an arrow below its words, and its height."""
    middle, room = (start + end) // 2, max(abs(end - start), COLUMN)
    lines = textwrap.wrap(words, room // 7)
    text = "".join(written(line, middle, top + LINE * (number + 1) - 4) for number, line in enumerate(lines))
    y = top + LINE * len(lines) + 4
    dashed = ' stroke-dasharray="6 4"' if kind == "-->>" else ""
    way = f"M{start} {y}H{end}" if start != end else f"M{start} {y}h26v12h-24"
    return f'<path class="arrow" marker-end="url(#tip)" d="{way}"{dashed}/>{text}', LINE * len(lines) + (30 if start == end else 18)


def note(start: int, end: int, kind: str, words: str, top: int) -> tuple[str, int]:
    """Return a box with words over the lines from `start` to `end`, and its height."""
    left, right = min(start, end) - COLUMN // 2 + 10, max(start, end) + COLUMN // 2 - 10
    lines = textwrap.wrap(words, (right - left - 12) // 7)
    box = f'<rect class="note" x="{left}" y="{top}" width="{right - left}" height="{LINE * len(lines) + 10}" rx="4"/>'
    middle = (left + right) // 2
    return box + "".join(written(line, middle, top + LINE * (n + 1) + 1) for n, line in enumerate(lines)), LINE * len(lines) + 22


def written(words: str, x: int, y: int, kind: str = "words") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(words)}</text>'
