"""The classifier's file in the cache folder."""

import h5py
import numpy as np
import pytest

from job.contract.errors import SetupError
from job.product.identify.imagenet_classifier import load_classifier


def test_a_cache_that_cannot_be_written_is_named_with_the_variable_that_moves_it(tmp_path):
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["kernel"], file["bias"] = np.zeros((1280, 1000), np.float32), np.zeros(1000, np.float32)
    (tmp_path / "file").write_text("")

    with pytest.raises(SetupError, match=f"cannot write `{tmp_path}/file/cache/models/imagenet_head-.*`: Not a directory") as refused:
        load_classifier(tmp_path / "weights.h5", tmp_path / "file" / "cache")
    assert refused.value.hint == "set FRUITS_CACHE to a writable folder with free space"
