"""The guide: it builds strictly, its reference is the code's, and what is shown of notebooks is what was executed."""

import dataclasses
import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config

import cli.errors
import job.contract.errors
from job.contract.params import Params
from job.contract.records import Manifest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
sys.path.append(str(ROOT / "docs" / "site"))  # as MkDocs does it for a hook

import executed  # noqa: E402
import formulas  # noqa: E402
import reference  # noqa: E402


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The whole site, built strictly: a broken link, an unknown anchor or a page outside the navigation ends it."""
    folder = tmp_path_factory.mktemp("guide") / "site"
    build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(folder)))
    return folder


def text_of(site, page):
    """The words of a page, blanks as one."""
    content = re.search(r"<article.*?</article>", (site / page).read_text(encoding="utf-8"), re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", content.group())))


def test_every_page_is_there_in_both_languages(site):
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")} - {"404.html"}
    english = {page for page in pages if not page.startswith("fr/")}

    assert {"fr/" + page for page in english} == pages - english
    assert {"index.html", "tutorial.html", "reference/commands.html", "notebooks/local.html", "how-to/aws.html"} <= english


def test_french_pages_are_french_and_the_others_say_that_they_are_english(site):
    assert "Apprendre et présenter" in text_of(site, "fr/index.html")
    assert "De rien à" not in text_of(site, "tutorial.html")
    assert '<div lang="en">' in (site / "fr" / "how-to" / "aws.html").read_text(encoding="utf-8")
    assert '<div lang="en">' not in (site / "fr" / "tutorial.html").read_text(encoding="utf-8")


def test_nothing_is_fetched_from_elsewhere(site):
    """Scripts, styles, fonts, pictures; what a reader may click on is another matter."""
    fetched = re.compile(r"""<(?:script|img|iframe|source)[^>]*\ssrc=["']?(https?:[^"'\s>]+)|<link[^>]*\shref=["']?(https?:[^"'\s>]+)""")
    found = {path.name: fetched.findall(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}

    assert {name: urls for name, urls in found.items() if urls} == {}


def test_a_link_that_leaves_the_docs_becomes_its_words(site):
    page = (site / "explanation" / "how-it-works.html").read_text(encoding="utf-8")

    assert "job/pipeline.py" in page
    assert 'href="../../job' not in page
    assert 'href="reference/commands.html"' in (site / "index.html").read_text(encoding="utf-8")
    assert 'href="../reference/output.html"' in (site / "how-to" / "aws.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("commands", "--max-reject-ratio <float> Fail if a larger share of the images cannot be read. [default: 0.05]"),
        ("commands", "Usage: fruitsctl infra up [OPTIONS]"),
        ("parameters", "lease_seconds float 60.0 without a renewal for so long, a run may be taken over"),
        ("files", "embedding array<float>"),
        ("files", "runs/<run_id>/pca/"),
        ("files", "image_digest str | None None"),
        ("files", "generation int of the lease it was written under; a later owner's is higher"),
        ("errors", "LeaseError 3 another run holds OUTPUT, or took it over"),
        ("errors", "Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 refused by a guard, 130 interrupted, 143 by SIGTERM."),
    ],
)
def test_the_reference_says_what_the_code_says(site, page, words):
    assert words in text_of(site, f"reference/{page}.html")


def test_every_field_has_its_row_and_a_hidden_option_has_none():
    for cls, name in ((Params, "params"), (Manifest, "records")):
        rows = reference.fields_of(cls, ROOT / "job" / "contract" / f"{name}.py")
        assert [row[0] for row in rows] == [field.name for field in dataclasses.fields(cls)]
    assert "--lease-seconds" not in reference.commands()


def test_the_exit_codes_are_those_of_the_classes():
    for module, code in ((cli.errors, "exit_code"), (job.contract.errors, "code")):
        rows = {name.strip("`"): number for name, number, _ in reference.tree(module.__doc__)}
        classes = {name: str(getattr(kind, code)) for name, kind in vars(module).items() if hasattr(kind, code)}
        assert classes.items() <= rows.items()


def test_nothing_in_git_is_generated():
    kept = {path.name for path in (ROOT / "docs" / "reference").iterdir()}

    assert kept & {Path(name).name for name in reference.pages(ROOT)} == set()


def test_a_page_of_the_navigation_has_one_place():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    named = re.findall(r"[\w./-]+\.md", str(config["nav"]))

    assert len(named) == len(set(named)) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT / "docs").as_posix())
def test_a_link_works_in_the_checkout_too(page):
    targets = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_a_formula_is_drawn_without_a_script():
    page = formulas.drawn('<p><span class="arithmatex">\\(s = \\sum_i x_i^\\top\\)</span></p>')

    assert html.unescape(page) == (
        '<p><math xmlns="http://www.w3.org/1998/Math/MathML" display="inline"><semantics><mrow><mi>s</mi><mo>=</mo>'
        "<msub><mo>∑</mo><mi>i</mi></msub><msubsup><mi>x</mi><mi>i</mi><mo>⊤</mo></msubsup></mrow>"
        '<annotation encoding="application/x-tex">s = \\sum_i x_i^\\top</annotation></semantics></math></p>'
    )
    assert "<mfrac><mrow><mi>s</mi></mrow><mrow><mi>n</mi></mrow></mfrac>" in formulas.mathml("\\frac{s}{n}", block=True)


