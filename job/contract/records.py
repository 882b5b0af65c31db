"""
Define the records that the job sends to the CLI: progress, outcome, manifest, preview. Standard library only.

Every line that the job prints on stdout is `MARK` and one JSON object; other lines come from libraries. The two sides may be of different
versions: a reader ignores unknown fields and records, and fills in defaults for missing fields.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

MARK = "@fruits "
SCHEMA_VERSION = 1  # of all records; raise it for a change that older readers would misunderstand

T = TypeVar("T")


class RecordError(ValueError):
    """A file that is not a record, or whose version this one cannot read."""


@dataclass(frozen=True)
class Progress:
    """The progress of one stage, sent at its start (done 0), at its end and in between. `total` None: not known yet."""

    stage: str  # a key of STAGES
    done: int
    total: int | None
    unit: str = "images"
    seconds: float = 0.0  # since the stage began
    finished: bool = False


STAGES = {
    "start": "Start Spark",
    "model": "Model and tables",
    "list": "List input",
    "new": "Find new images",
    "embed": "Embed images",
    "fit": "Fit PCA",
    "project": "Project",
    "publish": "Publish",
    "report": "Report",
    # of an erasure
    "find": "Find photos",
    "read": "Read photos",
    "photos": "Remove photos",
    "tables": "Remove rows",
    "runs": "Clean runs",
    "refit": "Refit PCA",
    "purge": "Remove old versions",
    "prove": "Verify erasure",
}


@dataclass(frozen=True)
class Outcome:
    """How a run ended; `runs/<run_id>/outcome.json`, written also when it fails."""

    run_id: str
    code: int  # 0 done, 1 failed, 2 setup, 3 refused, 130 interrupted
    kind: str  # "done", or the name of the error
    message: str = ""
    hint: str = ""

    @classmethod
    def from_json(cls, text: str | bytes) -> Outcome:
        """
        Parse an outcome.

        Raises:
            RecordError: `text` is not an outcome.
        """
        return _read(cls, _object(text))

    def to_json(self) -> str:
        return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(self)}, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class Stage:
    """Duration of a stage and the number of images that it worked on."""

    seconds: float
    images: int

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Manifest:
    """
    What a run was and how good it is: all that is needed to repeat and judge it.

    `runs/<run_id>/manifest.json`, written last.
    """

    run_id: str
    created_at: str  # ISO 8601, UTC
    generation: int  # of the lease it was written under; a later owner's is higher
    params: dict[str, Any]
    model: str  # fingerprint: rows of `features` with the same one are comparable
    versions: dict[str, str]
    counts: dict[str, int]  # listed, beyond_limit, ignored, new, embedded, rejected, removed, rows, labels
    rejects: dict[str, int]  # reason -> images
    ignored: dict[str, int]  # file suffix -> files that are no images by name
    stages: dict[str, Stage]
    k: int
    variance: float  # share explained by the k components, 0..1
    fitted_by: str  # run_id of the run that fitted the PCA: this one, or the origin of that of --pca
    notes: list[str] = field(default_factory=list)  # what a reader should know: fewer components than asked, ...
    image_digest: str | None = None
    cores: int | None = None  # of Spark at the end of the run
    identify: dict[str, Any] | None = None  # how far a photo may be from its nearest neighbour: job/product/threshold.py
    cost: dict[str, Any] | None = None

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """
        Parse a manifest.

        Raises:
            RecordError: `text` is not a manifest.
        """
        values = _object(text)
        stages = values.get("stages")
        if not isinstance(stages, dict):
            raise RecordError("a manifest without `stages`")
        return _read(cls, {**values, "stages": {name: _read(Stage, stage) for name, stage in stages.items()}})

    def to_json(self) -> str:
        values = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        for name, stage in self.stages.items():
            values["stages"][name]["images_per_second"] = round(stage.images_per_second, 1)
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class Preview:
    """What a run would do, found without Spark and without writing."""

    listed: int  # photos below INPUT
    labels: int
    ignored: dict[str, int]  # file suffix -> files that are no photos by name
    problems: int  # files and folders that cannot be listed
    beyond_limit: int  # photos that --limit leaves out
    new: int  # photos that would be embedded
    known: int  # photos whose features are in OUTPUT
    undecoded: int  # photos that an earlier run could not decode, and that would not be tried again
    runs: int  # finished runs in OUTPUT


def plural_noun(count: float, nouns: str) -> str:
    """Return the plural `nouns`, or the singular for a `count` of 1."""
    return nouns.removesuffix("es" if nouns.endswith("sses") else "s") if count == 1 else nouns


def counted(count: int, nouns: str) -> str:
    """Return a count with its noun: `1 photo`, `2,000 photos`."""
    return f"{count:,} {plural_noun(count, nouns)}"


def is_or_are(count: float) -> str:
    """Return the verb for `count` things."""
    return "is" if count == 1 else "are"


def stage_title(stage: str) -> str:
    """Return the title of a stage; a stage of a newer version keeps its own name."""
    return STAGES.get(stage, stage)


def to_line(record: Progress | Outcome | Preview) -> str:
    """Return the line that carries `record`; `from_line` parses it."""
    return MARK + json.dumps({"record": type(record).__name__, "schema_version": SCHEMA_VERSION, **asdict(record)}, ensure_ascii=False)


def from_line(line: str) -> Progress | Outcome | Preview | None:
    """Parse the record in `line`; None for other text, a truncated line, or a record that this version does not know."""
    if not line.startswith(MARK):
        return None
    try:
        values = _object(line.removeprefix(MARK))
        kind = RECORDS[str(values.get("record"))]
        return _read(kind, values)
    except (RecordError, KeyError):
        return None


RECORDS: dict[str, type[Progress | Outcome | Preview]] = {"Progress": Progress, "Outcome": Outcome, "Preview": Preview}


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError as error:  # not JSON, or not UTF-8
        raise RecordError(f"not a record: {error}") from error
    if not isinstance(values, dict):
        raise RecordError("not a record: no JSON object")
    return values


def _read(kind: type[T], values: Mapping[str, Any]) -> T:
    """Make a `kind` from those `values` that are its fields."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type] # a dataclass
    try:
        return kind(**{name: value for name, value in values.items() if name in names})
    except (TypeError, AttributeError) as error:
        raise RecordError(f"not a {kind.__name__.lower()}: {error}") from error
