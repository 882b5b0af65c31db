"""
Moments beside the features, one file per chunk: a refit after 1,000 new photos reads the features of those only.

A chunk is one commit to `features`: (run_id, embedded_at). A file's name holds the chunk and a hash of the rows it stands
for, so moments of a chunk that lost rows, or of another `--fit-on`, are other files and none is ever wrong.

Many files are merged: `merged-<hash>.npz` is the sum of others, which GROUPS names. Written first, then named, and only then are the others
deleted: killed in between, the sum is made again, or a file is there twice and counted once. A sum one of whose chunks has changed is not
used any more, and its rows are read again.
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
from job.stages.tables.features import Chunk, Features
from job.storage.delta_log import DeltaLog
from job.storage.lease import Lease
from job.storage.object_store import Folder
from job.storage.schema import MOMENTS

MOST_TASKS = 16  # of one chunk: each returns 13 MB to the driver
FILES = 16  # of moments that a run reads before it merges some: 106 MB
MERGED_ROWS = 250_000  # of a sum, at most: what is read again when one of its photos changes, 1.3 GB of features
MERGED = "merged-"  # begins the name of a sum
GROUPS = "merged.json"  # the files of chunks that each sum stands for
DIGITS = 15  # of a row's SHA-256, hexadecimal: what fits 63 bits


def moments_of(features: Features, input_uri: str, fit_on: str | None, folder: Folder, lease: Lease) -> Moments:
    """As `Kept.of`, for a caller that does not tidy up."""
    return Kept(folder, features.model, lease).of(features, input_uri, fit_on)


class Kept:
    """The moments of one model in OUTPUT, as one run uses and tidies them."""

    def __init__(self, folder: Folder, model: str, lease: Lease) -> None:
        self._folder, self._place, self._lease = folder, f"moments/{model}", lease
        self._used: dict[str, int] = {}  # file to rows, of the last `of`
        self._groups: dict[str, list[str]] = {}  # file of a sum to the files of chunks in it

    def of(self, features: Features, input_uri: str, fit_on: str | None) -> Moments:
        """
        Moments of the rows of `features` that `fit_on` names; those that are not kept are computed and kept.

        Raises:
            InputError: `fit_on` names no image.
            VarianceError: there is no image at all.
            LeaseError: another run took over.
        """
        chosen = features if fit_on is None else features.only(matching(features.keys, fit_on, input_uri))
        rows = _rows(chosen)
        if not rows and fit_on is not None:
            raise nothing_matches(fit_on)
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
                self._write(name, fold(chosen.only(_of_chunk(chosen.keys, chunk))))
            self._used[name] = count
        return self._sum(self._used)

    def tidy(self) -> None:
        """
        After `of`: merge the smallest files as long as there are more than FILES, and delete files that were not used, but for as many as
        were, the newest ones, which another `--fit-on` may use.

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
        """Replace `members` by one file. In this order: whatever is interrupted, each chunk is in a file that is found."""
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
    Of files and their rows the smallest ones, which have at most MERGED_ROWS together; none if there are at most FILES, or if no two fit.

    So there are never more than FILES, or one for each half of MERGED_ROWS, and one more.
    """
    if len(rows) <= FILES:
        return []
    smallest = sorted(rows, key=lambda name: (rows[name], name))
    fitting = [name for name, total in zip(smallest, accumulate(rows[name] for name in smallest), strict=True) if total <= MERGED_ROWS]
    return fitting if len(fitting) > 1 else []


def most_files(rows: int) -> int:
    """As many as a run over `rows` reads, at most, once they are tidy."""
    return max(FILES, 1 + 2 * rows // MERGED_ROWS)


def drop_outdated(spark: SparkSession, folder: Folder) -> None:
    """
    Delete every file, of all models, that may sum a row which is not in the table any more: all but those of whole chunks as they are.

    What a photo had before it changed is in the sum of a chunk that its newest row does not name, and the name of a file does not tell
    which rows of its chunk are in it. Two sums that differ by one photo tell its features.
    """
    for model in folder.names("moments"):
        place = f"moments/{model}"
        whole = {name for name, _ in _rows(Features.of(spark, DeltaLog(folder, "features"), model)).values()}
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
    """Moments of all rows of `features`, by Spark's tasks. Takes up to 208 MB of the driver's memory."""

    def folded(tables: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
        return pca.moments_rows(pca.fold(pca.matrix(table["embedding"].combine_chunks())) for table in tables)

    tasks = min(features.tasks(), MOST_TASKS, features.spark.sparkContext.defaultParallelism)
    rows = features.mapped(["embedding"], tasks, folded, MOMENTS).arrow()
    return reduce(add, (pca.moments_from(**row) for row in rows.to_pylist()))


def nothing_matches(fit_on: str) -> NoPhotosError:
    hint = "use a pattern for labels (`Apple*`) or for folders below INPUT (`Training`)"
    return NoPhotosError(f"--fit-on `{fit_on}` matches no images", hint)


def matching(keys: Rows, glob: str, input_uri: str) -> Rows:
    """Rows whose label, path below INPUT, or a folder on it matches `glob` (`Training` is all below Training/)."""
    start = len(join(input_uri, ""))
    path = fnmatch.translate(glob).removesuffix(r"\Z")
    if isinstance(keys, SparkRows):
        below = F.expr(f"substring(uri, {start + 1})")
        return SparkRows(keys.frame.where(F.col("label").rlike(f"^{path}$") | below.rlike(f"^{path}(/.*)?$")), keys.schema)
    of_label, of_path = re.compile(path), re.compile(f"{path}(/.*)?", re.DOTALL)
    table = keys.arrow()
    pairs = zip(table["uri"].to_pylist(), table["label"].to_pylist(), strict=True)
    chosen = [bool(of_label.fullmatch(label or "") or of_path.fullmatch(uri[start:])) for uri, label in pairs]
    return ArrowRows(table.filter(pa.array(chosen, pa.bool_())))


def _of_chunk(keys: Rows, chunk: Chunk) -> Rows:
    if isinstance(keys, SparkRows):
        return SparkRows(keys.frame.where((F.col("run_id") == chunk.run_id) & (F.col("micros") == chunk.micros)), keys.schema)
    table = keys.arrow()
    return ArrowRows(table.filter(pc.and_(pc.equal(table["run_id"], chunk.run_id), pc.equal(table["micros"], chunk.micros))))


def _rows(features: Features) -> dict[Chunk, tuple[str, int]]:
    """The file of moments of each chunk that `features` have rows of, and how many."""
    rows: dict[Chunk, list[int]] = defaultdict(lambda: [0, 0])  # count, and all addresses and etags in one number
    if isinstance(features.keys, SparkRows):
        digits = F.substring(F.sha2(F.concat_ws("\0", "uri", "etag"), 256), 1, DIGITS)
        number = F.bit_xor(F.conv(digits, 16, 10).cast("bigint")).alias("number")
        for row in features.keys.frame.groupBy("run_id", "micros").agg(F.count("*").alias("n"), number).collect():
            rows[Chunk(row["run_id"], row["micros"])] = [row["n"], row["number"]]
    else:
        for row in features.keys.select("run_id", "micros", "uri", "etag").arrow().to_pylist():
            chunk = rows[Chunk(row["run_id"], row["micros"])]
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
    """The upper triangle only: 6.6 MB at 1,280 features."""
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
