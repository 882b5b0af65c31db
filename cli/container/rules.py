"""
Check an image against the rules of EMR Serverless and EMR on EKS: one check per rule. Pure.

The image is compared with its own base instead of a table per release, which would be out of date with every release.
https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/application-custom-image.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cli.container.facts import Files, ImageFacts
from cli.settings.release import MODEL, PYTHON, RELEASE, SPARK
from cli.ui.checks import Check
from job.contract.records import counted

GB = 1e9
MAX_OVER_BASE = 1.9 * GB
MAX_SIZE = 10 * GB  # EMR Serverless takes no larger one
TOLERANCE = 1e-3  # of the known answers, as in job/imaging/proof.py
REBUILD = "fruitsctl image build"

Rule = Callable[[ImageFacts], Iterator[Check]]


def judge(facts: ImageFacts, architecture: str = "amd64") -> list[Check]:
    """Run all rules and return their checks."""
    rules: tuple[Rule, ...] = (user_and_folders, environment, releases, base_files, own_files, python, modules, model, job, secrets, size)
    return [*architectures(facts, architecture), *(check for rule in rules for check in rule(facts))]


def architectures(facts: ImageFacts, wanted: str) -> Iterator[Check]:
    said, real = facts.config["Architecture"], facts.probe.get("machine", facts.probe.get("error"))
    yield Check(
        "architecture",
        said == real == wanted,
        f"metadata {said}, programs {real}, expected {wanted}",
        f"{REBUILD} --architecture {wanted}: it must match the application",
    )
    kind = str((facts.config.get("Descriptor") or {}).get("mediaType", ""))
    yield Check(
        "one manifest",
        "index" not in kind and "list" not in kind,
        kind or "a single image",
        "build with --provenance=false --sbom=false: the service does not accept an image index",
    )


def user_and_folders(facts: ImageFacts) -> Iterator[Check]:
    config = facts.config["Config"]
    yield Check(
        "user", config.get("User") == "hadoop:hadoop", str(config.get("User") or "root"), "end the Dockerfile with USER hadoop:hadoop"
    )
    for name, key in (("working directory", "WorkingDir"), ("entrypoint", "Entrypoint")):
        mine = config.get(key)
        theirs = facts.base["Config"].get(key) if facts.base else None
        yield Check(
            name,
            facts.base is not None and mine == theirs,
            f"{mine}" if mine == theirs else f"{mine}, its base has {theirs}",
            f"remove {key} from the Dockerfile",
        )


def environment(facts: ImageFacts) -> Iterator[Check]:
    mine, theirs = _env(facts.config), _env(facts.base or {})
    for name in ("JAVA_HOME", "SPARK_HOME"):
        ok = bool(mine.get(name)) and mine.get(name) == theirs.get(name)
        yield Check(
            name,
            ok,
            f"{mine.get(name)}" if ok else f"{mine.get(name)}, its base has {theirs.get(name)}",
            f"do not override {name} of the base image",
        )
    python = mine.get("PYSPARK_PYTHON")
    ok = python == mine.get("PYSPARK_DRIVER_PYTHON") == "/opt/fruits/venv/bin/python"
    yield Check(
        "PYSPARK_PYTHON",
        ok,
        f"{python}, driver {mine.get('PYSPARK_DRIVER_PYTHON')}",
        "set both to /opt/fruits/venv/bin/python in the Dockerfile",
    )


def releases(facts: ImageFacts) -> Iterator[Check]:
    labels = facts.config["Config"].get("Labels") or {}
    release, base = labels.get("fruitsctl.release"), labels.get("org.opencontainers.image.base.name")
    ok = release == RELEASE and RELEASE in str(base)
    yield Check("release", ok, f"{release}, from {base}", f"{REBUILD}: this fruitsctl needs {RELEASE}")
    spark = str(facts.probe.get("spark"))
    yield Check("Spark", spark.startswith(SPARK), spark, f"use a base image of {RELEASE}, which has Spark {SPARK}")
    layers = facts.config["RootFS"]["Layers"]
    theirs = facts.base["RootFS"]["Layers"] if facts.base else None
    found = (
        "not on this machine" if theirs is None else "its layers are unchanged" if layers[: len(theirs)] == theirs else "its layers differ"
    )
    yield Check("base", theirs is not None and layers[: len(theirs)] == theirs, f"{base}: {found}", f"docker pull {base}, then {REBUILD}")


def base_files(facts: ImageFacts) -> Iterator[Check]:
    """Check files as the official validator does, and that no file of the base image was replaced."""
    theirs = facts.base_files or Files({}, frozenset(), frozenset(), frozenset())
    gone = sorted(path for path in theirs.contract if path not in facts.files.contract)
    changed = sorted(path for path, bytes_ in theirs.contract.items() if facts.files.contract.get(path, bytes_) != bytes_)
    jars = sorted(path for path in facts.files.contract if path not in theirs.contract and "/spark/jars/" in path)
    yield Check(
        "files of the base",
        bool(theirs.contract) and not gone and not changed,
        _some(
            f"{len(theirs.contract)} unchanged in Hadoop, Spark, Java and /usr/bin",
            [f"gone: {p}" for p in gone] + [f"changed: {p}" for p in changed],
        ),
        "keep the files of the base image",
    )
    yield Check("Spark's jars", not jars, _some("none added", jars), "put jars in another folder and name them in spark.jars")
    hidden = sorted(facts.files.hidden - theirs.hidden)
    yield Check(
        "no files where EMR mounts",
        not hidden,
        _some("/home/hadoop, /tmp, /mnt, /var/log same as the base", hidden),
        "move them to /opt/fruits",
    )
    setuid = sorted(facts.files.setuid - theirs.setuid)
    yield Check("setuid", not setuid, _some("none added", setuid), "remove them, or their setuid bit")


def own_files(facts: ImageFacts) -> Iterator[Check]:
    writable = sorted(facts.files.writable)
    yield Check(
        "write protection", not writable, _some("nothing in /opt/fruits is writable by others", writable), "chmod -R o-w /opt/fruits"
    )


def python(facts: ImageFacts) -> Iterator[Check]:
    version = str(facts.probe.get("python", facts.probe.get("error")))
    yield Check("Python", version.startswith(PYTHON + "."), version, f"{REBUILD}: the job needs Python {PYTHON}")


def modules(facts: ImageFacts) -> Iterator[Check]:
    found: Mapping[str, str] = facts.probe.get("modules", {})
    broken = [f"{name}: {where}" for name, where in found.items() if where.startswith("error:")]
    yield Check(
        "imports",
        bool(found) and not broken,
        _some(f"{counted(len(found), 'modules')}, TensorFlow and LiteRT among them", broken),
        REBUILD,
    )
    home = _env(facts.config).get("SPARK_HOME", "?")
    where = found.get("pyspark", "not found")
    yield Check("one pyspark", where.startswith(f"{home}/python/"), where, "remove pyspark from the image: the job uses that of the base")


def model(facts: ImageFacts) -> Iterator[Check]:
    told: Any = facts.probe.get("model", facts.probe.get("error"))
    if not isinstance(told, dict):
        yield Check("model", False, str(told), f"{REBUILD}: it adds the official weights and checks them")
        return
    label = (facts.config["Config"].get("Labels") or {}).get("fruitsctl.model")
    ok = told["difference"] <= TOLERANCE and told["fingerprint"] == MODEL == label
    found = f"{told['fingerprint']}, {told['difference']:.1e} from the known answers, as {_user(facts)} without a network"
    yield Check(
        "model", ok, found, f"{REBUILD}: the weights are not the ImageNet weights of MobileNetV2, or another release converted them"
    )
    if told["photos"]:
        yield Check("photos", told["finite"], f"{told['photos']} embedded", "check the photos given with --photos")


def job(facts: ImageFacts) -> Iterator[Check]:
    found = f"{facts.job.message} (offline, read-only, by spark-submit)"
    yield Check("a whole run", facts.job.code == 0, found, "see the message on the left; start the image with `docker run` for details")


def secrets(facts: ImageFacts) -> Iterator[Check]:
    yield Check(
        "no credentials",
        not facts.secrets,
        _some("none in the layers over the base", list(facts.secrets)),
        "remove them from the build and revoke them: they are leaked",
    )


def size(facts: ImageFacts) -> Iterator[Check]:
    total = int(facts.config["Size"])
    over = total - int(facts.base["Size"]) if facts.base else total
    yield Check(
        "size",
        over <= MAX_OVER_BASE and total <= MAX_SIZE,
        f"{total / GB:.2f} GB, {over / GB:.2f} GB over its base",
        f"reduce it to {MAX_OVER_BASE / GB:.1f} GB over the base and {MAX_SIZE / GB:.0f} GB in total, see docker/slim.sh",
    )


def _env(config: Mapping[str, Any]) -> dict[str, str]:
    pairs = (variable.partition("=") for variable in (config.get("Config") or {}).get("Env") or [])
    return {name: value for name, _, value in pairs}


def _user(facts: ImageFacts) -> str:
    return str(facts.config["Config"].get("User") or "root")


def _some(good: str, bad: list[str]) -> str:
    return ", ".join(bad[:3]) + (f" and {len(bad) - 3} more" if len(bad) > 3 else "") if bad else good
