"""Tell versions of one model apart: features that an earlier version computed stay in OUTPUT beside those of this one."""

from __future__ import annotations

from job.contract.errors import SetupError
from job.contract.records import Manifest, counted
from job.storage.object_store import Folder


def same_model(one: str, other: str) -> bool:
    """Return whether two fingerprints are of one model, perhaps of two versions: `mobilenet_v2-b45530352008`."""
    return one.rpartition("-")[0] == other.rpartition("-")[0]


def outdated_note(count: int) -> str:
    """Return why `count` photos are embedded again."""
    return f"{counted(count, 'photos')} embedded again: the features in OUTPUT are of another version of the model; they stay"


def version_to_use(folder: Folder, pca: str | None, model: str) -> str:
    """
    Return the fingerprint of the features that a run uses: `model`, or the version with which the run `pca` was fitted.

    A PCA of another model is left to `read_fitted`, which refuses it.
    """
    manifest = folder.read(f"runs/{pca}/manifest.json") if pca else None
    fitted_with = Manifest.from_json(manifest.content).model if manifest else model
    return fitted_with if same_model(fitted_with, model) else model


def refuse_uncomputable(missing: int, version: str, model: str) -> None:
    """
    Raise an error if photos need features that only an earlier version could compute.

    Raises:
        SetupError: `missing` photos have no features of `version`, and this program computes `model`.
    """
    if missing and version != model:
        raise SetupError(
            f"the PCA was fitted with `{version}`, which is missing for {counted(missing, 'photos')}; this version computes `{model}`",
            "leave out --pca, so that all features are computed and a PCA is fitted again",
        )