@pytest.mark.parametrize(("tex", "words"), [("\\nosuch", "`\\nosuch` is not known"), ("\\frac{1}{2", "`}` is missing")])
def test_a_formula_that_cannot_be_drawn_ends_the_build(tex, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        formulas.mathml(tex)


@pytest.fixture
def notebook(tmp_path):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("It costs $5 or $n$."), nbformat.v4.new_code_cell("print(6 * 7)")])
    nbformat.write(book, tmp_path / "small.ipynb")
    return tmp_path / "small.ipynb"


def test_a_notebook_is_shown_with_the_outputs_of_its_execution(notebook, tmp_path):
    assert "\n    42" not in executed.pages(tmp_path, tmp_path / "kept")["notebooks/small.md"].decode()

    executed.execute(notebook, tmp_path / "kept")
    page = executed.pages(tmp_path, tmp_path / "kept")["notebooks/small.md"].decode()

    assert "\n    42" in page
    assert "It costs $5 or \\(n\\)." in page


def test_a_notebook_has_a_page_in_each_language(notebook, tmp_path):
    book = nbformat.read(notebook, 4)
    book.cells[0].source = '# A map\n\nAs in $n$.\n\n<div lang="fr">\n\n# Une carte\n\nComme dans $n$.\n\n</div>'
    book.cells.append(nbformat.v4.new_markdown_cell("42"))
    nbformat.write(book, notebook)
    executed.execute(notebook, tmp_path / "kept")

    made = {name: content.decode() for name, content in executed.pages(tmp_path, tmp_path / "kept").items()}

    assert set(made) == {"notebooks/small.md", "notebooks/small.fr.md"}
    assert made["notebooks/small.md"].startswith("# A map\n\nAs in \\(n\\).\n\n\n```python\nprint(6 * 7)\n```\n\n    42\n")
    assert made["notebooks/small.fr.md"].startswith("# Une carte\n\nComme dans \\(n\\).\n\n\n```python\nprint(6 * 7)\n```\n\n    42\n")
    assert made["notebooks/small.fr.md"].rstrip().endswith("\n42")


@pytest.mark.parametrize("name", ["local", "cloud"])
def test_every_text_of_a_notebook_is_in_both_languages(name):
    """With the same headings, lists, tables, formulas and commands."""
    for cell in executed.read(ROOT / "notebooks" / f"{name}.ipynb").cells:
        if cell.cell_type == "markdown":
            found = executed.FRENCH.search(cell.source)
            assert found, cell.source
            english, french = executed.FRENCH.sub("", cell.source), found.group(1)
            for pattern in (r"^#+ ", r"^\|", r"^- ", r"^\$\$.*", r"^```"):
                shapes = [re.findall(pattern, text, re.M) for text in (english, french)]
                assert shapes[0] == shapes[1], french


def test_outputs_of_other_cells_are_not_shown(notebook, tmp_path):
    executed.execute(notebook, tmp_path / "kept")
    book = nbformat.read(notebook, 4)
    book.cells[1].source = "print(6 * 8)"
    nbformat.write(book, notebook)

    assert "\n    42" not in executed.pages(tmp_path, tmp_path / "kept")["notebooks/small.md"].decode()


def test_a_table_of_pandas_is_one_of_the_theme(notebook, tmp_path):
    book = nbformat.read(notebook, 4)
    book.cells[1].source = "import pandas\npandas.DataFrame({'fruit': ['fig']})"
    nbformat.write(book, notebook)
    executed.execute(notebook, tmp_path / "kept")
    page = executed.pages(tmp_path, tmp_path / "kept")["notebooks/small.md"].decode()

    assert "<table>" in page
    assert "<td>fig</td>" in page
    assert "dataframe" not in page


def test_every_page_links_the_glossary_and_the_messages_in_its_language(site):
    pages = [path for path in site.rglob("*.html") if path.name != "404.html"]
    french = {path for path in pages if (site / "fr") in path.parents}

    for path in pages:
        links = re.search(r'<p class="help"><a href="([^"]+)">.*?<a href="([^"]+)">', path.read_text(encoding="utf-8")).groups()
        folder = site / "fr" / "reference" if path in french else site / "reference"
        assert [(path.parent / link).resolve() for link in links] == [folder / "glossary.html", folder / "faq.html"]


def test_a_release_of_the_guide_is_one_version_of_it(tmp_path):
    origin, checkout = tmp_path / "origin.git", tmp_path / "checkout"
    person = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "release"), ("EMAIL", "release@example.com"))
    }
    environment = os.environ | person

    def git(*words):
        return subprocess.run(["git", *words], env=environment, capture_output=True, text=True, check=True).stdout

    git("init", "--quiet", "--bare", str(origin))
    git("init", "--quiet", str(checkout))
    git("-C", str(checkout), "remote", "add", "origin", str(origin))
    git("-C", str(checkout), "commit", "--quiet", "--allow-empty", "--message", "release")

    make = ["make", "publish-docs", "--old-file=executed", f"BIN={Path(sys.executable).parent}", "VERSION=1.2", "ALIAS=latest"]
    done = subprocess.run(
        make, cwd=ROOT, env=environment | {"GIT_DIR": str(checkout / ".git")}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    published = ["--git-dir", str(origin)]
    assert json.loads(git(*published, "show", "gh-pages:versions.json")) == [{"version": "1.2", "title": "1.2", "aliases": ["latest"]}]
    assert "latest/" in git(*published, "show", "gh-pages:index.html")
    assert '"provider": "mike"' in git(*published, "show", "gh-pages:1.2/fr/index.html")


def test_a_guide_that_is_not_published_asks_for_no_list_of_versions(site):
    assert "mike" not in (site / "index.html").read_text(encoding="utf-8")
