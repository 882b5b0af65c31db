"""The stage `model` of the image copies a few modules, so that an edit elsewhere does not convert the model again: all that it needs."""

import ast
import re
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
STAGE = re.compile(r"(?ms)^FROM packages AS model$(.*?)^FROM ")


def imported_by(script):
    """Names of modules that `script` imports from the two packages."""
    nodes = [node for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)]
    return {node.module for node in nodes if node.module and node.module.split(".")[0] in ("cli", "job")}


def file_of(module):
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def test_the_stage_of_the_model_copies_all_that_it_imports():
    graph = grimp.build_graph("cli", "job", cache_dir=None)
    needed = imported_by(ROOT / "docker" / "bake_model.py")
    needed |= {other for module in needed for other in graph.find_upstream_modules(module)}
    needed |= {".".join(module.split(".")[:n]) for module in needed for n in range(1, module.count(".") + 1)}  # __init__.py
    stage = STAGE.search((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert stage
    copied = set(re.findall(r"\b(?:cli|job)/[\w/]+\.py\b", re.sub(r"/opt/fruits/app/\S+", "", stage[1])))

    assert {file_of(module).relative_to(ROOT).as_posix() for module in needed} == copied
