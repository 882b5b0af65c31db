"""Published photos, pixel by pixel: JPEG files of cameras and of the web have what no generated file has."""

import numpy as np
from PIL import Image

from cli.photos.strip_metadata import strip
from job.imaging import decode
from job.imaging.decode import decode_image
from job.product.identify.crops import open_photo, views
from tests.unit.cli.photos.test_strip_metadata import upright
from tests.unit.job.imaging.test_decode import plainly


def test_fifty_photos_of_the_sample_are_what_pillow_alone_makes_of_them(real_sample):
    paths = sorted(real_sample.glob("Test/*/*.jpg"))[::26]
    assert len(paths) >= 50
    for path in paths:
        content = path.read_bytes()
        assert np.array_equal(decode_image(content, 224).pixels, plainly(content)), path
        np.testing.assert_array_equal(views(open_photo(content), 224)["whole"], decode_image(content, 224).pixels)
        np.testing.assert_array_equal(upright(strip(content)), upright(content))


def test_large_photos_are_exactly_what_pillow_alone_makes_of_them(assets):
    large = [path for path in (assets / "photos").iterdir() if np.prod(Image.open(path).size) > decode.STRIP_PIXELS]
    assert len(large) >= 2
    for path in large:
        assert np.array_equal(decode_image(path.read_bytes(), 224, full=True).pixels, plainly(path.read_bytes())), path
