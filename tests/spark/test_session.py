"""What Spark leaves on the machine that starts it."""

import tempfile
from pathlib import Path
from urllib.parse import urlparse


def test_the_warehouse_that_spark_sql_makes_is_in_a_temporary_folder(spark):
    spark.sql("CREATE DATABASE IF NOT EXISTS of_a_person").collect()

    warehouse = Path(urlparse(spark.conf.get("spark.sql.warehouse.dir")).path)
    assert warehouse.parent == Path(tempfile.gettempdir())
    assert (warehouse / "of_a_person.db").is_dir()
    spark.sql("DROP DATABASE of_a_person").collect()
