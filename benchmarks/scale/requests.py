"""
How many requests to S3 a run makes, and for what: three small runs against a real S3 server, counted by a proxy. Out: Requests.

The runs keep all rows in Spark, as the job does above 100,000 photos, and their files of features have as many photos as those of a large
run: a file is read by ranges, so a larger one takes more requests.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from benchmarks.runs import Bench
from benchmarks.s3 import BUCKET, copy_photos
from benchmarks.scale.grow import job_environment, run_command
from tests.s3.proxy import Proxy
from tests.s3.server import versitygw

CHUNKS, FILES_PER_CHUNK = 3, 2  # a file for each of the cores that the runs have


@dataclass(frozen=True)
class Requests:
    """`reads` are what S3 bills as GET, `writes` what it bills as PUT, listings included. Deleting is free."""

    reads: float  # of a run with one chunk, but for photos, listing and data of `features`
    writes: float
    reads_per_chunk: float
    writes_per_chunk: float
    reads_per_file: float  # of `features`, in a run that made it: the same file is read for several ends
    reads_per_known_file: float  # in a later run
    writes_per_file: float

    def count(self, new: int, pages: int, chunks: int, files: int, known_files: int) -> tuple[int, int]:
        """(reads, writes) of a run that lists `pages` of 1,000 keys, embeds `new` photos into `files` and has `known_files` already."""
        reads = self.reads + new + chunks * self.reads_per_chunk + files * self.reads_per_file + known_files * self.reads_per_known_file
        writes = self.writes + pages + chunks * self.writes_per_chunk + files * self.writes_per_file
        return round(reads), round(writes)


def tally(starts: Iterable[list[str]]) -> Counter[str]:
    """Billed requests by `read` or `write` and what for: `photos`, `listing` of photos, `data` of features, or `others`."""
    found: Counter[str] = Counter()
    for method, target, _ in starts:
        path, _, query = target.partition("?")
        key = unquote(path).removeprefix(f"/{BUCKET}").lstrip("/")
        listing = method == "GET" and "list-type=" in query
        if method == "DELETE" or (method == "POST" and "delete" in query):
            continue
        if listing:
            found["write listing" if "prefix=photos" in unquote(query) else "write others"] += 1
            continue
        kind = "read" if method in ("GET", "HEAD") else "write"
        about = "photos" if key.startswith("photos/") else "data" if "/features/part-" in key else "others"
        found[f"{kind} {about}"] += 1
    return found


def measure_requests(bench: Bench, images_per_file: int) -> Requests:
    """
    Count the requests of a run that embeds all photos as one chunk, of one that embeds them as CHUNKS, and of a second one like that,
    with nothing new.

    Raises:
        BenchmarkError: a run failed.
    """
    per_chunk = FILES_PER_CHUNK * images_per_file
    with versitygw(_made(bench.work / "s3")) as server, Proxy(server.endpoint) as proxy:
        copy_photos(bench.assets / "fruits-360-sample", bench.work / "few", server, CHUNKS * per_chunk)
        bench = replace(bench, environment=server.environment() | {"AWS_ENDPOINT_URL_S3": proxy.url, "FRUITS_DRIVER_ROWS": "0"})

        def counted(output: str, chunk_images: int) -> tuple[Counter[str], int]:
            before = len(proxy.heads)
            where = [f"s3://{BUCKET}/photos", f"s3://{BUCKET}/{output}", "--local", "--json", f"--chunk-images={chunk_images}"]
            run_command(["-m", "cli", "run", *where], job_environment(bench, f"local[{FILES_PER_CHUNK}]"), bench.log)
            files = list((server.folder / BUCKET / output / "features").glob("part-*.parquet"))
            return tally(head.start for head in proxy.heads[before:]), len(files)

        (one, _), (some, some_files) = counted("one", CHUNKS * per_chunk), counted("some", per_chunk)
        again, _ = counted("some", per_chunk)
    shutil.rmtree(bench.work / "few")
    shutil.rmtree(bench.work / "s3")
    return Requests(
        reads=one["read others"],
        writes=one["write others"],
        reads_per_chunk=max(0, some["read others"] - one["read others"]) / (CHUNKS - 1),
        writes_per_chunk=max(0, some["write others"] - one["write others"]) / (CHUNKS - 1),
        reads_per_file=some["read data"] / some_files,
        reads_per_known_file=again["read data"] / some_files,
        writes_per_file=some["write data"] / some_files,
    )


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
