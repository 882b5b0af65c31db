"""`image check` is green on the image that `image build` makes, and names the rule that each broken one breaks."""

import json

import pytest

from cli.release import MODEL, RELEASE
from tests.container.conftest import docker, fruitsctl

PACKAGES = "/opt/fruits/venv/lib/python3.11/site-packages"
FLATBUFFER = "/opt/fruits/cache/models/*.tflite"
LEAKED = "[default]\\naws_access_key_id = AKIA" + "Q" * 16 + "\\naws_secret_access_key = " + "x" * 40 + "\\n"

# rules that it breaks -> lines of its Dockerfile
BROKEN = [
    ({"user"}, "USER root"),
    (
        {"one pyspark"},
        f"USER root\nRUN mkdir {PACKAGES}/pyspark && echo '__version__ = \"3.5.6\"' > {PACKAGES}/pyspark/__init__.py\nUSER hadoop:hadoop",
    ),
    ({"no files where EMR mounts"}, "RUN touch /home/hadoop/job.py"),
    (
        {"no credentials"},
        f"USER root\nRUN printf '{LEAKED}' > /opt/fruits/app/notes.txt\nRUN rm /opt/fruits/app/notes.txt\nUSER hadoop:hadoop",
    ),
    (
        {"model", "a whole run"},
        f"USER root\nRUN printf 'random weights' | dd of=$(ls {FLATBUFFER}) bs=1 seek=4000000 conv=notrunc\nUSER hadoop:hadoop",
    ),
    ({"imports", "model", "a whole run"}, f"USER root\nRUN rm -r {PACKAGES}/ai_edge_litert\nUSER hadoop:hadoop"),
    ({"release"}, "LABEL fruitsctl.release=emr-7.12.0"),
    ({"write protection"}, "USER root\nRUN chmod o+w /opt/fruits/run_job.py\nUSER hadoop:hadoop"),
    ({"entrypoint"}, 'ENTRYPOINT ["python3"]'),
    ({"Spark's jars"}, "USER root\nRUN touch $SPARK_HOME/jars/mine.jar\nUSER hadoop:hadoop"),
    ({"setuid"}, "USER root\nRUN cp /bin/true /opt/fruits/true && chmod 4755 /opt/fruits/true\nUSER hadoop:hadoop"),
]


def checked(*words):
    done = fruitsctl("image", "check", *words, "--json")
    checks = json.loads(done.stdout)["checks"]
    return done, {check["name"]: check for check in checks}


def test_the_good_image_is_green_and_embeds_real_photos(image, assets):
    done, checks = checked(image, "--photos", assets / "photos")

    assert {name for name, check in checks.items() if not check["ok"]} == set()
    assert done.returncode == 0
    assert checks["photos"]["found"].endswith(" embedded")


def test_its_labels_say_what_it_is(image):
    labels = json.loads(docker("image", "inspect", image))[0]["Config"]["Labels"]

    assert (labels["fruitsctl.release"], labels["fruitsctl.model"], labels["fruitsctl.target"]) == (RELEASE, MODEL, "serverless")
    assert len(labels["org.opencontainers.image.revision"].removesuffix("-dirty")) == 40


@pytest.mark.parametrize(("rules", "lines"), BROKEN, ids=[" and ".join(sorted(rules)) for rules, _ in BROKEN])
def test_a_broken_image_is_red_and_the_rule_is_named(image, rules, lines):
    broken = "fruitsctl-broken:test"
    docker("build", "--quiet", "--tag", broken, "-", input=f"FROM {image}\n{lines}\n")

    done, checks = checked(broken)

    assert {name for name, check in checks.items() if not check["ok"]} == rules
    assert all(check["mend"] for check in checks.values() if not check["ok"])
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "x" * 40 not in done.stdout + done.stderr  # the rule names the file, not the key


def test_an_image_for_another_architecture_is_refused(image):
    done, checks = checked(image, "--architecture", "arm64")

    assert not checks["architecture"]["ok"]
    assert done.returncode == 1


def test_an_image_that_is_not_there_is_named(engine):
    done = fruitsctl("image", "check", "absent:1")

    assert done.returncode in (1, 2)
    assert "absent:1" in done.stderr
    assert "Traceback" not in done.stderr
