"""
Compile every module below the given folders that has no byte code yet. As for the packages, byte code names its source by hash, not by
time, so that two builds are alike.
"""

import py_compile
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path


def compile_module(source: Path) -> None:
    with suppress(py_compile.PyCompileError):  # templates and tests of other Pythons
        py_compile.compile(str(source), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


if __name__ == "__main__":
    modules = (module for folder in sys.argv[1:] for module in sorted(Path(folder).rglob("*.py")))
    missing = [module for module in modules if not Path(cache_from_source(str(module))).exists()]
    with ProcessPoolExecutor() as processes:
        list(processes.map(compile_module, missing, chunksize=50))
