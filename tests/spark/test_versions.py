"""OUTPUT after an update whose model has another fingerprint: what is embedded again, and what the old features are still good for."""

import shutil

import pytest
from deltalake import DeltaTable

from job.contract.errors import SetupError
from job.contract.params import Params
from job.contract.uris import from_text
from job.imaging import networks
from job.stages.preview import preview
from job.stages.versions import same_model

OLD = "mean_colour-v0"
WHY = "60 photos embedded again: the features in OUTPUT are of another version of the model; they stay"


@pytest.fixture
def updated(run_job, photos, tmp_path, monkeypatch):
    """OUTPUT with a run of an earlier version of the model."""
    with monkeypatch.context() as earlier:
        earlier.setattr(networks, "fingerprint", lambda *_: OLD)
        run_job(photos, tmp_path / "out", components=2)
    return tmp_path / "out"


def models(output):
    rows = DeltaTable(str(output / "features")).to_pyarrow_table(columns=["model"])
    return sorted(rows["model"].to_pylist())


def test_a_run_after_the_update_embeds_again_and_says_why(run_job, updated, photos, capfd):
    first = run_job(photos, updated, components=2)
    stderr = capfd.readouterr().err
    second = run_job(photos, updated, components=2)

    assert (first.counts["new"], first.counts["outdated"], first.counts["rows"]) == (60, 60, 60)
    assert WHY in first.notes
    assert f"{WHY}\n" in stderr
    assert (second.counts["new"], second.counts["outdated"], second.notes) == (0, 0, [])
    assert models(updated) == [OLD] * 60 + ["mean_colour-v2"] * 60


def test_a_new_photo_is_not_taken_for_an_outdated_one(run_job, updated, photos):
    run_job(photos, updated, components=2)
    file = min(photos.rglob("*.jpg"))
    shutil.copy(file, file.with_name("new.jpg"))

    run = run_job(photos, updated, components=2)

    assert (run.counts["new"], run.counts["outdated"]) == (1, 0)


def test_the_pca_of_an_old_run_projects_its_own_features(run_job, updated, photos, matrix):
    run_job(photos, updated, components=2)
    run = run_job(photos, updated, pca="run-00")

    assert (run.model, run.counts["new"], run.counts["rows"]) == (OLD, 0, 60)
    assert matrix(updated, run.run_id) == matrix(updated, "run-00")


def test_photos_without_features_for_the_old_pca_are_counted(run_job, updated, photos):
    file = min(photos.rglob("*.jpg"))
    shutil.copy(file, file.with_name("new.jpg"))
    message = f"the PCA was fitted with `{OLD}`, which is missing for 1 photo; this version computes `mean_colour-v2`"

    with pytest.raises(SetupError, match=message) as refused:
        run_job(photos, updated, pca="run-00")
    with pytest.raises(SetupError, match=message):
        preview(Params(from_text(str(photos)), from_text(str(updated)), "next", model="mean_colour", pca="run-00"))
    assert refused.value.hint == "leave out --pca, so that all features are computed and a PCA is fitted again"


@pytest.mark.parametrize(
    ("other", "same"), [("mobilenet_v2-1", True), ("mobilenet_v2_untrained-2", False), ("mean_colour-v2", False), ("", False)]
)
def test_versions_of_one_model_have_its_name(other, same):
    assert same_model("mobilenet_v2-2", other) is same
