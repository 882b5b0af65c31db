"""
What MkDocs reads: docs/ with the pages made from the code and the executed notebooks added, as a folder `guide` beside the site's.

Nothing generated is kept in git, so nothing there can be stale. https://www.mkdocs.org/user-guide/configuration/#hooks
"""

from __future__ import annotations

import posixpath
import re
import shutil
from pathlib import Path
from typing import Any

import executed
import formulas
import reference
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
OUTSIDE = {
    "README.md#what-you-get": "reference/files.md#what-a-run-leaves",
    "README.md": "index.md",
}  # links that leave docs/, and where they lead here
LINK = re.compile(r"\[([^]\n]*)\]\((?!\w+:|#)([^)\s]+)\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Called once per language, by mkdocs-static-i18n; the second time finds everything made."""
    guide = Path(config.site_dir).parent / "guide"
    if config.docs_dir != str(guide):
        shutil.rmtree(guide, ignore_errors=True)
        shutil.copytree(ROOT / "docs", guide, ignore=shutil.ignore_patterns("site"))
        for name, content in (reference.pages(ROOT) | executed.pages()).items():
            target = guide / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        config.docs_dir = str(guide)
        config.nav = filled(config.nav, guide)
    return config


def filled(entry: Any, guide: Path) -> Any:
    """Return a part of the navigation with every `folder/` replaced by the folder's English pages: its index, then the others by name."""
    if isinstance(entry, list):
        return [filled(each, guide) for each in entry]
    if isinstance(entry, dict):
        return {title: filled(target, guide) for title, target in entry.items()}
    if entry.endswith("/"):
        pages = [path.name for path in (guide / entry).glob("*.md") if path.suffixes != [".fr", ".md"]]
        return [f"{entry}{name}" for name in sorted(pages, key=lambda name: (name != "index.md", name))]
    return entry


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """A link to a notebook leads to its page. One to a file that only the checkout has becomes its words."""
    folder = posixpath.dirname("docs/" + page.file.src_uri)

    def rewritten(link: re.Match[str]) -> str:
        words, target = link.groups()
        path = posixpath.normpath(posixpath.join(folder, target))
        inside = OUTSIDE.get(path) or (f"notebooks/{posixpath.basename(path)[:-6]}.md" if path.endswith(".ipynb") else None)
        if inside:
            return f"[{words}]({posixpath.relpath('docs/' + inside, folder)})"
        return link.group() if path.startswith("docs/") and not path.startswith("docs/presentation/slides") else words  # decks are no pages

    return LINK.sub(rewritten, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Formulas drawn; what is not translated is marked as English, for readers by ear."""
    html = formulas.drawn(html)
    translated = ".fr." in page.file.src_uri
    return html if config.theme["language"] == "en" or translated else f'<div lang="en">{html}</div>'


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """The theme's search is a dialog without a name: https://dequeuniversity.com/rules/axe/4.10/aria-dialog-name"""
    name = {"en": "Search", "fr": "Rechercher"}[config.theme["language"]]
    return output.replace('data-md-component="search" role="dialog"', f'data-md-component="search" role="dialog" aria-label="{name}"')


def on_post_build(config: MkDocsConfig) -> None:
    """The theme asks for a sitemap beside the page in the other language; MkDocs writes one for all. Without this every page logs a 404."""
    site = Path(config.site_dir)
    for folder in {page.parent for page in site.rglob("*.html")} - {site}:
        shutil.copyfile(site / "sitemap.xml", folder / "sitemap.xml")
