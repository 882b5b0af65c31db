"""The notebooks call functions of the job as they are today; both are executed in tests/container and tests/reference only."""

import ast
import functools
import importlib
import inspect
import json
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def tree_of(name):
    cells = json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))["cells"]
    return ast.parse("\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"))


def imported(tree):
    """The modules, functions and classes of the project by the names that the notebook gives them."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in ("job", "cli"):
            module = importlib.import_module(node.module)
            for each in node.names:
                if not hasattr(module, each.name):
                    importlib.import_module(f"{node.module}.{each.name}")
                found[each.asname or each.name] = getattr(module, each.name)
    return found


def calls_of(tree):
    """Each call of a function, a class or a method of the project: its text, what is called, and the names of the values given by name."""
    known = imported(tree)
    instances = {
        node.targets[0].id: known[made] for node in ast.walk(tree) if (made := class_of(node)) and inspect.isclass(known.get(made))
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, *rest = ast.unparse(node.func).split(".")
            given, names = node.args, [each.arg for each in node.keywords]
            if first in instances and len(rest) == 1:
                yield ast.unparse(node), getattr(instances[first], *rest), [None, *given], names
            elif first in known and "".join(rest).isidentifier() >= bool(rest):
                yield ast.unparse(node), functools.reduce(getattr, rest, known[first]), given, names


def class_of(node):
    """`FeatureStore` of `store = FeatureStore(…)`: what is called on `store` are methods of it."""
    made = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Call)
    return ast.unparse(node.value.func) if made else None


@pytest.mark.parametrize("name", ["cloud.ipynb", "local.ipynb"])
def test_every_call_in_a_notebook_fits_the_function_that_it_calls(name):
    calls = list(calls_of(tree_of(name)))
    wrong = []
    for text, called, given, names in calls:
        try:
            inspect.signature(called).bind(*given, **dict.fromkeys(names))
        except TypeError as error:
            wrong.append(f"{text}: {error}")

    assert wrong == []
    assert len(calls) > 15
