"""
Formulas of a page as MathML, which browsers draw without a script, a font or a request.

HTML goes in, HTML comes out. arithmatex marks the formulas, latex2mathml converts them. https://www.w3.org/TR/mathml-core/
"""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

MARKED = re.compile(r'<(?:span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</(?:span|div)>', re.S)
MATH = re.compile(r"(<math[^>]*>)(.*)</math>", re.S)
UNKNOWN = re.compile(r"\\[a-zA-Z]+")


def drawn(page: str) -> str:
    """Return `page` with every marked formula as MathML. The annotation keeps the TeX, for copying."""
    return MARKED.sub(lambda found: mathml(html.unescape(found.group(2)).strip(), block=found.group(1) == "["), page)


def mathml(tex: str, block: bool = False) -> str:
    """
    Return a formula as a <math> element.

    Raises:
        ValueError: `tex` has an unknown command or lacks a brace. latex2mathml draws both, as well as it can.
    """
    if tex.replace(r"\{", "").count("{") > tex.replace(r"\}", "").count("}"):
        raise ValueError(f"`}}` is missing in `{tex}`")
    opening, body = MATH.fullmatch(convert(tex, display="block" if block else "inline")).groups()  # type: ignore[union-attr]
    if unknown := UNKNOWN.search(body):
        raise ValueError(f"`{unknown[0]}` is not known to latex2mathml: write it in words")
    note = f'<annotation encoding="application/x-tex">{html.escape(tex)}</annotation>'
    math = f"{opening}<semantics>{body}{note}</semantics></math>"
    return f'<div class="formula">{math}</div>' if block else math
