"""The CLI imports the contract on machines that have neither Spark nor TensorFlow nor boto3."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
MODULES = sorted(f"job.contract.{path.stem}" for path in (ROOT / "job" / "contract").glob("*.py") if path.stem != "__init__")


def test_the_contract_is_imported_with_the_standard_library_alone():
    script = f"import sys; sys.path = [*sys.path, {str(ROOT)!r}]; import {', '.join(MODULES)}"

    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False)

    assert len(MODULES) > 5
    assert (done.returncode, done.stderr) == (0, "")
