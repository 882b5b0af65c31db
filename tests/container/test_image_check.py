"""`image check` is green on the image that `image build` makes, and names the rule that each broken one breaks."""

import json
import shutil
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from cli.commands.app import app
from cli.container import facts as image_facts
from cli.container.docker import inspect_image
from cli.container.facts import gather, list_files, probe, run_job
from cli.container.rules import judge
from cli.settings.release import MODEL, RELEASE
from tests.container.conftest import docker, fruitsctl

PACKAGES = "/opt/fruits/venv/lib/python3.11/site-packages"
FLATBUFFER = "/opt/fruits/cache/models/mobilenet_v2-*.tflite"
LEAKED = "[default]\\naws_access_key_id = AKIA" + "Q" * 16 + "\\naws_secret_access_key = " + "x" * 40 + "\\n"

# rules that it breaks -> lines of its Dockerfile. One image for all rules that do not hide each other: a build and two containers each.
BROKEN = [
    (
        {
            "entrypoint",
            "no files where EMR mounts",
            "one pyspark",
            "release",
            "setuid",
            "Spark's jars",
            "user",
            "write protection",
        },
        f"""USER root
        RUN cp -r $SPARK_HOME/python/pyspark {PACKAGES}/
        RUN touch /home/hadoop/notes.txt $SPARK_HOME/jars/mine.jar
        RUN chmod o+w /opt/fruits/run_job.py
        RUN cp /bin/true /opt/fruits/true && chmod 4755 /opt/fruits/true
        LABEL fruitsctl.release=emr-7.12.0
        ENTRYPOINT ["python3"]""",
    ),
    (
        {"model", "a whole run"},
        f"USER root\nRUN printf 'random weights' | dd of=$(ls {FLATBUFFER}) bs=1 seek=4000000 conv=notrunc\nUSER hadoop:hadoop",
    ),
    ({"imports", "model", "a whole run"}, f"USER root\nRUN rm -r {PACKAGES}/ai_edge_litert\nUSER hadoop:hadoop"),
]


def checked(*words):
    done = fruitsctl("image", "check", *words, "--json")
    checks = json.loads(done.stdout)["checks"]
    return done, {check["name"]: check for check in checks}


@pytest.fixture(scope="module")
def green(image, sample, tmp_path_factory):
    """The command on the good image: how it ended, its checks by name, and the facts that it judged."""
    photos = tmp_path_factory.mktemp("photos")
    photos.chmod(0o755)
    shutil.copytree(sample / "Test" / "Banana", photos / "Banana")
    found = []

    def gather_and_keep(*words):
        found.append(gather(*words))
        return found[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_facts, "gather", gather_and_keep)
        done = CliRunner().invoke(app, ["image", "check", image, "--photos", str(photos), "--json"])
    assert found, done.output
    return done, {check["name"]: check for check in json.loads(done.stdout)["checks"]}, found[0]


@pytest.fixture(scope="module")
def good(green):
    return green[2]


def test_the_good_image_is_green_and_embeds_real_photos(green):
    done, checks, _ = green

    assert {name for name, check in checks.items() if not check["ok"]} == set()
    assert done.exit_code == 0
    assert checks["photos"]["found"] == "10 embedded"


def test_its_labels_say_what_it_is(image):
    labels = json.loads(docker("image", "inspect", image))[0]["Config"]["Labels"]

    assert (labels["fruitsctl.release"], labels["fruitsctl.model"], labels["fruitsctl.target"]) == (RELEASE, MODEL, "serverless")
    assert len(labels["org.opencontainers.image.revision"].removesuffix("-dirty")) == 40


def test_the_image_for_eks_is_another_one_under_the_same_rules(good):
    done = fruitsctl("image", "build", "--target", "eks", "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    eks = inspect_image(json.loads(done.stdout)["image"])

    assert eks["Id"] != good.config["Id"]
    assert eks["Config"]["Labels"]["fruitsctl.target"] == "eks"
    assert [check.name for check in judge(replace(good, config=eks)) if not check.ok] == []


@pytest.mark.parametrize(("rules", "lines"), BROKEN, ids=[" and ".join(sorted(rules)) for rules, _ in BROKEN])
def test_a_broken_image_is_red_and_each_rule_is_named(good, rules, lines):
    """Asked again of each image: all but the layers, and the run only where the image is about it."""
    broken = "fruitsctl-broken:test"
    docker("build", "--quiet", "--tag", broken, "-", input=f"FROM {good.name}\n{lines}\n")
    facts = replace(
        good,
        config=inspect_image(broken),
        files=list_files(broken),
        probe=probe(broken, None),
        job=run_job(broken) if "a whole run" in rules else good.job,
    )

    checks = judge(facts)

    assert {check.name for check in checks if not check.ok} == rules
    assert all(check.mend for check in checks if not check.ok)
    assert "x" * 40 not in str(checks)  # the rule names the file, not the key


def test_the_command_says_what_is_broken_and_how_to_fix_it(good):
    """Of an image that has nothing of ours, but keys in a layer; they are found though a later layer removes the file."""
    base = good.config["Config"]["Labels"]["org.opencontainers.image.base.name"]
    leak = f"USER root\nRUN printf '{LEAKED}' > /etc/notes.txt\nRUN rm /etc/notes.txt\nLABEL org.opencontainers.image.base.name={base}\n"
    docker("build", "--quiet", "--tag", "fruitsctl-broken:leak", "-", input=f"FROM {base}\n{leak}")

    done, checks = checked("fruitsctl-broken:leak", "--architecture", "arm64")

    red = {name for name, check in checks.items() if not check["ok"]}
    assert {"architecture", "user", "release", "imports", "model", "a whole run", "no credentials"} <= red
    assert not {"entrypoint", "working directory", "Spark's jars", "setuid", "size"} & red
    assert checks["no credentials"]["found"] == "/etc/notes.txt"
    assert done.returncode == 1
    assert done.stderr.count("error: `fruitsctl-broken:leak` fails checks: architecture, user,") == 1
    assert "Traceback" not in done.stderr
    assert "x" * 40 not in done.stdout + done.stderr  # the rule names the file, not the key


def test_an_image_that_is_not_there_is_named(engine):
    done = fruitsctl("image", "check", "absent:1")

    assert done.returncode in (1, 2)
    assert "absent:1" in done.stderr
    assert "Traceback" not in done.stderr
