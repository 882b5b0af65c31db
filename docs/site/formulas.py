r"""
Convert the formulas of a page to MathML, which browsers draw without a script, a font or a request.

HTML goes in, HTML comes out. arithmatex marks the formulas. The module knows the TeX commands that the pages use; an
unknown command fails the build. https://www.w3.org/TR/mathml-core/
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

MARKED = re.compile(r'<(?:span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</(?:span|div)>', re.S)
TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|[0-9.]+|\S")
OPEN, CLOSE, SCRIPTS = "{", "}", "^_"
LETTERS = {"lambda": "λ", "mu": "μ", "sigma": "σ", "Sigma": "Σ", "alpha": "α", "epsilon": "ε", "theta": "θ", "top": "⊤"}
SIGNS = {"sum": "∑", "ge": "≥", "le": "≤", "cdot": "·", "times": "×", "dots": "…", "cdots": "⋯", "approx": "≈", "in": "∈", "to": "→"}
SPACES = {"qquad": "2em", "quad": "1em", ",": "0.17em", ";": "0.28em", " ": "0.25em"}
ACCENTS = {"bar": "¯", "hat": "^"}


def drawn(page: str) -> str:
    """Return `page` with every marked formula as MathML. The annotation keeps the TeX, for copying."""
    return MARKED.sub(lambda found: mathml(html.unescape(found.group(2)).strip(), block=found.group(1) == "["), page)


def mathml(tex: str, block: bool = False) -> str:
    """
    Return a formula as a <math> element.

    Raises:
        ValueError: `tex` has a command or a brace that this module does not know.
    """
    tokens = iter(TOKEN.findall(tex))
    body = row(tokens, block)
    display = ' display="block"' if block else ""
    note = f'<annotation encoding="application/x-tex">{html.escape(tex)}</annotation>'
    math = f"<math{display}><semantics>{body}{note}</semantics></math>"
    return f'<div class="formula">{math}</div>' if block else math


def row(tokens: Iterator[str], block: bool, until: str | None = None) -> str:
    """Convert the tokens up to `until`. ^ and _ bind the atoms before and after them."""
    parts: list[str] = []
    scripts: dict[int, dict[str, str]] = {}
    for token in tokens:
        if token == until:
            break
        if token in SCRIPTS and parts:
            scripts.setdefault(len(parts) - 1, {})[token] = atom(next(tokens), tokens, block)
        else:
            parts.append(atom(token, tokens, block))
    else:
        if until:
            raise ValueError(f"`{until}` is missing")
    return "<mrow>" + "".join(scripted(part, scripts.get(i, {}), block) for i, part in enumerate(parts)) + "</mrow>"


def scripted(base: str, scripts: dict[str, str], block: bool) -> str:
    below, above = scripts.get("_"), scripts.get("^")
    kind = ("munder", "mover", "munderover") if block and "∑" in base else ("msub", "msup", "msubsup")
    if below and above:
        return f"<{kind[2]}>{base}{below}{above}</{kind[2]}>"
    if below or above:
        tag = kind[0] if below else kind[1]
        return f"<{tag}>{base}{below or above}</{tag}>"
    return base


def atom(token: str, tokens: Iterator[str], block: bool) -> str:
    if token == OPEN:
        return row(tokens, block, until=CLOSE)
    if token.startswith("\\"):
        return command(token[1:], tokens, block)
    if token[0].isdigit():
        return f"<mn>{token}</mn>"
    return f"<mi>{token}</mi>" if token.isalpha() else f"<mo>{html.escape({'-': '−'}.get(token, token))}</mo>"


def command(name: str, tokens: Iterator[str], block: bool) -> str:
    if name == "frac":
        return f"<mfrac>{atom(next(tokens), tokens, block)}{atom(next(tokens), tokens, block)}</mfrac>"
    if name in ACCENTS:
        return f'<mover accent="true">{atom(next(tokens), tokens, block)}<mo>{ACCENTS[name]}</mo></mover>'
    if name in SPACES:
        return f'<mspace width="{SPACES[name]}"/>'
    if name in LETTERS:
        return f"<mi>{LETTERS[name]}</mi>"
    if name in SIGNS:
        return f"<mo>{SIGNS[name]}</mo>"
    raise ValueError(f"`\\{name}` is not known to docs/site/formulas.py: add it there, or write it in words")
