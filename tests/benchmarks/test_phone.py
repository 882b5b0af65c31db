"""The benchmark of photos of phones: what it measures on, and what it makes of the seconds."""

import inspect

import pytest
from PIL import Image

from benchmarks.phone import FULL, HEIC, SCALED, enlarge_photos, report, seconds_of
from benchmarks.runs import BenchmarkError
from job.imaging.bounded_decode import decode_bounded
from job.imaging.networks import untrained_flatbuffer


def test_photos_are_enlarged_and_repeat_until_there_are_enough(tmp_path, sample):
    made = enlarge_photos(sample / "Test" / "Banana", tmp_path, 13, "JPEG", (800, 600))

    assert len({*made}) == 13
    assert {Image.open(path).size for path in made} == {(800, 600)}
    assert made[0].read_bytes() == made[10].read_bytes()


def test_without_photos_it_says_so(tmp_path):
    with pytest.raises(BenchmarkError, match="no JPEGs below"):
        enlarge_photos(tmp_path, tmp_path, 1, "JPEG")


def test_the_table_has_photos_per_second_and_core_and_judges_the_pairs_of_each_repeat():
    seconds = {SCALED: [10.0, 20.0, 10.0], FULL: [35.0, 66.0, 20.0], HEIC: [5.0, 5.0, 5.0]}

    lines = report(seconds, {SCALED: 100, FULL: 100, HEIC: 10}, 2).splitlines()

    assert "| JPEG, decoded at a fraction of its size | 100 | 10.0 | 5.0 |" in lines
    assert "| HEIC | 10 | 2.0 | 1.0 |" in lines
    assert lines[-1].endswith("| 3.30x (2.00x to 3.50x) | at least 3.00x | yes |")


@pytest.mark.skipif("full" not in inspect.signature(decode_bounded).parameters, reason="large photos are decoded in full only")
@pytest.mark.parametrize("way", [SCALED, FULL, HEIC], ids=lambda way: way.name)
def test_every_way_embeds_photos(tmp_path, sample, model_cache, way):
    pytest.importorskip("pillow_heif")
    photos = enlarge_photos(sample / "Test" / "Banana", tmp_path, 2, way.format, (1600, 1200))

    assert seconds_of(untrained_flatbuffer(model_cache), photos, way, 1) > 0
