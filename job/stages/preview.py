"""
Preview a run: `python -m job.stages.preview` takes the job's arguments and sends a Preview.

No Spark starts and nothing is written. An error is sent as an Outcome, as by the job itself.
"""

from __future__ import annotations

import sys
from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from job.contract.errors import JobError
from job.contract.filenames import ListingRow
from job.contract.params import Params
from job.contract.records import Outcome, Preview
from job.imaging.networks import fingerprint
from job.inputs.first_photos import first_rows
from job.inputs.rows import ArrowRows
from job.spark.progress import send
from job.stages.listing import check_input, check_no_overlap, folders_to_list, list_folders, refuse_empty
from job.stages.moments import no_match_error, rows_matching
from job.stages.pca import refuse_too_few
from job.stages.publish import list_complete_runs, read_fitted
from job.storage.data_files import read_table
from job.storage.folders import open_folder
from job.storage.object_store import Folder
from job.storage.schema import FEATURES, REJECTS, only

Photo = tuple[str | None, str | None]  # uri and etag


def main(argv: list[str]) -> int:
    """Print the preview of a run, or the error, and return the exit code."""
    params = Params.from_argv(argv)
    try:
        send(preview(params))
    except JobError as error:
        send(Outcome(params.run_id, error.code, type(error).__name__, str(error), error.hint))
        return error.code
    return 0


def preview(params: Params) -> Preview:
    """
    Return what the run would do.

    Raises:
        InputError: INPUT does not exist, has no photos, or cannot be read.
        OutputError, CredentialsError: OUTPUT cannot be read.
        SetupError: OUTPUT has no complete run `params.pca` of this model.
        VarianceError: there are too few photos for a PCA.
    """
    check_no_overlap(params.input, params.output)
    check_input(params.input)
    images, problems, ignored = listed(params)
    refuse_empty(len(images) + problems, ignored, params.input)
    chosen = first_rows(images, params.limit) if params.limit else images
    taken = {(row.uri, row.etag) for row in chosen}
    folder = open_folder(params.output)
    names, model = folder.names(), fingerprint(params.model, params.full_decode)
    known = taken & photos_in(folder, "features", model) if "features" in names else set()
    undecoded: set[Photo] = set()
    if "rejects" in names and not params.retry_rejects:
        undecoded = taken & photos_in(folder, "rejects", model, "decode") - known
    if params.pca:
        read_fitted(folder, params.pca, model)
    else:
        refuse_unfittable([row for row in chosen if (row.uri, row.etag) not in undecoded], params)
    return Preview(
        listed=len(images),
        labels=len({row.label for row in images}),
        ignored=dict(ignored.most_common()),
        problems=problems,
        beyond_limit=len(images) - len(taken),
        new=len(taken) - len(known) - len(undecoded),
        known=len(known),
        undecoded=len(undecoded),
        runs=len(list_complete_runs(folder)),
    )


def refuse_unfittable(images: list[ListingRow], params: Params) -> None:
    """
    Raise an error if no PCA can be fitted on `images`.

    Raises:
        InputError: `params.fit_on` matches none of `images`.
        VarianceError: there are too few images.
    """
    count = len(images)
    if params.fit_on is not None:
        keys = pa.table({"uri": [row.uri for row in images], "label": [row.label for row in images]})
        count = rows_matching(ArrowRows(keys), params.fit_on, params.input).count()
        if not count:
            raise no_match_error(params.fit_on)
    refuse_too_few(count)


def listed(params: Params) -> tuple[list[ListingRow], int, Counter[str]]:
    """Return the photos below INPUT, how many files and folders cannot be listed, and the ignored files by suffix."""
    images: list[ListingRow] = []
    problems, ignored = 0, Counter[str]()
    for row in list_folders(params.input, folders_to_list(params.input, 1), params.content_hash):
        if row.suffix is not None:
            ignored[row.suffix] += row.files or 0
        elif row.problem is not None:
            problems += 1
        else:
            images.append(row)
    return images, problems, ignored


def photos_in(folder: Folder, table: str, model: str, stage: str | None = None) -> set[Photo]:
    """Return the photos of `model` that are in a table of OUTPUT, of `rejects` only those of `stage`."""
    found: set[Photo] = set()
    columns = only(REJECTS, ["uri", "etag", "model", "stage"]) if stage else only(FEATURES, ["uri", "etag", "model"])
    for rows in read_table(folder, table, columns):
        chosen = rows.filter(pc.field("model") == model)
        chosen = chosen.filter(pc.field("stage") == stage) if stage else chosen
        found.update(zip(chosen["uri"].to_pylist(), chosen["etag"].to_pylist(), strict=True))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
