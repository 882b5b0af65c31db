"""Networks of Keras Applications with weights from a seed: converted, compared with Keras, used by a run and by `identify`."""

import json
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable

from job.contract.errors import ModelError
from job.contract.params import APPLICATIONS, Params
from job.imaging.networks import load_model
from job.imaging.proof import draw_picture
from tests.conftest import made_once

NAMES = ("EfficientNetB0", "MobileNetV3Large")
SEEDED = """
import sys, keras
for name in sys.argv[2:]:
    keras.utils.set_random_seed(1)
    network = getattr(keras.applications, name)(weights=None, include_top=False, pooling="avg", input_shape=(224, 224, 3))
    network.save_weights(f"{sys.argv[1]}/{name}.weights.h5")
"""


@pytest.fixture(scope="module")
def seeded(shared_folder):
    """Weights of NAMES: name to file."""
    folder = shared_folder / "seeded"
    with made_once(folder) as missing:
        if missing:
            subprocess.run([sys.executable, "-c", SEEDED, str(folder), *NAMES], check=True, capture_output=True)
    return {name: folder / f"{name}.weights.h5" for name in NAMES}


def load(name, file, cache, engine="litert"):
    params = Params("file:///in", "file:///out", "r1", f"keras:{name}", engine, weights=str(file), cache=str(cache))
    model = load_model(params)
    return model, model.network(model.payload)


@pytest.mark.parametrize("name", NAMES)
def test_both_engines_compute_the_same(name, seeded, cache):
    picture = draw_picture(1, 224)  # no known picture
    (litert, by_litert), (keras, by_keras) = (load(name, seeded[name], cache, engine) for engine in ("litert", "tensorflow"))
    features = by_keras(picture)

    assert litert.fingerprint == keras.fingerprint
    assert by_litert.dim == by_keras.dim == len(features) == APPLICATIONS[name].dim
    assert np.abs(by_litert(picture) - features).max() < 1e-3 * np.abs(features).max()


def test_a_network_that_litert_computes_otherwise_is_refused(seeded, tmp_path):
    file = tmp_path / "nan.weights.h5"
    shutil.copy(seeded["MobileNetV3Large"], file)
    with h5py.File(file, "r+") as weights:
        found = []
        weights.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) and item.ndim == 4 else None)
        found[0][...] = np.nan

    with pytest.raises(ModelError, match=r"`MobileNetV3Large` by LiteRT differs from Keras with `.*`: by `nan` of the largest feature"):
        load("MobileNetV3Large", file, tmp_path)


def test_weights_of_another_network_are_refused(seeded, tmp_path):
    with pytest.raises(ModelError, match="Keras cannot load"):
        load("MobileNetV3Large", seeded["EfficientNetB0"], tmp_path)


def test_a_run_and_identify_use_it(fruitsctl, seeded, sample, tmp_path):
    photos, output = tmp_path / "photos", tmp_path / "out"
    for label in ("Banana", "Kiwi"):
        shutil.copytree(sample / "Test" / label, photos / label)
    words = ("--model", "keras:EfficientNetB0", "--weights", seeded["EfficientNetB0"], "--components", "3")
    manifest = fruitsctl.run(photos, output, *words)
    photo = min((photos / "Kiwi").iterdir())
    asked = fruitsctl("identify", photo, "--output", output, "--json")

    assert manifest["model"].startswith("keras_EfficientNetB0-")
    assert manifest["counts"]["rows"] == 20
    rows = ds.dataset(DeltaTable(str(output / "features")).file_uris()).to_table(columns=["embedding"])
    assert {len(row) for row in rows["embedding"].to_pylist()} == {1280}
    assert asked.returncode == 0, asked.stderr
    (answer,) = json.loads(asked.stdout)["answers"]
    assert answer["model"] == manifest["model"]
    assert answer["second_opinion"] is False

    preview = fruitsctl("run", photos, output, "--local", "--dry-run", "--json", *words)
    keras = fruitsctl.run(photos, tmp_path / "keras", "--engine", "tensorflow", "--limit", "4", *words)
    assert json.loads(preview.stdout)["preview"]["new"] == 0
    assert (keras["model"], keras["counts"]["rows"]) == (manifest["model"], 4)
