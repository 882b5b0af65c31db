"""
What the job tells whoever started it: progress lines, the outcome, the manifest. Standard library only.

Every line that the job prints on stdout is `MARK` and one JSON object; anything else is somebody else's noise.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

MARK = "@fruits "


@dataclass(frozen=True)
class Progress:
    """How far one stage is. `total` None: not known yet. Sent at the start (done 0) and the end of each stage, and in between."""

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


@dataclass(frozen=True)
class Stage:
    """`images` is what the stage worked on, not what the run knows."""

    seconds: float
    images: int

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Manifest:
    """What a run was, and how good: all that is needed to repeat and to judge it. `runs/<run_id>/manifest.json`, written last."""

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
    fitted_by: str  # run_id whose PCA was used: this run's own, or that of --pca
    notes: list[str] = field(default_factory=list)  # what a reader should know: fewer components than asked, ...
    image_digest: str | None = None
    cores: int | None = None  # that Spark had at the end
    identify: dict[str, Any] | None = None  # how far a photo may be from its nearest neighbour: job/product/threshold.py
    cost: dict[str, Any] | None = None

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        values = json.loads(text)
        values["stages"] = {name: Stage(s["seconds"], s["images"]) for name, s in values["stages"].items()}
        return cls(**values)

    def to_json(self) -> str:
        values = asdict(self)
        for name, stage in self.stages.items():
            values["stages"][name]["images_per_second"] = round(stage.images_per_second, 1)
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class Preview:
    """What a run would find; made without Spark, and without writing."""

    listed: int  # photos below INPUT
    labels: int
    ignored: dict[str, int]  # file suffix -> files that are no photos by name
    problems: int  # files and folders that cannot be listed
    beyond_limit: int  # photos that --limit leaves out
    new: int  # photos that would be embedded
    known: int  # photos whose features are in OUTPUT
    undecoded: int  # photos that an earlier run could not decode, and that would not be tried again
    runs: int  # finished runs in OUTPUT


def to_line(record: Progress | Outcome | Preview) -> str:
    """The line that carries `record`; `from_line` reads it back."""
    return MARK + json.dumps({"record": type(record).__name__, **asdict(record)}, ensure_ascii=False)


def from_line(line: str) -> Progress | Outcome | Preview | None:
    """The record in `line`, or None for any other text."""
    if not line.startswith(MARK):
        return None
    values = json.loads(line.removeprefix(MARK))
    kind = {"Progress": Progress, "Outcome": Outcome, "Preview": Preview}[values.pop("record")]
    record: Progress | Outcome | Preview = kind(**values)
    return record
