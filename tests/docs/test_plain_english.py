"""What a user reads is plain English, and plain French: words and turns that have to be decoded stay out of it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from cli.commands.app import app

ROOT = Path(__file__).parents[2]

# Each with what to write instead.
ENGLISH = {
    r"mend(s|ed|ing)?": "fix",
    r"anew": "again",
    r"go(es)? on|went on": "continue, resume",
    r"held (to|against)": "target, limit, compared with",
    r"(lie|lies|stand|stands) (in|on|at|above|after|before|below|beside|behind|outside|there|under)": "is in",
    r"who(so)?ever|nobody|no one": "the user, you",
    r"in our words": "as FruitsError",
    r"(?<!there )is no(?! longer| more)": "is not a valid",
    r"leaves? nothing|nothing (of it )?is left": "removes everything",
    r"what (it|that|this|they|a run) costs?": "cost",
    r"of (its|their|one's|his|your|our) own": "its own",
    r"(do|does|did) not answer|does not say|AWS says": "no response from",
    r"cannot be had|could not be had": "is not available",
    r"comes? to rest|came to rest": "stops",
    r"looks? away": "detaches",
    r"in mid-run": "during the run",
    r"once, ever": "only for new or changed photos",
    r"where should it|what should be": "no … given",
    r"ours": "fruitsctl",
}
FRENCH = {
    r"à blanc": "en simulation",
    r"doublures?": "simulateur",
    r"haché(e|s|es)? à clé": "empreintes HMAC",
    r"qui doit l[’']exclure": "pour l'exclure, exécutez",
    r"fait tourner": "exécute",
    r"à nouveau frais": "de nouveau",
    r"dans nos mots|en nos mots": "en FruitsError",
    r"qui que ce soit": "l'utilisateur",
    r"ne laisse rien": "supprime tout",
}


def found_in(text: str, banned: dict[str, str]) -> list[str]:
    """The banned words of `text`, each with its line and what to write instead."""
    pattern = {re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.I): better for words, better in banned.items()}
    flat = re.sub(r"\s+", " ", text)
    return [
        f"`…{flat[max(0, hit.start() - 30) : hit.end() + 30]}…`: {better}" for one, better in pattern.items() for hit in one.finditer(flat)
    ]


def literals(path: Path) -> Iterator[str]:
    """The string literals of a module that are sentences: with a blank, and not a docstring. Values in an f-string are `{}`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    pieces = {id(value) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(value.value) if isinstance(value, ast.Constant) else "{}" for value in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings | pieces and " " in node.value:
            yield node.value


def helps(command: object, name: str) -> Iterator[tuple[str, list[str]]]:
    """Each command with the texts of its help."""
    assert isinstance(command, typer.main.TyperCommand | TyperGroup)
    texts = [command.help or "", command.epilog or "", *(getattr(option, "help", None) or "" for option in command.params)]
    yield name, texts
    if isinstance(command, TyperGroup):
        for sub, child in command.commands.items():
            yield from helps(child, f"{name} {sub}")


def pages() -> Iterator[Path]:
    yield from sorted(path for path in ROOT.glob("*.md"))
    yield from sorted((ROOT / "docs").rglob("*.md"))
    yield from sorted((ROOT / "notebooks").glob("*.ipynb"))
    yield from sorted((ROOT / ".github").rglob("*.md"))


def prose(path: Path) -> str:
    """A page without its blocks of code; of a notebook the English of its cells of text."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")
        text = re.sub(r'<div lang="fr">.*?</div>', "", text, flags=re.S)
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def sources() -> Iterator[Path]:
    for folder in ("cli", "job"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def files_of_text() -> Iterator[Path]:
    """What a user reads that is neither Python nor a page."""
    yield from sorted((ROOT / "job" / "product").rglob("*.j2"))
    yield from sorted((ROOT / "job" / "product").rglob("*.html"))
    yield from sorted((ROOT / "job" / "product").rglob("*.js"))
    yield from (ROOT / "Makefile", ROOT / "docker-compose.yml", ROOT / "Dockerfile")
    yield from sorted((ROOT / "docker").glob("*.sh"))
    yield from sorted((ROOT / ".github").rglob("*.yml"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def texts_of(path: Path) -> list[str]:
    if path.suffix == ".py":
        return list(literals(path))
    return [prose(path) if path.suffix in (".md", ".ipynb") else path.read_text(encoding="utf-8")]


def wrong_in(path: Path) -> list[str]:
    banned = FRENCH if path.name.endswith(".fr.md") else ENGLISH
    return [wrong for text in texts_of(path) for wrong in found_in(text, banned)]


READ = [*sources(), *files_of_text(), *pages()]
HELPS = dict(helps(typer.main.get_command(app), "fruitsctl"))


@pytest.mark.parametrize("path", READ, ids=name_of)
def test_texts_are_plain(path):
    assert wrong_in(path) == []


@pytest.mark.parametrize(("name", "texts"), HELPS.items(), ids=HELPS)
def test_help_is_plain(name, texts):
    assert texts[0], "a command without a description"
    assert [wrong for text in texts for wrong in found_in(text, ENGLISH)] == []


@pytest.mark.parametrize("text", ["It goes on.", "what mends it", "Anew", "`x` is no tag", "held\nto it", "S3 did not answer", "nobody"])
def test_a_banned_word_is_found_in_any_case_and_across_a_line(text):
    assert found_in(text, ENGLISH)


@pytest.mark.parametrize("text", ["there is no image `x`", "we recommend it", "it is no longer there", "it ongoes", "a mending-free"])
def test_its_neighbours_are_not(text):
    assert found_in(text, ENGLISH) == []


def test_a_literal_is_read_and_a_docstring_is_not(tmp_path):
    module = tmp_path / "module.py"
    module.write_text('"""It goes on."""\ndef f(x):\n    """Mend it."""\n    raise ValueError(f"{x} goes on", "try again")\n')

    assert list(literals(module)) == ["{} goes on", "try again"]
    assert len(wrong_in(module)) == 1


NOUNS = (
    "addresses classes components executors features files fruits images labels minutes modules objects photos resources rows runs"
    " steps tasks versions"
)
COUNTED = re.compile(rf"`? (?:[a-z]+ )?({NOUNS.replace(' ', '|')})\b(?! on Java)")


def values_in(path: Path) -> Iterator[tuple[str, str]]:
    """(expression, text behind it) of each value in a text that is put together."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            behind = [*node.values[1:], ast.Constant("")]
            for value, after in zip(node.values, behind, strict=True):
                if isinstance(value, ast.FormattedValue):
                    yield ast.unparse(value.value), after.value if isinstance(after, ast.Constant) else ""


@pytest.mark.parametrize("path", [*sources()], ids=name_of)
def test_a_number_before_a_plural_goes_through_the_one_function_for_it(path):
    """`1 photo`, not `1 photos`; constants are never 1."""
    assert [value + text for value, text in values_in(path) if COUNTED.match(text) and not value.isupper()] == []
