"""The fruits file: every label of the data set is a fruit, and every fruit has its texts."""

import re

import pytest

from job.product.fruits import LANGUAGES, fruit_of, fruits, group_name, group_of, labels


def test_131_labels_are_mapped():
    assert len(labels()) == 131


def test_every_fruit_is_some_label_s_and_every_label_s_fruit_is_there():
    assert set(labels().values()) == set(fruits())


@pytest.mark.parametrize("fruit", fruits().values(), ids=lambda fruit: fruit.key)
def test_every_fruit_is_whole_in_both_languages(fruit):
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", fruit.key)
    assert set(fruit.names) == set(fruit.about) == {"en", "fr"}
    assert all(name[0].isupper() for name in fruit.names.values())
    assert all(40 < len(text) < 200 and text.endswith(".") for text in fruit.about.values())
    assert fruit.about["en"] != fruit.about["fr"]
    assert re.fullmatch(r"[A-Z][a-z]+( .+)?", fruit.scientific)
    assert re.fullmatch(r"[A-Z][a-z]+ceae", fruit.family)
    assert group_name(fruit.group, "en") == fruit.group
    assert group_name(fruit.group, "fr")


@pytest.mark.parametrize("fruit", fruits().values(), ids=lambda fruit: fruit.key)
def test_a_season_is_one_run_of_months(fruit):
    """It may pass the end of the year, but has no hole: `November to May` says it all."""
    assert 1 <= len(fruit.season) == len(set(fruit.season)) <= 12
    assert all(1 <= month <= 12 for month in fruit.season)
    assert all(following == month % 12 + 1 for month, following in zip(fruit.season, fruit.season[1:], strict=False))


@pytest.mark.parametrize(
    ("label", "group", "french"),
    [
        ("Apple Braeburn", "Apple", "Pomme"),
        ("Cantaloupe 2", "Melon", "Melon"),
        ("Clementine", "Mandarin", "Mandarine"),
        ("Pomelo Sweetie", "Grapefruit", "Pamplemousse"),
        ("Potato Sweet", "Sweet potato", "Patate douce"),
        ("Nut Forest", "Hazelnut", "Noisette"),
        ("apple_golden_12", "Apple", "Pomme"),
        ("Pommes", "Pommes", "Pommes"),
        ("pomme", "Apple", "Pomme"),
        ("my shed 7", "my shed", "my shed"),
        ("42", "42", "42"),
    ],
)
def test_a_label_has_a_group(label, group, french):
    assert group_of(label) == group
    assert group_name(group_of(label), "fr") == french


def test_what_is_no_fruit_here_is_none():
    assert fruit_of("Screwdriver") is None
    assert fruit_of("") is None


def test_a_season_is_said_in_words():
    assert [fruit_of("Apple Red 1").season_words(language) for language in LANGUAGES] == ["August to April", "d’août à avril"]
    assert [fruit_of("Cherry 1").season_words(language) for language in LANGUAGES] == ["May to July", "de mai à juillet"]
    assert [fruit_of("Banana").season_words(language) for language in LANGUAGES] == ["all year", "toute l’année"]


def test_a_fruit_is_plain_data_too():
    values = fruit_of("Lemon Meyer").to_dict()

    assert (values["key"], values["group"], values["scientific"]) == ("lemon", "Lemon", "Citrus × limon")
    assert values["season"] == [10, 11, 12, 1, 2, 3, 4, 5]
