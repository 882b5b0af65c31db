"""A run's files to a gallery in memory, and what is said where they are not as they should be."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from job.contract.errors import InputError, OutputError
from job.product.gallery import open_gallery
from tests.unit.job.product.galleries import RUN, write_gallery

RED, GREEN, BLUE = (200, 40, 30), (60, 150, 40), (40, 50, 160)


def test_rows_labels_and_uris_belong_together_over_many_parts(tmp_path):
    uri = write_gallery(tmp_path, [("Tomato", RED), ("Limes", GREEN), ("Plum", BLUE), ("Limes", (70, 150, 50))], parts=3)
    gallery = open_gallery(uri)

    assert (len(gallery), gallery.run_id, gallery.pca_run_id) == (4, RUN, RUN)
    told = {gallery.uri(row).rsplit("/", 2)[-2:][0]: gallery.names[code] for row, code in enumerate(gallery.codes)}
    assert told == {"Tomato": "Tomato", "Limes": "Limes", "Plum": "Plum"}
    np.testing.assert_allclose(np.linalg.norm(gallery.units, axis=1), 1, rtol=1e-6)
    tomato = next(row for row in range(4) if "Tomato" in gallery.uri(row))
    np.testing.assert_allclose(gallery.units[tomato], gallery.project(np.array([RED], np.float32) / 255)[0], atol=1e-6)


def test_the_threshold_of_the_run_itself_is_used(tmp_path):
    stored = {"threshold": 0.123, "typical": 0.05, "median": 0.01, "images": 2.0, "right": 1.0}

    assert open_gallery(write_gallery(tmp_path, [("Tomato", RED), ("Limes", GREEN)], identify=stored)).calibration == stored


def test_an_older_run_without_one_is_calibrated_when_opened(tmp_path):
    colours = [("Tomato", RED), ("Tomato", RED), ("Limes", GREEN), ("Limes", GREEN)]
    calibration = open_gallery(write_gallery(tmp_path, colours)).calibration

    assert (calibration["images"], calibration["right"]) == (4.0, 1.0)
    assert calibration["threshold"] == pytest.approx(0, abs=1e-6)


def test_a_gallery_of_one_image_opens(tmp_path):
    gallery = open_gallery(write_gallery(tmp_path, [("Tomato", RED)]))

    assert (len(gallery), gallery.calibration["threshold"]) == (1, 0.0)


def test_a_pca_of_one_component_opens(tmp_path):
    assert open_gallery(write_gallery(tmp_path, [("Tomato", RED), ("Limes", GREEN)], components=1)).units.ravel().tolist() == [1.0, -1.0]


def test_standardised_features_are_scaled_and_constant_ones_left_out(tmp_path):
    uri = write_gallery(tmp_path, [("Tomato", RED), ("Limes", GREEN)])
    np.savez(tmp_path / "runs" / RUN / "pca.npz", mean=np.zeros(3), scale=np.array([2.0, 1.0, 0.0]), components=np.eye(3))

    np.testing.assert_allclose(open_gallery(uri).project(np.array([[6.0, 4.0, 9.0]], np.float32)), [[0.6, 0.8, 0.0]], rtol=1e-6)


def test_no_run_yet_says_how_to_make_one(tmp_path):
    with pytest.raises(InputError, match="there is no run in") as error:
        open_gallery(f"file://{tmp_path}")
    assert error.value.hint == "create one with `fruitsctl run INPUT OUTPUT --local`"


def test_a_run_without_manifest_does_not_exist(tmp_path):
    uri = write_gallery(tmp_path, [("Tomato", RED), ("Limes", GREEN)])
    (tmp_path / "runs" / RUN / "manifest.json").unlink()

    with pytest.raises(InputError, match=f"there is no finished run `{RUN}`"):
        open_gallery(uri)


def test_an_unknown_run_id_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no finished run `20200101T000000Z-0000`"):
        open_gallery(write_gallery(tmp_path, [("Tomato", RED), ("Limes", GREEN)]), "20200101T000000Z-0000")


@pytest.mark.parametrize("content", [b"", b"PAR1 and then nothing", b"\x00" * 1000])
def test_a_damaged_part_is_named(tmp_path, content):
    uri = write_gallery(tmp_path, [("Tomato", RED), ("Limes", GREEN)])
    (tmp_path / "runs" / RUN / "pca" / "part-0.parquet").write_bytes(content)

    with pytest.raises(OutputError, match=r"part-0\.parquet` is damaged"):
        open_gallery(uri)


def test_a_matrix_without_parts_is_said_to_be_gone(tmp_path):
    uri = write_gallery(tmp_path, [("Tomato", RED), ("Limes", GREEN)])
    (tmp_path / "runs" / RUN / "pca" / "part-0.parquet").unlink()

    with pytest.raises(OutputError, match="there is no matrix in"):
        open_gallery(uri)


def test_a_run_whose_photos_were_all_erased_says_so(tmp_path):
    uri = write_gallery(tmp_path, [("Tomato", RED)])
    matrix = next(tmp_path.glob("runs/*/pca/*.parquet"))
    pq.write_table(pq.read_table(matrix).slice(0, 0), matrix)

    with pytest.raises(InputError, match="has no photos any more"):
        open_gallery(uri)
