"""Convert an Answer to the API's response. Server paths stay hidden: a gallery photo is a name and a row number."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from job.product.fruits import fruit_of
from job.product.identify.answer import Answer


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Texts(Strict):
    en: str
    fr: str


class FruitCard(Strict):
    """What the fruit is; the same for all its varieties."""

    key: str
    names: Texts
    scientific: str
    family: str
    group: str
    season: Annotated[list[Annotated[int, Field(ge=1, le=12)]], Field(description="Months of the season in France, in order")]
    imported: Annotated[bool, Field(description="Whether it is imported; the months are those in French shops")]
    about: Texts


class LookAlike(Strict):
    """A photo of the gallery."""

    name: Annotated[str, Field(description="Folder and file name")]
    thumbnail: Annotated[str, Field(description="Path of the thumbnail on this server")]
    distance: Annotated[float, Field(description="Cosine distance, 0..2")]


class Candidate(Strict):
    label: str
    group: str
    score: Annotated[float, Field(description="0..1; the scores of all labels add up to 1")]
    distance: float
    neighbours: list[LookAlike]


class Identified(Strict):
    """`ok`: a label, or only a group where varieties disagree. `unknown`: nothing is near enough. `unreadable`: `reason` says why."""

    status: Literal["ok", "unknown", "unreadable"]
    best: Annotated[str | None, Field(description="The label, if it is certain")]
    group: Annotated[str | None, Field(description="Coarse group, for example Apple")]
    score: Annotated[float, Field(description="Score of the group, 0..1")]
    results: list[Candidate]
    distance: Annotated[float | None, Field(description="Distance to the nearest photo")]
    threshold: Annotated[float, Field(description="Beyond this distance the answer is unknown")]
    reason: str | None
    seen_as: Annotated[str | None, Field(description="Answer of the network's ImageNet classifier")]
    second_opinion: Annotated[bool, Field(description="Whether the ImageNet classifier was asked; only the trained network has one")]
    fruit: FruitCard | None
    run_id: str
    pca_run_id: str
    model: str


class Learned(Strict):
    """A photo that was taught: a copy without metadata is in INPUT."""

    run_id: str
    label: Annotated[str, Field(description="As the run spells it")]
    address: Annotated[str, Field(description="Of the copy in INPUT: a path on the server, or s3://…")]
    erase: Annotated[str, Field(description="Command that erases the photo and all that is derived from it")]
    new: Annotated[bool, Field(description="False if the run had the photo before")]


class Healthy(Strict):
    status: Literal["ok"]
    run_id: str
    model: str
    images: Annotated[int, Field(description="Photos in the gallery")]
    labels: int


class Problem(Strict):
    code: Annotated[str, Field(description="Error code for programs: too_large, too_many, busy, …")]
    message: str
    hint: Annotated[str, Field(description="What to do")]


class Failed(Strict):
    error: Problem


def to_web(answer: Answer, uris: Any, numbers: npt.NDArray[np.intp]) -> Identified:
    """
    Convert an answer for the API.

    `uris` (n,) are the gallery's (pyarrow string array); `numbers` (n,) name its thumbnails.
    """
    rows = row_numbers([neighbour.uri for result in answer.results for neighbour in result.neighbours], uris)
    paths = {uri: f"/thumbnail/{numbers[row]}" for uri, row in rows.items()}
    values = answer.to_dict()
    for result in values["results"]:
        result["neighbours"] = [
            LookAlike(name="/".join(one["uri"].split("/")[-2:]), thumbnail=paths[one["uri"]], distance=one["distance"])
            for one in result["neighbours"]
        ]
    named = (answer.best or answer.group) if answer.status == "ok" else None
    fruit = fruit_of(named) if named else None
    return Identified(**values, fruit=FruitCard(**fruit.to_dict()) if fruit else None)


def row_numbers(wanted: list[str], uris: Any) -> dict[str, int]:
    """Return the row of each of `wanted` in `uris`, in one pass: no table of a million names is kept."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not wanted:
        return {}
    rows = np.flatnonzero(pc.is_in(uris, value_set=pa.array(wanted, uris.type)).to_numpy(zero_copy_only=False))
    return {uris[int(row)].as_py(): int(row) for row in rows}
