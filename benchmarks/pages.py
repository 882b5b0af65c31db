"""Figures onto a page, between its marks `<!-- name -->` and `<!-- /name -->`. Pure."""

from __future__ import annotations

import re


def fill(page: str, name: str, figures: str) -> str:
    """
    `page` with `figures` in place of what was between the marks.

    Raises:
        ValueError: it has no such marks.
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    filled, count = re.subn(f"{start}.*?{end}", lambda _: f"{start}\n\n{figures}\n\n{end}", page, count=1, flags=re.S)
    if not count:
        raise ValueError(f"the page has no marks {start} … {end}")
    return filled
