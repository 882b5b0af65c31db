"""The whole chain on a real S3 server, with nothing but a profile: README's command, and what goes wrong."""

import json
import os
import subprocess
import sys

import pytest


@pytest.fixture
def fruitsctl(s3_server, cache, tmp_path):
    """The command of a user who has a profile and no key in the environment."""
    credentials, config = tmp_path / "credentials", tmp_path / "config"
    credentials.write_text(f"[fruits]\naws_access_key_id = {s3_server.access_key}\naws_secret_access_key = {s3_server.secret_key}\n")
    config.write_text(
        f"[profile fruits]\nregion = eu-west-3\nservices = local\n[services local]\ns3 =\n  endpoint_url = {s3_server.endpoint}\n"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    env |= {"AWS_PROFILE": "fruits", "AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": str(credentials)}
    env |= {"FRUITS_CACHE": str(cache)}

    def run(*words, **more):
        return subprocess.run([sys.executable, "-m", "cli", *words], env=env | more, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def photos(bucket, s3_server, sample):
    """40 real photos in s3://<bucket>/photos, two of them under names that a URL would encode."""
    client, names = s3_server.client(), []
    for folder in sorted((sample / "Test").iterdir())[::33]:
        for path in sorted(folder.iterdir()):
            names.append(f"photos/{folder.name}/{path.name}")
            client.upload_file(str(path), bucket, names[-1])
    for odd in ("photos/é 🍎/a b%20#+=.jpg", "photos/straight.jpg"):
        client.upload_file(str(path), bucket, odd)
        names.append(odd)
    return {f"s3://{bucket}/{name}" for name in names}


def test_a_run_from_s3_to_s3_and_again(fruitsctl, photos, bucket, s3_server):
    first = fruitsctl("run", f"s3://{bucket}/photos", f"s3://{bucket}/out", "--local", "--components", "5", "--json")
    assert first.returncode == 0, first.stderr[-3000:]
    second = fruitsctl("run", f"s3://{bucket}/photos", f"s3://{bucket}/out", "--local", "--components", "5", "--json")
    assert second.returncode == 0, second.stderr[-3000:]

    one, two = json.loads(first.stdout), json.loads(second.stdout)
    assert (one["counts"]["embedded"], two["counts"]["embedded"], two["counts"]["rows"]) == (len(photos), 0, len(photos))
    keys = [item["Key"] for item in s3_server.client().list_objects_v2(Bucket=bucket, Prefix="out/")["Contents"]]
    (part,) = (key for key in keys if f"{two['run_id']}/csv/part" in key)
    text = s3_server.client().get_object(Bucket=bucket, Key=part)["Body"].read().decode()
    assert {line.partition(",")[0] for line in text.splitlines()[1:]} == photos
    assert f"out/runs/{two['run_id']}/job.log" in keys
    assert not [key for key in keys if key.startswith("out/work/")]
    latest = json.loads(s3_server.client().get_object(Bucket=bucket, Key="out/latest.json")["Body"].read())
    assert latest["run_id"] == two["run_id"]
    log = s3_server.client().get_object(Bucket=bucket, Key=f"out/runs/{one['run_id']}/job.log")["Body"].read().decode()
    assert s3_server.secret_key not in log
    assert not any(uri in log for uri in photos)  # the job never logs a URI of a photo


@pytest.mark.parametrize(
    ("source", "message"), [("s3://no-such-bucket-here/photos", "there is no bucket for"), ("s3://{bucket}/absent", "s3://{bucket}/absent")]
)
def test_a_place_that_does_not_exist_is_named(fruitsctl, bucket, source, message):
    done = fruitsctl("run", source.format(bucket=bucket), f"s3://{bucket}/out", "--local", "--model", "mean_colour")

    assert done.returncode == 2
    assert message.format(bucket=bucket) in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_credentials_are_said(fruitsctl, bucket, tmp_path):
    (tmp_path / "wrong").write_text("[fruits]\naws_access_key_id = nobody\naws_secret_access_key = nothing\n")

    done = fruitsctl("run", f"s3://{bucket}/a", f"s3://{bucket}/out", "--local", AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "wrong"))

    assert done.returncode == 2
    assert f"S3 refused access to `s3://{bucket}/a`" in done.stderr


def test_an_unknown_profile_is_said(fruitsctl, bucket):
    done = fruitsctl("run", f"s3://{bucket}/a", f"s3://{bucket}/out", "--local", "--model", "mean_colour", AWS_PROFILE="absent")

    assert done.returncode == 2
    assert "absent" in done.stderr
    assert "Traceback" not in done.stderr
