"""The command on all 3,930 photos of the published sample, with Keras's ImageNet weights."""

import pytest

SAMPLE_MODEL = "mobilenet_v2-b45530352008"


def test_the_sample_gives_131_labels_and_73_percent_of_variance(fruitsctl, real_sample, tmp_path):
    manifest = fruitsctl.run(real_sample, tmp_path / "out")

    assert manifest["counts"] == {
        "listed": 3930,
        "beyond_limit": 0,
        "ignored": 0,
        "new": 3930,
        "embedded": 3930,
        "rejected": 0,
        "superseded": 0,
        "removed": 0,
        "outdated": 0,
        "rows": 3930,
        "labels": 131,
    }
    assert manifest["k"] == 50
    assert manifest["variance"] == pytest.approx(0.733, abs=0.0005)
    assert manifest["model"] == SAMPLE_MODEL
