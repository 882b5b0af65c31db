"""Names of networks, fingerprints, and what is refused before anything is loaded."""

import numpy as np
import pytest

from job.contract.errors import ModelError, SetupError
from job.contract.params import UNTRAINED, Params
from job.imaging.networks import MeanColour, fingerprint, litert_flatbuffer, load_model, untrained_flatbuffer


def params(**more):
    return Params("file:///in", "file:///out", "r1", **more)


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(ModelError, match=r"no weights at `.*absent\.h5`"):
        load_model(params(weights=str(tmp_path / "absent.h5")))


def test_the_fingerprint_is_of_the_function_not_of_the_file():
    assert fingerprint("mobilenet_v2") == "mobilenet_v2-b45530352008"


def test_mean_colour_is_the_mean_of_each_channel():
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, :16] = (255, 0, 51)

    np.testing.assert_allclose(MeanColour()(pixels), [0.5, 0.0, 0.1], atol=1e-6)


def test_the_untrained_network_has_its_own_fingerprint():
    assert fingerprint(UNTRAINED).startswith("mobilenet_v2_untrained-")


def test_the_untrained_network_takes_no_weights():
    with pytest.raises(ValueError, match="`mobilenet_v2_untrained` takes no weights"):
        params(model=UNTRAINED, weights="w.h5")


@pytest.mark.parametrize("name", ["file/cache", "cache"])
def test_a_cache_that_cannot_be_written_is_named_with_the_variable_that_moves_it(name, tmp_path):
    """A file is in the place of its folder; or its folder takes no files."""
    (tmp_path / "file").write_text("")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "models").symlink_to("/proc/self")

    with pytest.raises(SetupError, match=r"cannot write `.*\.tflite`: N") as refused:
        untrained_flatbuffer(tmp_path / name)
    assert refused.value.hint == "set FRUITS_CACHE to a writable folder with free space"


def test_weights_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(ModelError, match=f"cannot read `{tmp_path}/absent.h5`: No such file or directory"):
        litert_flatbuffer(tmp_path / "absent.h5", tmp_path)
