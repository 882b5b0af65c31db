"""Start the SparkSession with the only Spark settings made in Python; it reads and writes local files and S3."""

from __future__ import annotations

import atexit
import os
import shlex
import shutil
import signal
import sys
import tempfile
from concurrent.futures import Future
from threading import Thread, current_thread, main_thread
from typing import Any

from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from job.contract.errors import RegionError
from job.contract.uris import is_s3, join
from job.storage.s3_client import client, region, s3a_conf

SETTINGS = {
    "spark.sql.catalogImplementation": "in-memory",  # tables are found by path: no metastore
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",  # frames of pandas go to Spark and back without rows of Python
    "spark.sql.execution.arrow.maxRecordsPerBatch": "1024",  # 1,024 x 1,280 float64 are 10 MB in a worker
    "spark.sql.parquet.compression.codec": "zstd",
    # Floats of an embedding rarely repeat: a dictionary of them costs time, and is discarded when it is full.
    "spark.hadoop.parquet.enable.dictionary#embedding.list.element": "false",
    "spark.python.daemon.module": "job.spark.python_daemon",  # forks workers that have their imports already
    "spark.python.worker.reuse": "true",  # the network is built once per worker process
    "spark.ui.showConsoleProgress": "false",
    # A rename on S3 is a copy: once, by the tasks, instead of twice. A second attempt of a task writes the same names, and
    # a run is not read before its manifest exists.
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
}
# Settings of S3A for one bucket, which come before those for all.
BUCKET_SETTINGS = r"^fs\.s3a\.bucket\..+\.(endpoint|endpoint\.region|accesspoint\.arn)$"

# The JVM unpacks files into the folder of Python's temporary files, which is deleted. Spark parses options as a shell does.
TEMPORARY_FILES = shlex.quote(f"-Djava.io.tmpdir={tempfile.gettempdir()}")
LOCAL_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    # Most code of the JVM runs once, so C2 finishes compiling too late. This saves a fifth of a run of 2,000 photos.
    # With C1 alone the JVM keeps 48 MB of compiled code instead of 240, and then discards code that it needs next.
    # https://docs.oracle.com/en/java/javase/17/docs/specs/man/java.html
    "spark.driver.extraJavaOptions": f"-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m {TEMPORARY_FILES}",
    "spark.sql.shuffle.partitions": "4",  # small tables: the default of 200 tasks costs more than the work
    # One thread of BLAS and OpenMP per Python worker: Spark owns the parallelism.
    "spark.executorEnv.OMP_NUM_THREADS": "1",
    "spark.executorEnv.OPENBLAS_NUM_THREADS": "1",
}

_jvm: list[Future[Any]] = []  # of this process, until its session takes it


def work_uri(spark: SparkSession, output: str, run_id: str) -> str:
    """Return where a run stores its temporary files: below OUTPUT, or on the local disk if Spark runs on this machine only."""
    if not (is_s3(output) and str(spark.sparkContext.master).startswith("local")):
        return join(output, "work", run_id)
    return _temporary_folder()


def _temporary_folder() -> str:
    """Make a folder that is removed when this process ends; return its URI."""
    folder = tempfile.mkdtemp(prefix="fruitsctl-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return f"file://{folder}"


def launch_jvm() -> None:
    """
    Start the JVM of the session in the background: a second in which this process can import what else it needs.

    What fails here fails in `start_session`. A JVM that is never used ends with this process.
    """
    launched: Future[Any] = Future()

    def launch() -> None:
        try:
            launched.set_result(launch_gateway(_launch_conf()))  # type: ignore[no-untyped-call] # it has no annotations
        except Exception as error:  # noqa: BLE001 - carried to `start_session`
            launched.set_exception(error)

    _jvm.append(launched)
    Thread(target=launch, name="jvm", daemon=True).start()


def start_session(app_name: str, uses_s3: bool) -> SparkSession:
    """
    Return the session of this process, in the JVM that `launch_jvm` started, if it did.

    Under spark-submit the master and the jars are given; without, the master is FRUITS_MASTER, or `local[*,4]` (a task has four attempts,
    as on a cluster). Local Spark itself reads no S3, so it needs no S3A; a cluster brings its own.

    Raises:
        RegionError: as `_refuse_another_s3`.
    """
    conf = _launch_conf().setAppName(app_name)
    s3a = {**s3a_conf(client().meta.endpoint_url, region()), "spark.executorEnv.FRUITS_S3": "1"} if uses_s3 else {}
    # Spark SQL makes this folder although nothing is stored in it: without the setting it is in the current folder.
    for name, value in {**SETTINGS, **s3a, "spark.sql.warehouse.dir": _temporary_folder()}.items():
        conf.set(name, value)
    heeded = signal.getsignal(signal.SIGINT)
    if _jvm:
        SparkContext(gateway=_jvm.pop().result(), conf=conf)
    session = SparkSession.builder.config(conf=conf).getOrCreate()
    if heeded is not None and current_thread() is main_thread():
        # Spark's handler cancels jobs over the connection that this thread waits on, and breaks it: no KeyboardInterrupt is raised.
        signal.signal(signal.SIGINT, heeded)
    if uses_s3:
        _refuse_another_s3(session)
    return session


def _refuse_another_s3(session: SparkSession) -> None:
    """Raise RegionError if settings of Spark or Hadoop lead S3A to another endpoint than boto3, whose endpoints are checked."""
    assert session.sparkContext._jsc is not None
    found = list(session.sparkContext._jsc.hadoopConfiguration().getValByRegex(BUCKET_SETTINGS))
    if found:
        hint = "remove it; AWS_ENDPOINT_URL_S3 sets the endpoint of boto3 and Spark"
        raise RegionError(f"setting `{found[0]}` of Spark leads to another S3 than the one that is checked", hint)


def _launch_conf() -> SparkConf:
    """Return the settings with which a JVM must be started; none under spark-submit, which started it."""
    conf = SparkConf()
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        return conf
    # Another Python than the driver's may lie first on PATH.
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    master = os.environ.get("FRUITS_MASTER", "local[*,4]")
    conf.setMaster(master).set("spark.driver.memory", os.environ.get("FRUITS_DRIVER_MEMORY", "2g"))
    # A cluster has its own settings and jars, in spark-defaults.conf.
    if master.startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # Spark looks up this machine's name otherwise, which may not resolve
        for name, value in LOCAL_SETTINGS.items():
            conf.set(name, value)
    return conf


def start_workers(spark: SparkSession) -> None:
    """Start the Python daemon of each executor, whose imports take a second, before the first stage needs it."""
    context = spark.sparkContext
    context.parallelize(range(context.defaultParallelism), context.defaultParallelism).foreach(lambda _: None)


def stop_session(idle: bool = False) -> None:
    """
    Stop the session, if it was started. Before the lease is released: Spark must not write into OUTPUT after that.

    `idle`: Spark has no work left. A local Spark then ends with this process, which saves most of a second.
    """
    session = SparkSession.getActiveSession()
    if session is not None and not (idle and str(session.sparkContext.master).startswith("local")):
        session.stop()
