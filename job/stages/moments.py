"""
Store moments beside the features, one file per chunk: a refit after 1,000 new photos reads only their features.

A chunk is one commit to `features`: (run_id, embedded_at). A file's name holds the chunk and a hash of its rows, so moments of a chunk that
lost rows, or of another `--fit-on`, are other files and none is ever wrong.

Many files are merged: `merged-<hash>.npz` is the sum of others, which GROUPS lists. The sum is written first, then listed, then the others
are deleted: after an interruption the sum is made again, or a file exists twice and counts once. A sum with a changed chunk is not used any
more, and its rows are read again.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from io import BytesIO
from itertools import accumulate
from operator import add

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from job.contract.errors import InputError, NoPhotosError
from job.contract.uris import join
from job.inputs.rows import ArrowRows, Rows, SparkRows
from job.stages import pca
from job.stages.pca import Moments
from job.stages.tables.features import CommittedChunk, Features
from job.storage.delta_log import DeltaLog
from job.storage.lease import Lease
from job.storage.object_store import Folder
from job.storage.schema import MOMENTS

MAX_TASKS = 16  # of one chunk: each returns 13 MB to the driver
FILES = 16  # of moments that a run reads before it merges some: 106 MB
MERGED_ROWS = 250_000  # limit for a sum: 1.3 GB of features are read again when one of its photos changes
MERGED = "merged-"  # begins the name of a sum
GROUPS = "merged.json"  # the files of chunks that each sum stands for
DIGITS = 15  # of a row's SHA-256, hexadecimal: what fits 63 bits


class MomentsCache:
    """The stored moments of one model in OUTPUT, as one run uses and compacts them."""

    def __init__(self, folder: Folder, model: str, lease: Lease) -> None:
        self._folder, self._place, self._lease = folder, f"moments/{model}", lease
        self._used: dict[str, int] = {}  # file to rows, of the last `get`
        self._groups: dict[str, list[str]] = {}  # file of a sum to the files of chunks in it

    def get(self, features: Features, input_uri: str, fit_on: str | None) -> Moments:
        """
        Return the moments of the rows of `features` that `fit_on` selects. Missing ones are computed and stored.

        Raises:
            InputError: `fit_on` names no image.
            VarianceError: there is no image at all.
            LeaseError: another run took over.
        """
        chosen = features if fit_on is None else features.restrict(rows_matching(features.keys, fit_on, input_uri))
        rows = _rows(chosen)
        if not rows and fit_on is not None:
            raise no_match_error(fit_on)
        if not rows:
            pca.refuse_too_few(0)
        files = {name: (chunk, count) for chunk, (name, count) in rows.items()}
        present = set(self._folder.names(self._place))
        self._groups = {name: parts for name, parts in _read_groups(self._folder, self._place).items() if name in present}
        self._used = {}
        for group, members in sorted(self._groups.items(), key=lambda item: -len(item[1])):
            if files.keys() >= set(members):
                self._used[group] = sum(files.pop(name)[1] for name in members)
        for name, (chunk, count) in sorted(files.items()):
            if name not in present:
                self._write(name, fold(chosen.restrict(_of_chunk(chosen.keys, chunk))))
            self._used[name] = count
        return self._sum(self._used)

    def compact(self) -> None:
        """
        Merge the smallest files while there are more than FILES, and delete old unused files. Called after `get`.

        Of the unused files the newest stay, as many as there are used ones: another `--fit-on` may use them.

        Raises:
            LeaseError: another run took over.
            OutputError, CredentialsError: OUTPUT cannot be read or written.
        """
        while members := to_merge(self._used):
            self._merge(members)
        others = [file for file in self._folder.files(self._place) if file.name not in self._used and file.name != GROUPS]
        old = sorted(others, key=lambda file: file.modified, reverse=True)[len(self._used) :]
        if old:
            self._lease.check()
        for file in old:
            self._folder.delete(f"{self._place}/{file.name}")

    def _merge(self, members: list[str]) -> None:
        """Replace `members` by one file. The order matters: after an interruption each chunk is in a file that is found."""
        chunks = sorted(chunk for name in members for chunk in self._groups.get(name, [name]))
        merged = f"{MERGED}{hashlib.sha256(' '.join(chunks).encode()).hexdigest()[:16]}.npz"
        self._write(merged, self._sum(members))
        self._groups = {name: parts for name, parts in self._groups.items() if name not in members} | {merged: chunks}
        _write_groups(self._folder, self._place, self._groups)
        for name in members:
            self._folder.delete(f"{self._place}/{name}")
        self._used[merged] = sum(self._used.pop(name) for name in members)

    def _sum(self, names: Iterable[str]) -> Moments:
        return reduce(add, (_load(self._folder, f"{self._place}/{name}") for name in sorted(names)))

    def _write(self, name: str, moments: Moments) -> None:
        self._lease.check()  # an erasure that took over must not meet sums of before it later
        self._folder.write(f"{self._place}/{name}", _dump(moments))


def to_merge(rows: Mapping[str, int]) -> list[str]:
    """
    Return the smallest of the files with at most MERGED_ROWS rows in total; none up to FILES files, or if no two fit.

    So there are never more than FILES, or one for each half of MERGED_ROWS, and one more.
    """
    if len(rows) <= FILES:
        return []
    smallest = sorted(rows, key=lambda name: (rows[name], name))
    fitting = [name for name, total in zip(smallest, accumulate(rows[name] for name in smallest), strict=True) if total <= MERGED_ROWS]
    return fitting if len(fitting) > 1 else []


def max_files(rows: int) -> int:
    """Return the largest number of files that a run over `rows` reads after compaction."""
    return max(FILES, 1 + 2 * rows // MERGED_ROWS)


def drop_outdated(spark: SparkSession, folder: Folder) -> None:
    """
    Delete every file, of all models, that may include a row that the table no longer has.

    Only files of whole, unchanged chunks stay. The old features of a changed photo are in the sum of a chunk that its newest row does not
    name, and the name of a file does not tell which rows of its chunk are in it. Two sums that differ by one photo reveal its features.
    """
    for model in folder.names("moments"):
        place = f"moments/{model}"
        whole = {name for name, _ in _rows(Features.load(spark, DeltaLog(folder, "features"), model)).values()}
        groups = _read_groups(folder, place)
        for name in folder.names(place):
            parts = groups.get(name, [] if name.startswith(MERGED) else [name])
            if name != GROUPS and not (parts and whole.issuperset(parts)):
                folder.delete(f"{place}/{name}")
        # Names hold a hash of addresses and etags, which the photo and a guess of its address confirm.
        left = {name: parts for name, parts in groups.items() if whole.issuperset(parts)}
        if left != groups:
            _write_groups(folder, place, left)


def fold(features: Features) -> Moments:
    """Compute the moments of all rows of `features` in Spark's tasks. Takes up to 208 MB of the driver's memory."""

    def folded(tables: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
        return pca.moments_rows(pca.fold(pca.matrix(table["embedding"].combine_chunks())) for table in tables)

    tasks = min(features.tasks(), MAX_TASKS, features.spark.sparkContext.defaultParallelism)
    rows = features.map_in_arrow(["embedding"], tasks, folded, MOMENTS).to_arrow()
    return reduce(add, (pca.moments_from(**row) for row in rows.to_pylist()))


def no_match_error(fit_on: str) -> NoPhotosError:
    """Return the error for a `--fit-on` that matches no images."""
    hint = "use a pattern for labels (`Apple*`) or for folders below INPUT (`Training`)"
    return NoPhotosError(f"--fit-on `{fit_on}` matches no images", hint)


def rows_matching(keys: Rows, glob: str, input_uri: str) -> Rows:
    """Return the rows whose label, path below INPUT or a folder of it matches `glob` (`Training`: all below Training/)."""
    start = len(join(input_uri, ""))
    path = fnmatch.translate(glob).removesuffix(r"\Z")
    if isinstance(keys, SparkRows):
        below = F.expr(f"substring(uri, {start + 1})")
        return SparkRows(keys.frame.where(F.col("label").rlike(f"^{path}$") | below.rlike(f"^{path}(/.*)?$")), keys.schema)
    of_label, of_path = re.compile(path), re.compile(f"{path}(/.*)?", re.DOTALL)
    table = keys.to_arrow()
    pairs = zip(table["uri"].to_pylist(), table["label"].to_pylist(), strict=True)
    chosen = [bool(of_label.fullmatch(label or "") or of_path.fullmatch(uri[start:])) for uri, label in pairs]
    return ArrowRows(table.filter(pa.array(chosen, pa.bool_())))


def _of_chunk(keys: Rows, chunk: CommittedChunk) -> Rows:
    if isinstance(keys, SparkRows):
        return SparkRows(keys.frame.where((F.col("run_id") == chunk.run_id) & (F.col("micros") == chunk.micros)), keys.schema)
    table = keys.to_arrow()
    return ArrowRows(table.filter(pc.and_(pc.equal(table["run_id"], chunk.run_id), pc.equal(table["micros"], chunk.micros))))


def _rows(features: Features) -> dict[CommittedChunk, tuple[str, int]]:
    """Return for each chunk of `features` the name of its moments file and its number of rows."""
    rows: dict[CommittedChunk, list[int]] = defaultdict(lambda: [0, 0])  # count, and all addresses and etags in one number
    if isinstance(features.keys, SparkRows):
        digits = F.substring(F.sha2(F.concat_ws("\0", "uri", "etag"), 256), 1, DIGITS)
        number = F.bit_xor(F.conv(digits, 16, 10).cast("bigint")).alias("number")
        for row in features.keys.frame.groupBy("run_id", "micros").agg(F.count("*").alias("n"), number).collect():
            rows[CommittedChunk(row["run_id"], row["micros"])] = [row["n"], row["number"]]
    else:
        for row in features.keys.select("run_id", "micros", "uri", "etag").to_arrow().to_pylist():
            chunk = rows[CommittedChunk(row["run_id"], row["micros"])]
            chunk[0] += 1
            chunk[1] ^= int(hashlib.sha256(f"{row['uri']}\0{row['etag']}".encode()).hexdigest()[:DIGITS], 16)
    return {
        chunk: (f"{chunk.run_id}-{chunk.micros}-{hashlib.sha256(f'{features.model}|{n}|{number}'.encode()).hexdigest()[:16]}.npz", n)
        for chunk, (n, number) in rows.items()
    }


def _write_groups(folder: Folder, place: str, groups: dict[str, list[str]]) -> None:
    folder.write(f"{place}/{GROUPS}", json.dumps(groups, indent=1).encode())


def _read_groups(folder: Folder, place: str) -> dict[str, list[str]]:
    """Return the files in each sum. A damaged list counts as missing: the sums that it named are computed again."""
    stored = folder.read(f"{place}/{GROUPS}")
    try:
        groups = json.loads(stored.content) if stored else {}
        return {str(name): [str(part) for part in parts] for name, parts in groups.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _dump(moments: Moments) -> bytes:
    """Serialise the upper triangle only: 6.6 MB at 1,280 features."""
    buffer = BytesIO()
    upper = moments.gram[np.triu_indices(len(moments.sum))]
    np.savez(buffer, n=moments.n, sum=moments.sum, gram=upper)
    return buffer.getvalue()


def _load(folder: Folder, name: str) -> Moments:
    stored = folder.read(name)
    if stored is None:
        raise InputError(f"`{name}` disappeared while the PCA was fitted", "run the same command again")
    with np.load(BytesIO(stored.content)) as arrays:
        d = len(arrays["sum"])
        gram = np.zeros((d, d))
        gram[np.triu_indices(d)] = arrays["gram"]
        return Moments(int(arrays["n"]), arrays["sum"], gram + np.triu(gram, 1).T)
