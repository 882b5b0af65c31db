"""Target `--submit`: a Spark that is there. Inside the image that of SPARK_HOME; elsewhere the master that `--master` names."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from cli.errors import UsageError
from cli.settings import user
from cli.settings.config import Settings
from cli.targets.local import process as local
from cli.targets.local.environment import ROOT
from cli.targets.local.process_target import ProcessOptions, ProcessTarget
from cli.targets.options import TARGET, option
from job.contract.params import Params


@dataclass(frozen=True)
class SubmitOptions(ProcessOptions):
    """What --submit takes."""

    master: str | None = option(
        None, "Spark master such as spark://host:7077 or local[4]. [default: that of SPARK_HOME, inside the image]", TARGET, metavar="URL"
    )


class Submit(ProcessTarget[SubmitOptions]):
    """spark-submit."""

    name, title, help = "submit", "spark-submit", "Run by spark-submit: of SPARK_HOME inside the image, else with --master."
    offered, options = False, SubmitOptions
    hints = {"NoPhotosError": "start the stack with your photos: PHOTOS=./photos docker compose up"}  # noqa: RUF012 - never changed

    def todo(self, params: Params, options: SubmitOptions, config: Settings, log: Path) -> local.Plan:
        if options.master is None and config.spark_home is None:
            raise UsageError("SPARK_HOME is not set", "use --local or --compose, or add --master URL to use a Spark that is there")
        user.require_name()
        if options.master is None:
            return local.plan_submit(params, str(config.spark_home), log)
        return plan_master(params, options.master, spark_submit(config), config.driver_memory, log)


def spark_submit(config: Settings) -> str:
    """
    Return the program of SPARK_HOME, else of PATH, else of the Spark that is installed with the extra `job`.

    Raises:
        UsageError: there is none.
    """
    places = [str(Path(config.spark_home, "bin", "spark-submit"))] if config.spark_home else []
    places += ["spark-submit", str(Path(sys.executable).with_name("spark-submit"))]
    found = next(filter(None, map(shutil.which, places)), None)
    if found is None:
        raise UsageError("there is no `spark-submit` on this machine", "install Spark and set SPARK_HOME, or use --local")
    return found


def plan_master(params: Params, master: str, program: str, driver_memory: str, log: Path) -> local.Plan:
    """Return the command line for a master whose workers have this installation at the same path, with the same Python."""
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # Spark owns the parallelism
    workers = {"PYTHONPATH": str(ROOT), **threads}
    conf = [word for name, value in workers.items() for word in ("--conf", f"spark.executorEnv.{name}={value}")]
    command = [program, "--master", master, "--driver-memory", driver_memory, *conf, local.OWN_ENTRY_POINT, *params.to_argv()]
    python = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    return local.Plan(command, {"PYTHONUNBUFFERED": "1", **python, **workers}, log)
