"""
Prepare what MkDocs reads: a copy of docs/ in the folder `guide` beside the site, with the generated pages and the executed notebooks.

Git has no generated page, so none can be out of date. https://www.mkdocs.org/user-guide/configuration/#hooks
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
from pathlib import Path
from typing import Any

import executed
import formulas
import reference
import sequence
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
OUTSIDE = {  # target of a link in the checkout -> page of the site
    "README.md": "index.md",
    "cli/commands/app.py": "reference/commands.md",
    "job/contract/params.py": "reference/parameters.md",
    "job/storage/schema.py": "reference/files.md",
    "cli/errors.py": "reference/errors.md",
}
HELP = {  # pages that every page links at its end
    "en": (("glossary", "Glossary"), ("faq", "Questions about messages")),
    "fr": (("glossary", "Glossaire"), ("faq", "Questions sur les messages")),
}
LINK = re.compile(r"\[([^]\n]*)\]\((?!\w+:|#)([^)\s]+)\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make the folder `guide`. mkdocs-static-i18n calls this once per language; only the first call does something."""
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
        if (
            "MIKE_DOCS_VERSION" in os.environ
        ):  # set by mike. In a site that it does not publish, the list of versions would be a missing file.
            config.extra["version"] = {"provider": "mike", "default": "latest"}
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
    """Draw diagrams; point links to notebooks and to OUTSIDE at their pages; replace links to other files of the checkout by their text."""
    folder = posixpath.dirname("docs/" + page.file.src_uri)

    def rewritten(link: re.Match[str]) -> str:
        words, target = link.groups()
        path = posixpath.normpath(posixpath.join(folder, target))
        inside = OUTSIDE.get(path) or (f"notebooks/{posixpath.basename(path)[:-6]}.md" if path.endswith(".ipynb") else None)
        if inside:
            return f"[{words}]({posixpath.relpath('docs/' + inside, folder)})"
        return link.group() if path.startswith("docs/") and not path.startswith("docs/presentation/slides") else words  # decks have no page

    return LINK.sub(rewritten, sequence.drawn(markdown))


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Draw formulas, mark an untranslated page as English for screen readers, and link the glossary and the FAQ from every page."""
    html = formulas.drawn(html)
    language = config.theme["language"]
    translated = ".fr." in page.file.src_uri
    html = html if language == "en" or translated else f'<div lang="en">{html}</div>'
    folder = posixpath.dirname(page.file.dest_uri)
    prefix = "" if language == "en" else f"{language}/"
    links = [
        f'<a href="{posixpath.relpath(f"{prefix}reference/{name}.html", folder or ".")}">{words}</a>' for name, words in HELP[language]
    ]
    return f'{html}<p class="help">{" · ".join(links)}</p>'


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Name the theme's search dialog: https://dequeuniversity.com/rules/axe/4.10/aria-dialog-name"""
    name = {"en": "Search", "fr": "Rechercher"}[config.theme["language"]]
    return output.replace('data-md-component="search" role="dialog"', f'data-md-component="search" role="dialog" aria-label="{name}"')


def on_post_build(config: MkDocsConfig) -> None:
    """Copy the sitemap into every folder. The theme looks for it beside the page in the other language; every page would log a 404."""
    site = Path(config.site_dir)
    for folder in {page.parent for page in site.rglob("*.html")} - {site}:
        shutil.copyfile(site / "sitemap.xml", folder / "sitemap.xml")
