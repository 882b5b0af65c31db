"""Reads of Parquet files: a process that ends right after it has used Arrow's threads may abort with exit code 134."""

import ast
from pathlib import Path

JOB = Path(__file__).parents[4] / "job"
READS = {"iter_batches", "read_row_group", "read_row_groups", "read_table"}


def reads():
    """Yield the file, and the arguments by name, of each call that reads a Parquet file."""
    for path in sorted(JOB.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            names = {each.arg: ast.unparse(each.value) for each in node.keywords}
            if node.func.attr in READS or (node.func.attr == "read" and "columns" in names):
                yield path.relative_to(JOB).as_posix(), names


def test_no_parquet_file_is_read_with_the_threads_of_arrow():
    found = list(reads())

    assert len(found) >= 6
    assert [path for path, names in found if names.get("use_threads") != "False"] == []
