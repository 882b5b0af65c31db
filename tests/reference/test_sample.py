"""The choice of photos on the published data set."""

from cli.photos import assets as published
from tests.unit.cli.asset_files import files_in, silent


def test_frames_are_spread_as_filmed(assets, tmp_path):
    published.sample(tmp_path, 12, 3, assets, silent)

    assert sorted(files_in(tmp_path)) == [
        "Cactus fruit/248_100.jpg",
        "Cactus fruit/26_100.jpg",
        "Cactus fruit/317_100.jpg",
        "Cactus fruit/r_306_100.jpg",
        "Mango Red/238_100.jpg",
        "Mango Red/274_100.jpg",
        "Mango Red/r_196_100.jpg",
        "Mango Red/r_52_100.jpg",
        "Potato Sweet/154_100.jpg",
        "Potato Sweet/r2_76_100.jpg",
        "Potato Sweet/r_152_100.jpg",
        "Potato Sweet/r_60_100.jpg",
    ]


def test_without_arguments_500_photos_of_25_fruits_land_in_photos(fruitsctl, tmp_path):
    done = fruitsctl("sample", cwd=tmp_path)

    assert done.returncode == 0
    assert done.stdout == "500 photos of 25 fruits in photos (2.3 MB)\nnext: fruitsctl run photos out --local\n"
    assert len(list((tmp_path / "photos").glob("*/*.jpg"))) == 500
    assert len(list((tmp_path / "photos").iterdir())) == 25
