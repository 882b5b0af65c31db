"""The pure parts of `make bench-scale`: new photos, lines, cells, claims; and that a claim that does not hold says so."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.scale import claims, plots, tables
from benchmarks.scale.__main__ import Results, into_page, numbers, sections, simulated_from, to_json, to_markdown
from benchmarks.scale.erase import Forgotten
from benchmarks.scale.files import Written, kind_of, written
from benchmarks.scale.grow import Grown
from benchmarks.scale.model import Line, cell, chunks_of, features_files, matrix_parts, parts
from benchmarks.scale.photos import encode_anew, make_photos
from benchmarks.scale.requests import Requests, tally
from benchmarks.scale.simulate import Pass, Simulated, embed_synthetic, list_here, listing_rows
from benchmarks.scale.workers import Tried, choice, choices
from cli.billing.prices import estimated_prices
from cli.billing.sizing import Worker
from job.inputs.fetch import ListedImage
from job.inputs.rows import ArrowRows
from job.stages.listing import read_listing
from job.storage.schema import EMBEDDED, LISTED

ROOT = Path(__file__).parents[2]
PARIS = estimated_prices("eu-west-3", "x86_64")
REQUESTS = Requests(1000, 100, 50, 10, 8, 6, 2)
FORGOTTEN = Forgotten(10_000, 1_001_000, 600.0, 900.0, 2_500.0, 2_300, 7_700.0)
STAGES = ("list", "new", "embed", "fit", "project", "publish", "report")


def jpeg(colour):
    made = io.BytesIO()
    Image.new("RGB", (100, 100), colour).save(made, "JPEG", quality=90)
    return made.getvalue()


def a_pass(seconds):
    files = {
        "features": Written(200, 400_000_000, 2_000_000),
        "log": Written(30, 1_000_000),
        "moments": Written(10, 66_000_000),
        "csv": Written(2, 60_000_000, 60_000_000),
        "pca": Written(2, 20_000_000),
        "others": Written(20, 5_000_000),
    }
    return Pass(dict.fromkeys(("start", "model", *STAGES), seconds) | {"report": seconds / 20}, {"fit": 300.0}, {}, files)


def simulated(images, seconds, driver_mb=400.0):
    return Simulated(images, 10_000, a_pass(seconds), a_pass(seconds / 2), driver_mb, 2000.0, images // 10_000, 0.1)


def grown(images, seconds, driver_mb=300.0):
    return Grown(images, 6_000 * images, dict.fromkeys(("start", "model", *STAGES), seconds), driver_mb, 2000.0, 165.0, {"csv": Written()})


@pytest.fixture
def results():
    both = [simulated(100_000, 10.0), simulated(1_000_000, 100.0)]
    return Results({"cores": "2"}, 2, [grown(4_000, 30.0), grown(16_000, 110.0)], both, FORGOTTEN, REQUESTS)


def test_a_photo_encoded_again_is_the_same_picture_in_other_bytes():
    content = jpeg("orange")
    first, again, other = (encode_anew(content, number) for number in (1, 1, 13))

    assert first == again
    assert len({content, first, other}) == 3
    pixel = Image.open(io.BytesIO(other)).getpixel((50, 50))
    assert max(abs(ours - theirs) for ours, theirs in zip(pixel, (255, 165, 0), strict=True)) <= 4


def test_more_photos_are_added_to_those_that_are_there_and_no_two_are_alike(tmp_path):
    for label, colour in (("Apple", "red"), ("Banana", "yellow")):
        (tmp_path / "sample" / "Training" / label).mkdir(parents=True)
        (tmp_path / "sample" / "Training" / label / "0_100.jpg").write_bytes(jpeg(colour))
    target = tmp_path / "photos"

    taken = make_photos(tmp_path / "sample", target, 0, 3, 1) + make_photos(tmp_path / "sample", target, 3, 30, 1)

    contents = [path.read_bytes() for path in target.rglob("*.jpg")]
    assert len(contents) == len(set(contents)) == 30
    assert sum(map(len, contents)) == taken
    assert sorted(path.name for path in target.iterdir()) == ["Apple", "Banana"]


def test_photos_without_a_sample_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there are no JPEGs"):
        make_photos(tmp_path, tmp_path / "photos", 0, 3, 1)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("features/part-0.parquet", "features"),
        ("features/_delta_log/00.json", "log"),
        ("rejects/_delta_log/00.json", "log"),
        ("moments/abc/1.npz", "moments"),
        ("runs/1/csv/part-0.csv", "csv"),
        ("runs/1/pca/part-0.parquet", "pca"),
        ("runs/1/pca.npz", "others"),
        ("latest.json", "others"),
    ],
)
def test_every_file_of_an_output_is_of_one_kind(path, kind):
    assert kind_of(path) == kind


def test_files_are_counted_by_kind_without_hidden_ones(tmp_path):
    folder = tmp_path / "runs" / "1" / "csv"
    folder.mkdir(parents=True)
    for name, size in (("a.csv", 10), ("b.csv", 30), (".guard", 5)):
        (folder / name).write_bytes(b"x" * size)

    assert written(tmp_path)["csv"] == Written(2, 40, 30)


def test_synthetic_addresses_are_as_long_as_real_ones_and_have_their_label():
    rows = listing_rows("s3://amzn-s3-demo-bucket/photos", [0, 132]).to_pylist()

    assert [row["uri"] for row in rows] == [
        "s3://amzn-s3-demo-bucket/photos/Training/Fruit variety 000/r00000000_100.jpg",
        "s3://amzn-s3-demo-bucket/photos/Training/Fruit variety 001/r00000132_100.jpg",
    ]
    assert [row["label"] for row in rows] == ["Fruit variety 000", "Fruit variety 001"]
    assert [len(row["etag"]) for row in rows] == [32, 32]
    assert rows[0]["problem"] is None


def test_a_synthetic_listing_is_on_the_driver_up_to_the_limit_of_the_job(monkeypatch):
    monkeypatch.setenv("FRUITS_DRIVER_ROWS", "200")

    assert list_here("s3://amzn-s3-demo-bucket/photos", 201) is None
    listing = read_listing(list_here("s3://amzn-s3-demo-bucket/photos", 200))

    assert isinstance(listing.images, ArrowRows)
    assert listing.images.schema == LISTED
    assert (listing.count, listing.images.count_distinct("label"), listing.problems, listing.ignored) == (200, 131, [], {})


def test_synthetic_features_are_record_batches_like_those_of_the_job():
    keys = [ListedImage(f"s3://b/{number}.jpg", f"{number}", 4_640, "Apple") for number in range(100)]

    batches = list(embed_synthetic(keys, "network", print))

    assert [batch.num_rows for batch in batches] == [64, 36]
    assert {batch.schema for batch in batches} == {EMBEDDED}
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert [(row["uri"], row["etag"], row["label"]) for row in rows] == [(key.uri, key.etag, "Apple") for key in keys]
    assert {len(row["embedding"]) for row in rows} == {1280}
    assert len({tuple(row["embedding"]) for row in rows}) == 100


def test_requests_are_told_apart_by_what_they_are_for_and_what_they_cost():
    starts = [
        ["GET", "/fruits/photos/Apple%201/1.jpg", "HTTP/1.1"],
        ["GET", "/fruits?list-type=2&prefix=photos%2F", "HTTP/1.1"],
        ["GET", "/fruits?list-type=2&prefix=out%2F", "HTTP/1.1"],
        ["GET", "/fruits/out/features/part-0.parquet", "HTTP/1.1"],
        ["PUT", "/fruits/out/features/part-0.parquet", "HTTP/1.1"],
        ["HEAD", "/fruits/out/features/_delta_log/00.json", "HTTP/1.1"],
        ["DELETE", "/fruits/out/work/1", "HTTP/1.1"],
        ["POST", "/fruits?delete", "HTTP/1.1"],
    ]

    assert tally(starts) == {
        "read photos": 1,
        "write listing": 1,
        "write others": 1,
        "read data": 1,
        "write data": 1,
        "read others": 1,
    }


def test_requests_of_a_run_add_up():
    # 1,000 + 5,000 photos + 3 x 50 + 20 x 8 + 40 x 6; 100 + 7 pages + 3 x 10 + 20 x 2
    assert REQUESTS.count(new=5_000, pages=7, chunks=3, files=20, known_files=40) == (6_550, 177)


def test_a_line_goes_through_two_sizes_and_never_falls():
    line = Line.through((100, 3.0), (300, 7.0))

    assert (line.constant, line.per_image) == (1.0, 0.02)
    assert line.at(1_000) == 21.0
    assert line.at(1_000, share=0.5) == 11.0
    assert Line.through((100, 7.0), (300, 3.0)) == Line(7.0, 0.0)


@pytest.mark.parametrize(
    ("images", "vcpu", "chunks", "files"),
    [
        (10_000, 4, 1, 20),  # 55 x 4 x 90 = 19,800 a chunk; 10,000 / 512 = 19.5
        (1_000_000, 4, 51, 51 * 40),  # 19,608 each: 38.3 tasks of 512, in whole waves of 4
        (10_000_000, 256, 8, 8 * 2560),  # 1,267,200 a chunk; 1,250,000 / 512 = 2,441.4, in whole waves of 256
    ],
)
def test_chunks_and_files_are_those_that_the_job_would_make(images, vcpu, chunks, files):
    assert (chunks_of(images, vcpu), features_files(images, vcpu)) == (chunks, files)


def test_the_matrix_has_a_file_for_each_200_megabytes():
    assert [matrix_parts(images) for images in (1, 250_000, 250_001, 10_000_000)] == [1, 1, 2, 40]


def test_a_run_is_the_sum_of_what_executors_share_and_what_the_driver_does_alone(results):
    one = cell(parts(results.simulated, 2, REQUESTS), PARIS, 1_000_000, 16)

    # 100 s on 2 cores, all of it in proportion: 12.5 s on 16; the report's 5 s are the driver's
    assert one.stages["project"] == pytest.approx(12.5)
    assert one.stages["report"] == pytest.approx(5.0)
    assert one.stages["embed"] == pytest.approx(1_000_000 / (55 * 16))
    assert one.stages["fit"] == pytest.approx(12.5 + 13 * 0.1)  # 79,200 a chunk
    assert one.stages["list"] == pytest.approx(12.5 + 1_000_000 / (200_000 / 23 / 2 * 16))
    assert one.bottleneck == "embed"
    assert not one.computed
    assert one.usd == pytest.approx((20 * 0.06318 + 40 * 0.00689) * one.seconds / 3600)


def test_a_run_beyond_what_was_simulated_is_marked_as_computed(results):
    assert cell(parts(results.simulated, 2, REQUESTS), PARIS, 10_000_000, 16).computed


def test_a_thousand_new_photos_cost_the_listing_and_no_second_embedding(results):
    one = cell(parts(results.simulated, 2, REQUESTS), PARIS, 10_000_000, 12, new=1_000)

    assert one.stages["embed"] == pytest.approx(1_000 / 660)
    assert one.stages["project"] == pytest.approx(50e-6 * 10_000_000 * 2 / 12)  # of the second passes: 50 s for a million
    assert one.writes > 10_000  # a LIST for each 1,000 keys
    assert one.reads < 1_000_000


def test_a_line_needs_two_sizes(results):
    with pytest.raises(ValueError, match="two sizes"):
        parts(results.simulated[:1], 2, REQUESTS)


def test_every_claim_holds_for_what_grows_in_proportion(results):
    assert [claim.what for claim in results.claims() if not claim.met] == []
    assert len(results.claims()) == 7 + 1 + 7 + 1 + 5 + 1 + 1 + 2


def test_a_stage_that_grows_faster_than_the_photos_is_named(results):
    slow = replace(
        results.simulated[1], first=replace(results.simulated[1].first, stages=results.simulated[1].first.stages | {"fit": 120.0})
    )

    failed = [claim.what for claim in claims.of_simulation([results.simulated[0], slow]) if not claim.met]

    assert failed == ["simulated, fit: 1,000,000 photos against 100,000, seconds per photo"]


def test_a_driver_that_grows_is_named(results):
    failed = [claim.what for claim in claims.of_simulation([results.simulated[0], simulated(1_000_000, 100.0, 700.0)]) if not claim.met]

    assert failed == ["simulated, memory of the driver, 1,000,000 photos against 100,000"]
    assert [claim.what for claim in claims.of_growth([grown(4_000, 30.0), grown(16_000, 110.0, 400.0)]) if not claim.met] == [
        "measured, memory of the driver's Python, 16,000 photos against 4,000"
    ]


def test_too_many_files_are_named(results):
    last = results.simulated[1]
    files = last.first.files | {"moments": Written(101, 1), "csv": Written(6, 1, 300_000_000), "features": Written(3_000, 1)}

    failed = [claim.what for claim in claims.of_files([replace(last, first=replace(last.first, files=files))]) if not claim.met]

    assert failed == [
        "files of features for each 512 photos, 1,000,000 photos",
        "files in csv/, 4 planned",
        "largest file in csv/",
        "files of moments for each chunk",
    ]


def test_moments_that_grow_with_the_commits_are_named(results):
    last = results.simulated[1]
    files = last.again.files | {"moments": Written(102, 1)}  # one of each of 100 commits, another, and the list of sums

    kept = claims.of_moments(results.simulated)
    grown = claims.of_moments([replace(last, again=replace(last.again, files=files))])

    assert [(claim.what, claim.median, claim.target, claim.met) for claim in (*kept, *grown)] == [
        ("files of moments after 1,000,000 photos in 100 commits, and more", 9, 16, True),
        ("files of moments after 1,000,000 photos in 100 commits, and more", 101, 16, False),
    ]


def test_an_erasure_that_takes_too_long_is_named(results):
    late = claims.of_erasure(replace(FORGOTTEN, seconds=901.0))

    assert [(claim.what, claim.met) for claim in (*claims.of_erasure(FORGOTTEN), *late)] == [
        ("`fruitsctl forget` of 10,000 photos out of 1,001,000", True),
        ("`fruitsctl forget` of 10,000 photos out of 1,001,000", False),
    ]
    assert claims.of_erasure(None) == []
    assert "forgotten" not in sections(replace(results, forgotten=None))


def test_hours_for_a_thousand_new_photos_and_a_deadline_that_is_too_short_are_named(results):
    cells, again = results.cells(), results.again()[-1]
    late = [replace(one, stages=one.stages | {"publish": 40_000.0}) for one in [*cells, again]]

    assert [claim.met for claim in claims.of_model(cells, again)] == [True, True]
    assert [claim.met for claim in claims.of_model(late[:-1], late[-1])] == [False, False]


def test_with_the_same_memory_for_each_vcpu_what_is_left_idle_decides():
    four, eight = (choice(Worker(4, 16), Worker(vcpu, 2 * vcpu), 16, PARIS) for vcpu in (4, 8))

    assert (four.executors, eight.executors) == (3, 1)  # 4 of the 16 vCPUs fit no worker of 8
    assert four.images_per_second == 660.0
    # 16 vCPUs, 16 + 3 x 8 GB: 16 x 0.06318 + 40 x 0.00689 = 1.28648
    assert four.usd_hour == pytest.approx(1.28648)
    assert four.images_per_dollar == pytest.approx(660 * 3600 / 1.28648)
    assert eight.images_per_dollar < four.images_per_dollar


def test_every_size_is_compared_with_the_least_memory_and_with_twice_that():
    assert len(choices(PARIS)) == 2 * 3 * 8
    assert {(one.executor.vcpu, one.executor.memory_gb) for one in choices(PARIS)} == {
        (1, 2), (1, 4), (2, 4), (2, 8), (4, 8), (4, 16), (8, 16), (8, 32),
    }  # fmt: skip


def test_what_was_found_is_a_table_a_file_and_two_pictures(results, tmp_path):
    told = to_json(results)

    assert len(told["cells"]) == 4 * 4 + 4
    assert simulated_from(told["simulated"][0]) == results.simulated[0]
    shown = to_markdown(results)
    assert "| 1,000,000, all new | 100.0 |" in shown
    assert "| 10,000,000 | 1,000 | 12 + 4 |" in shown
    assert "| 10,000 | 1,001,000 | 600 | 16.7 | 900 | 2,500 | 2,300 | 7,700 |" in shown
    assert shown.count("### ") == 9  # nothing was tried yet
    drawn = plots.draw(results.grown, results.simulated, results.cells(), tmp_path)
    assert [path.name for path in drawn] == ["growth-stages.svg", "growth-model.svg"]
    assert all(path.read_text().startswith("<svg") for path in drawn)


def test_the_page_gets_its_tables_and_keeps_its_words(results):
    page = "# Growth\n<!-- bench-scale: claims -->\nold\n<!-- end -->\nWords.\n<!-- bench-scale: tried -->\nkept\n<!-- end -->\n"
    page += "<!-- bench-scale: runs -->\n<!-- end -->\n"

    made = into_page(page, results)

    assert "old" not in made
    assert "| files of moments for each chunk | 0.10x | at most 1.00x | yes |\n| other files" in made
    assert "<!-- end -->\nWords.\n<!-- bench-scale: tried -->\nkept\n<!-- end -->\n" in made
    assert made.endswith("-->\n\n![Hours and dollars of a run, computed](../assets/growth-model.svg)\n\n<!-- end -->\n")
    assert into_page(made, results) == made


def test_the_guide_has_a_place_for_every_table_but_that_of_decision_15(results):
    page = (ROOT / "docs" / "explanation" / "growth.md").read_text(encoding="utf-8")
    names = set(sections(replace(results, tried=[Tried(2, 1, 1264, 500, 100.0, 165.0, 900.0)])))

    marks = set(re.findall("<!-- bench-scale: ([a-z]+) -->", page))
    assert (names - marks, marks - names) == ({"choices"}, {"curves", "runs"})


def test_every_row_has_a_cell_for_each_column(results):
    texts = [tables.grown_table(results.grown), tables.simulated_table(results.simulated), tables.model_table(results.cells())]
    texts += [tables.choices_table(results.choices()), tables.requests_table(REQUESTS)]

    for text in texts:
        assert len({line.count("|") for line in text.splitlines()}) == 1, text


def test_sizes_are_given_with_commas_between():
    assert numbers("500,1000") == (500, 1000)
