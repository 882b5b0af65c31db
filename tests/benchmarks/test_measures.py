"""The pure parts of the benchmark: who is who among the processes, what a ratio is, and that a missed target says so."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.datasets import copy_images
from benchmarks.limit import share
from benchmarks.machine import processor
from benchmarks.memory import Peak, Sample, kind_of, peaks
from benchmarks.notebook import shuffle_seconds
from benchmarks.pca import places, synthetic_rows, write_rows
from benchmarks.report import Repeat, Results, judge
from benchmarks.runs import BenchmarkError, Run, embed_window
from benchmarks.steps import files_of_the_job, keys_of
from benchmarks.targets import AT_LEAST, AT_MOST, Measure, ratios, table
from job.contract.records import Stage
from job.imaging.networks import MeanColour
from job.storage.schema import FEATURES


def test_the_median_of_the_ratios_is_judged_and_the_range_is_shown():
    shown = table([Measure("embed", [6.0, 4.9, 5.2], AT_LEAST, 5.0, digits=1)])

    assert shown.splitlines()[-1] == "| embed | 5.2x (4.9x to 6.0x) | at least 5.0x | yes |"


def test_a_missed_target_is_printed_as_missed():
    shown = table([Measure("embed", [4.96], AT_LEAST, 5.0, digits=1), Measure("memory", [401], AT_MOST, 400, "MB", 0)])

    assert shown.splitlines()[2:] == ["| embed | 5.0x | at least 5.0x | **no** |", "| memory | 401 MB | at most 400 MB | **no** |"]


def test_ratios_pair_the_runs_of_one_repeat():
    assert ratios([10.0, 30.0], [5.0, 10.0]) == [2.0, 3.0]


def test_ratios_refuse_a_repeat_that_lacks_a_run():
    with pytest.raises(ValueError, match="zip"):
        ratios([10.0, 30.0], [5.0])


def run(seconds_of: dict[str, float], images: int, embedded: int = 0) -> Run:
    return Run({name: Stage(seconds, images) for name, seconds in seconds_of.items()}, 1.0, {"embedded": embedded})


def test_every_target_is_judged_from_the_stages_it_speaks_of():
    repeat = Repeat(
        small_notebook=run({"read": 1, "featurise": 100}, 3930),
        small_ours=run({"list": 1, "new": 1, "embed": 20}, 3930, 3930),
        large_notebook=run({"read": 4, "featurise": 400}, 15720),
        large_ours=run({"list": 1, "new": 1, "embed": 80}, 15720, 15720),
        large_again=run({"list": 1, "new": 3, "embed": 0.5}, 15720),
        limit=200.0,
    )
    memory = Run({}, 1.0, memory={"worker": {"rss_mb": 250.0, "uss_mb": 200.0, "processes": 2}})
    fits = [{"rows": 20_000, "spark": [12.0], "ours": [3.0]}, {"rows": 100_000, "spark": [60.0], "ours": [12.0]}]

    measures = judge(Results({}, 2, (3930, 15720), memory, fits, [repeat]))

    assert [measure.median for measure in measures] == pytest.approx([5.0, 5.0, 196.5 / 200, 0, 5.0, 4.0, 4.0, 5.0, 250.0])
    assert [measure.met for measure in measures] == [True, False, True, True, True, True, True, False, True]


@pytest.mark.parametrize(
    ("cmdline", "parent", "kind"),
    [
        (["/usr/lib/jvm/java-17/bin/java", "-cp", "x"], ["python"], "jvm"),
        (["/venv/bin/python", "-m", "pyspark.daemon", "pyspark.worker"], ["/usr/bin/java"], "daemon"),
        (["/venv/bin/python", "-m", "pyspark.daemon", "pyspark.worker"], ["python", "-m", "pyspark.daemon", "pyspark.worker"], "worker"),
        (["/venv/bin/python", "-m", "job.spark.python_daemon", "pyspark.worker"], ["/usr/bin/java"], "daemon"),
        (
            ["/venv/bin/python", "-m", "job.spark.python_daemon", "pyspark.worker"],
            ["python", "-m", "job.spark.python_daemon", "pyspark.worker"],
            "worker",
        ),
        (["/venv/bin/python3.11", "-m", "cli", "run"], [], "cli"),
        (["/venv/bin/python", "-m", "job", "--input=file:///a"], ["python", "-m", "cli"], "driver"),
        (["bash", "/venv/bin/spark-submit"], ["python"], "other"),
        ([], [], "other"),  # a zombie
    ],
)
def test_processes_are_told_apart_by_their_command_lines(cmdline, parent, kind):
    assert kind_of(cmdline, parent) == kind


def test_a_peak_is_of_the_largest_single_process_within_the_window():
    samples = [
        Sample(1.0, "worker", 7, 900.0, 800.0),  # before the window
        Sample(2.0, "worker", 7, 200.0, 150.0),
        Sample(2.0, "worker", 8, 210.0, 140.0),
        Sample(3.0, "worker", 7, 190.0, 160.0),
        Sample(3.0, "jvm", 5, 700.0, 690.0),
    ]

    assert peaks(samples, 2.0, 3.0) == {"worker": Peak(210.0, 160.0, 2), "jvm": Peak(700.0, 690.0, 1)}


def test_the_embed_stage_lasts_from_the_end_of_the_stage_before_to_its_own_last_line():
    said = [(1.0, "List input: 4 images, 0.1 s\n"), (2.0, "Find new images: 4 images, 0.3 s\n")]
    said += [(7.0, "Embed images: 2 of 4 images\n"), (9.0, "Embed images: 4 of 4 images, 7.0 s\n"), (10.0, "Fit PCA: 0.2 s\n")]

    assert embed_window(said) == (2.0, 9.0)


def test_a_run_without_progress_lines_is_no_measurement():
    with pytest.raises(BenchmarkError, match="Find new images"):
        embed_window([(1.0, "error: no\n")])


def stage_event(kind: str, stage_id: int, description: str = "", seconds: tuple[float, float] = (0, 0)) -> str:
    info = {"Stage ID": stage_id, "Submission Time": seconds[0] * 1000, "Completion Time": seconds[1] * 1000}
    return json.dumps({"Event": f"SparkListenerStage{kind}", "Stage Info": info, "Properties": {"spark.job.description": description}})


def test_the_shuffle_is_every_stage_of_the_job_but_its_last():
    events = [
        stage_event("Submitted", 0, "listing"),
        stage_event("Completed", 0, seconds=(0, 5)),
        stage_event("Submitted", 1, "featurise"),
        stage_event("Completed", 1, seconds=(10, 12.5)),
        stage_event("Submitted", 3, "featurise"),
        stage_event("Completed", 3, seconds=(13, 99)),
    ]

    assert shuffle_seconds(events, "featurise") == 2.5


def test_every_process_gets_its_share_and_no_image_is_left_out():
    assert share(["a", "b", "c", "d", "e"], 2) == [["a", "c", "e"], ["b", "d"]]


def test_images_are_copied_under_several_names_with_their_labels(tmp_path):
    for name in ("Test/Pear 2/1.jpg", "Test/Pear 2/2.jpg", "Training/Fig/1.jpg", "Training/Fig/readme.txt"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(name.encode())

    assert copy_images(tmp_path / "in", tmp_path / "out", copies=2, images_per_folder=1) == 4
    copied = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert copied == ["1/Test/Pear 2/1.jpg", "1/Training/Fig/1.jpg", "2/Test/Pear 2/1.jpg", "2/Training/Fig/1.jpg"]


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no JPEGs"):
        copy_images(tmp_path, tmp_path / "out", 1)


def test_synthetic_rows_are_like_features():
    rows = synthetic_rows(2000, seed=0)
    spectrum = np.sort(np.linalg.eigvalsh(np.cov(rows, rowvar=False)))[::-1]

    assert rows.dtype == np.float32
    assert rows.shape == (2000, 1280)
    assert rows.min() == 0
    assert 0.65 < spectrum[:50].sum() / spectrum.sum() < 0.8  # the sample's own features: 0.733
    assert (synthetic_rows(5, seed=0) != synthetic_rows(5, seed=1)).any()


def test_every_row_of_every_file_has_its_place(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.pca.ROWS_PER_FILE", 3)
    write_rows(tmp_path / "rows", 5)

    assert places(tmp_path / "rows").to_pylist() == [
        *({"file": "part-00000.parquet", "row": row} for row in range(3)),
        *({"file": "part-00001.parquet", "row": row} for row in range(2)),
    ]


def test_the_files_of_the_job_are_measured_as_its_tasks_write_them(tmp_path, monkeypatch):
    for number in range(5):
        Image.new("RGB", (40, 30), (50 * number, 0, 0)).save(tmp_path / f"{number}.jpg")
    written = []

    def write(uri, batches, schema, **values):
        written.append((sum(map(len, batches)), schema, sorted(values)))

    monkeypatch.setattr("benchmarks.steps.IMAGES_PER_TASK", 2)
    monkeypatch.setattr("benchmarks.steps.data_files.write", write)
    files_of_the_job(keys_of(tmp_path), MeanColour())

    assert written == [(rows, FEATURES, ["embedded_at", "model", "run_id"]) for rows in (2, 2, 1)]


def test_the_processor_is_named_with_its_widest_vectors():
    assert processor("processor : 0\nmodel name : AMD EPYC\nflags : fpu avx avx2\n") == "AMD EPYC, AVX2"
    assert processor("CPU implementer : 0x41\n") == ""
