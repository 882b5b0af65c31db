"""One local session for the folder, with the settings of a real run; and the features of real photos."""

from collections.abc import Iterator

import numpy as np
import pytest
from pyspark.sql import SparkSession

from job.decode import decode_image
from job.models import LiteRtNetwork, litert_flatbuffer
from job.session import start_session


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    session = start_session("tests", uses_s3=False)
    # Compiling each query takes longer than these few rows; tests/container runs as users do.
    session.conf.set("spark.sql.codegen.wholeStage", "false")
    session.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def real_features(sample, weights, cache):
    """(1310, 1280) float32: MobileNetV2 on all of Test/"""
    network = LiteRtNetwork(litert_flatbuffer(weights, cache))
    return np.stack([network(decode_image(path.read_bytes(), 224).pixels) for path in sorted((sample / "Test").glob("*/*.jpg"))])
