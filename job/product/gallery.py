"""Load a published run, from disk or S3, into memory for searches: scores, labels and PCA. No Spark."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from job.contract.errors import InputError, OutputError
from job.contract.uris import join, shown
from job.product.neighbours import Scores, nearest, unit_rows
from job.product.threshold import calibrate
from job.storage.folders import open_folder
from job.storage.object_store import File, Folder

Number = TypeVar("Number", np.float32, np.int32)
READERS = 8  # parts of pca/ in flight: on S3 each of them mostly waits
CALIBRATION_IMAGES = 500  # compared with all others if the run has no calibration


@dataclass(frozen=True)
class Gallery:
    """The images of one run. Row i of `units` has the label `names[codes[i]]` and the URI `uris[i]`."""

    run_id: str
    pca_run_id: str
    model: str  # fingerprint
    network: str  # name, one of job.contract.params.MODELS
    created: float  # when the run was published, seconds since 1970
    mean: npt.NDArray[np.float64]  # (d,)
    loadings: npt.NDArray[np.float64]  # (d, k)
    units: Scores  # (n, k), unit length
    codes: npt.NDArray[np.int32]  # (n,)
    names: list[str]
    uris: Any  # pyarrow.StringArray: a million Python strings would take seconds
    calibration: dict[str, float]
    output: str  # URI
    files: list[File]  # that all this is from, as they were just before they were read

    def is_current(self) -> bool:
        """
        Return whether matrix, PCA and manifest are still those that were read; an erasure rewrites them.

        Raises:
            OutputError, CredentialsError: they cannot be listed.
        """
        return gallery_files(open_folder(self.output), self.run_id) == self.files

    def __len__(self) -> int:
        return len(self.units)

    def project(self, features: npt.NDArray[np.float32]) -> Scores:
        """Project features (m, d) to scores (m, k) of unit length."""
        return unit_rows(((features - self.mean) @ self.loadings).astype(np.float32))

    def uri(self, row: int) -> str:
        """Return the URI of a row."""
        uri: str = self.uris[row].as_py()
        return uri


def open_gallery(output: str, run_id: str | None = None) -> Gallery:
    """
    Load run `run_id`, or the newest one, of `output` (URI).

    Raises:
        InputError: there is no such complete run.
        OutputError, CredentialsError: it cannot be read, or is changed meanwhile.
    """
    folder = open_folder(output)
    wanted = run_id or newest_run(folder)
    files = gallery_files(folder, wanted)
    manifest = folder.read(f"runs/{wanted}/manifest.json")
    fitted = folder.read(f"runs/{wanted}/pca.npz")
    if manifest is None or fitted is None:
        raise InputError(f"there is no finished run `{wanted}` in `{shown(folder.uri)}`", "omit --run to use the newest run")
    about = json.loads(manifest.content)
    with np.load(io.BytesIO(fitted.content)) as arrays:
        mean, scale, components = arrays["mean"], arrays["scale"], arrays["components"]
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)  # as in job.stages.pca.Fitted, which needs Spark
    units, codes, names, uris = read_scores(folder, wanted)
    gallery = Gallery(
        run_id=wanted,
        pca_run_id=about["fitted_by"],
        model=about["model"],
        network=about["params"]["model"],
        created=datetime.fromisoformat(about["created_at"]).timestamp(),
        mean=mean,
        loadings=components * inverse[:, np.newaxis],
        units=units,
        codes=codes,
        names=names,
        uris=uris,
        calibration=calibration_of(about.get("identify"), units, codes),
        output=output,
        files=files,
    )
    if not gallery.is_current():  # the PCA of before would meet the matrix of after
        raise OutputError(f"run `{wanted}` was changed while it was read", "run the command again once the erasure has ended")
    return gallery


def gallery_files(folder: Folder, run_id: str) -> list[File]:
    """Return the files of the run that a gallery is made of, with their modification times."""
    below = f"runs/{run_id}"
    matrix = [file for file in folder.files(f"{below}/pca") if file.name.endswith(".parquet")]
    return [*matrix, *(file for file in folder.files(below) if file.name in ("manifest.json", "pca.npz"))]


def newest_run(folder: Folder) -> str:
    """
    Return the newest run_id.

    Raises:
        InputError: nothing is published yet.
    """
    latest = folder.read("latest.json")
    if latest is None:
        raise InputError(f"there is no run in `{shown(folder.uri)}` yet", "create one with `fruitsctl run INPUT OUTPUT --local`")
    run_id: str = json.loads(latest.content)["run_id"]
    return run_id


def read_scores(folder: Folder, run_id: str) -> tuple[Scores, npt.NDArray[np.int32], list[str], Any]:
    """
    Read `runs/<run_id>/pca/`: unit scores, label codes, label names and URIs.

    Returns:
        units (n, k) float32, codes (n,) int32 into names, names, uris (pyarrow string array).

    Raises:
        InputError: all its photos were erased.
        OutputError: a file went missing, or is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    below = f"runs/{run_id}/pca"

    def read(name: str) -> pa.Table:
        stored = folder.read(f"{below}/{name}")
        uri = join(folder.uri, below, name)
        if stored is None:
            raise OutputError(f"`{shown(uri)}` is missing", "run `fruitsctl run` again: features are kept")
        try:
            # Not `read_table`: it imports pyarrow.dataset and all file systems, which takes half a second.
            return pq.ParquetFile(pa.BufferReader(stored.content)).read(columns=["uri", "label", "pc"], use_threads=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise OutputError(f"`{shown(uri)}` is damaged: {error}", "run `fruitsctl run` again: features are kept") from error

    parts = [name for name in folder.names(below) if name.endswith(".parquet")]
    if not parts:
        raise OutputError(f"there is no matrix in `{shown(join(folder.uri, below))}`", "run `fruitsctl run` again: features are kept")
    with ThreadPoolExecutor(READERS) as readers:
        table = pa.concat_tables(readers.map(read, parts)).combine_chunks()
    if not len(table):
        raise InputError(f"run `{run_id}` has no photos any more: all were erased", "run `fruitsctl run` with other photos")
    scores = to_numpy(table["pc"].combine_chunks().flatten(), np.float32).reshape(len(table), -1)
    labels = table["label"].combine_chunks().dictionary_encode()
    return unit_rows(scores), to_numpy(labels.indices, np.int32), labels.dictionary.to_pylist(), table["uri"].combine_chunks()


def to_numpy(array: Any, kind: type[Number]) -> npt.NDArray[Number]:
    """Convert a pyarrow array without nulls, without copying. Its own `to_numpy` imports pandas, which takes half a second."""
    return np.frombuffer(array.buffers()[1], kind)[array.offset : array.offset + len(array)]


def calibration_of(stored: dict[str, float] | None, units: Scores, codes: npt.NDArray[np.int32]) -> dict[str, float]:
    """Return the calibration that the run stored, else that of at most CALIBRATION_IMAGES images, evenly spread."""
    if stored and "typical" in stored:
        return stored
    if len(units) < 2:
        return calibrate(np.empty(0, np.float32), np.empty(0, np.bool_))
    rows = np.linspace(0, len(units) - 1, min(CALIBRATION_IMAGES, len(units))).astype(np.intp)
    others, distances = nearest(units, units[rows], 1, own=rows)
    return calibrate(distances[:, 0], codes[others[:, 0]] == codes[rows])
