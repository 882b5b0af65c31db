"""Networks of Keras Applications: the registry, names that are refused, fingerprints. What they compute: tests/e2e."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from job.contract.params import APPLICATIONS, Params, RangeError, application
from job.imaging.networks import application_fingerprint, fingerprint_of


def params(**more):
    return Params("file:///in", "file:///out", "r1", **more)


@pytest.mark.parametrize("name", APPLICATIONS)
def test_file_and_hash_are_those_of_keras(name):
    """Of the Keras that is installed; its source is read, not run."""
    network = APPLICATIONS[name]
    modules = ("resnet",) if network.module == "resnet_v2" else (network.module,)  # where both versions have their files
    source = "".join((Path(find_spec("keras").origin).parent / "src/applications" / f"{module}.py").read_text() for module in modules)
    folder = network.path.rsplit("/", 1)[0].rsplit("/", 1)[-1]

    assert f'"{network.md5}"' in source
    assert folder in source


def test_a_network_that_is_not_in_the_registry_is_refused_with_the_list():
    with pytest.raises(RangeError, match=r"keras:DenseNet121, keras:EfficientNetB0, .*keras:Xception, not `keras:Foo`"):
        params(model="keras:Foo")


def test_models_without_the_prefix_are_no_applications():
    assert application("EfficientNetB0") is None
    assert application("keras:EfficientNetB0") is APPLICATIONS["EfficientNetB0"]


def test_the_fingerprint_is_of_the_network_and_of_the_content_of_its_file(tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (application_fingerprint("keras:Xception", tmp_path / name) for name in "abc")

    assert a == b != c
    assert a.startswith("keras_Xception-")
    assert application_fingerprint("keras:ResNet50", tmp_path / "a") != a
    assert fingerprint_of(params(model="keras:Xception", weights=str(tmp_path / "a"))) == a
    assert fingerprint_of(params(model="keras:Xception")) == "keras_Xception-unknown"
