"""Open the identifier of a run."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import FruitsError, UsageError
from cli.settings.config import settings
from cli.ui import run_files
from cli.ui.output import progress_bar, said_if_slow
from job.contract.params import application
from job.contract.uris import is_s3

if TYPE_CHECKING:
    from job.product.identify.identifier import Identifier


def open_identifier(output: str | None, run: str | None = None, *, second_opinion: bool = True) -> Identifier:
    """
    Return what answers for `output` (see `run_files.output_of`), with weights from FRUITS_ASSETS, the cache, or downloaded once.

    Raises:
        UsageError: no OUTPUT is known, or this installation lacks the extra [job].
        FruitsError: there is no such run, or it cannot be read.
    """
    config = settings()
    where = run_files.output_of(output, config)
    if find_spec("ai_edge_litert") is None or find_spec("pyarrow") is None:
        raise UsageError("the extra `job` is not installed", "run `uv tool install '.[job]'` in the checkout")
    from cli.photos.assets import application_weights, top_weights, weights
    from job.contract.errors import JobError
    from job.product.identify.identifier import Identifier

    def get(what: str) -> Path:
        network = application(what)
        with progress_bar(f"Download {what}", "bytes") as progress:
            places = config.assets, config.cache, progress
            if network:
                return application_weights(network, *places)
            return (top_weights if what == "classifier" else weights)(*places)

    if is_s3(where):
        run_files.export_aws_settings(config)
    try:
        with said_if_slow("Opening the run and its network; the first time takes up to a minute"):
            return Identifier(where, run, weights=get, cache=config.cache, second_opinion=second_opinion)
    except JobError as error:
        raise FruitsError(str(error), error.hint, error.code) from error
