"""Every command ends with one error and one hint, whatever the machine refuses it; as other users by setpriv, so these need root."""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cli.commands.app import main
from cli.errors import UsageError
from cli.ui.boundary import explain

ROOT = Path(__file__).parents[4]
NAMELESS, NOBODY = "12345", "nobody"
FOLDERS = ("HOME", "FRUITS_CACHE", "FRUITS_STATE", "XDG_CACHE_HOME", "XDG_STATE_HOME")
as_another_user = pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="needs root, to become another user")


@pytest.fixture
def own(tmp_path):
    """A folder that every user can write."""
    folder = tmp_path / "own"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def command(folder, user=None, **variables):
    """
    Starts `fruitsctl` in `folder`, as `user`, without any folder of the tests' own user. A user may read all that root may, such as root's
    own Python, and write nothing of it.
    """
    kept = {name: value for name, value in os.environ.items() if name not in FOLDERS}
    environment = {**kept, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    reads = [f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")]
    becoming = ["setpriv", f"--reuid={user}", "--regid=65534", "--clear-groups", *reads] if user else []

    def run(*words, before=(), **options):
        line = [*before, *becoming, sys.executable, "-m", "cli", *map(str, words)]
        return subprocess.run(line, cwd=folder, env=environment, text=True, check=False, **{"capture_output": True, **options})

    return run


def refused(done, message, hint, code=2):
    assert (done.returncode, done.stderr) == (code, f"error: {message}\n\nhint: {hint}\n"), done.stderr[-2000:]


@as_another_user
@pytest.mark.parametrize(
    "words",
    [
        ("doctor",),
        ("run", "a", "b", "--local"),
        ("run", "a", "b", "--local", "--dry-run"),
        ("report",),
        ("forget", "a.jpg", "--yes"),
        ("status",),
        ("infra", "plan"),
        ("demo", "--dry-run"),
        ("serve",),
    ],
)
def test_a_user_id_without_a_home_directory_is_told_to_set_one(own, words):
    refused(
        command(own, NAMELESS)(*words),
        "`~/.cache/fruitsctl` cannot be found: user id `12345` has no home directory",
        "set HOME to a writable folder",
    )


@as_another_user
def test_a_user_id_without_a_name_is_refused_before_spark_starts_and_doctor_says_it(own):
    fruitsctl = command(own, NAMELESS, HOME=str(own))
    hint = "run as a user who is listed in /etc/passwd, or add a line for this user id there"
    (own / "a").mkdir()

    for words in (("run", "a", "b", "--local", "--model", "mean_colour"), ("forget", "a.jpg", "--yes", "--output", "b"), ("demo",)):
        refused(fruitsctl(*words), "user id `12345` has no name on this machine, and Spark needs one", hint)
    checked = fruitsctl("doctor")
    assert checked.returncode == 1
    assert f"FAILED   user         user id 12345 has no name, and Spark needs one\n         fix: {hint}\n" in checked.stdout
    assert checked.stderr.startswith("error: missing: user")


@as_another_user
def test_doctor_looks_as_far_as_its_user_may(own):
    """The root folder of another user's process cannot be entered."""
    checked = command(own, NOBODY, HOME=str(own))("doctor", "/proc/1/root/out")

    assert checked.returncode == 1
    assert "FAILED   output       cannot write to /proc/1" in checked.stdout


def runs(own, **variables):
    """Run of the smallest model, from one photo."""
    (own / "photos" / "Apple").mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "assets" / "logo.svg", own / "photos" / "Apple" / "1.jpg")
    fruitsctl = command(own, NOBODY if os.getuid() == 0 else None, HOME=str(own), **variables)
    return lambda output, *more: fruitsctl("run", "photos", output, "--local", "--model", "mean_colour", *more)


@pytest.mark.parametrize(
    ("places", "message", "hint"),
    [
        (
            ("photos", "photos/out"),
            "OUTPUT `{own}/photos/out` is inside INPUT `{own}/photos`",
            "choose an OUTPUT outside INPUT",
        ),
        (("photos", "link/a/b"), "OUTPUT `{own}/link/a/b` is inside INPUT `{own}/photos`", "choose an OUTPUT outside INPUT"),
        (("photos", "photos"), "OUTPUT `{own}/photos` is inside INPUT `{own}/photos`", "choose an OUTPUT outside INPUT"),
        (
            ("out/features", "out"),
            "INPUT `{own}/out/features` contains results of OUTPUT `{own}/out`",
            "give the folder with the photos",
        ),
        (("nope", "out"), "there is no folder `{own}/nope`", "check the path, or get sample photos with `fruitsctl sample`"),
        (("photos/*", "out"), "there is no folder `{own}/photos/*`", "give the folder with the photos, not a pattern"),
        (("file", "out"), "`{own}/file` is a file", "give the folder that holds one sub-folder per label"),
        (("file/photos", "out"), "`{own}/file/photos` is a file", "give the folder that holds one sub-folder per label"),
    ],
)
@pytest.mark.parametrize("target", [("--local",), ("--local", "--dry-run"), ("--submit",)])
def test_a_run_whose_places_are_refused_fetches_and_writes_nothing(own, places, message, hint, target):
    (own / "photos" / "Apple").mkdir(parents=True)
    (own / "out" / "features").mkdir(parents=True)
    (own / "link").symlink_to(own / "photos")
    (own / "file").write_text("")
    before = sorted(own.rglob("*"))

    done = command(own, HOME=str(own), FRUITS_ASSETS=str(own / "no-weights"), SPARK_HOME=str(own))("run", *places, *target)

    refused(done, message.format(own=own), hint)
    assert sorted(own.rglob("*")) == before


@pytest.mark.parametrize("target", ["--compose", "--eks"])
def test_an_output_inside_input_is_refused_before_a_run_is_sent(own, target):
    done = command(own, HOME=str(own))("run", "s3://fruits/photos", "s3://fruits/photos/out", target)

    refused(done, "OUTPUT `s3://fruits/photos/out` is inside INPUT `s3://fruits/photos`", "choose an OUTPUT outside INPUT")


def test_a_file_in_the_place_of_output_is_one_error(own):
    run = runs(own)
    (own / "file").write_text("")

    (own / "out").mkdir()
    (own / "out").chmod(0o777)
    (own / "out" / "features").write_text("")
    for output, file in {"file": "file", "file/out": "file", "file/a/b": "file", "out": "out/features", "/dev/null": "/dev/null"}.items():
        refused(run(output), f"`{file}` is a file", "choose a folder")
    refused(run("file", "--dry-run"), "`file` is a file", "choose a folder")


@pytest.mark.parametrize(
    "words",
    [
        ("sample", "file", "--generated"),
        ("sample", "file/photos"),
        ("demo", "file"),
        ("demo", "file/demo", "--dry-run"),
        ("notebook", "file", "--dry-run"),
        ("data", "push", "file", "s3://bucket/photos"),
        ("data", "push", "file/photos", "s3://bucket/photos"),
    ],
)
def test_a_file_in_the_place_of_a_folder_is_one_error(own, words):
    (own / "file").write_text("")

    refused(command(own, HOME=str(own))(*words), "`file` is a file", "choose a folder")


@as_another_user
def test_a_folder_of_root_is_not_said_to_be_full(own, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o755)

    done = command(own, NOBODY, HOME=str(own))("sample", tmp_path / "closed", "--generated", "--images", "1", "--classes", "1")

    refused(done, f"cannot write `{tmp_path}/closed/Banana/generated_0_0.jpg`: Permission denied", "choose another folder")


ELSEWHERE = ("s3://bucket/x", "s3:/bucket/x", "S3://bucket/x", "s3a://bucket/x", "gs://bucket/x", "https://host/x", "arn:aws:s3:::bucket/x")


@pytest.mark.parametrize("address", ELSEWHERE)
@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("sample",), "create a local folder, then `fruitsctl data push FOLDER s3://bucket/photos`"),
        (("doctor",), "run `fruitsctl doctor --aws`, or give a local folder"),
        (("demo", "--dry-run"), "give a local folder"),
        (("notebook", "--dry-run"), "give a local folder"),
        (("image", "check", "--photos"), "give a local folder of photos"),
        (("data", "push", "s3://bucket/photos"), "give the local folder with the photos first, then the address"),
        (("identify",), "download the photo first, then give its file"),
        (("run", "photos", "out", "--local", "--weights"), "check the path, or omit --weights to use the official file"),
    ],
)
def test_an_address_is_not_taken_for_a_local_folder(own, words, hint, address, monkeypatch, capsys):
    """In this process: each command eight times."""
    monkeypatch.chdir(own)
    monkeypatch.setattr(
        sys, "argv", ["fruitsctl", *(words[:2] if words[0] == "data" else words), address, *words[2:] * (words[0] == "data")]
    )

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: `{address}` is not on this machine\n\nhint: {hint}\n"
    assert list(own.iterdir()) == []


def test_settings_name_folders_of_this_machine_and_init_checks_its_addresses(own):
    fruitsctl = command(own, HOME=str(own), FRUITS_CACHE="s3://bucket/cache")
    refused(fruitsctl("doctor"), "`s3://bucket/cache` is not on this machine", "set FRUITS_CACHE to a local folder")

    message = "`s3:/bucket/photos` is not a folder and not an address such as s3://bucket/prefix"
    refused(command(own, HOME=str(own))("init", "--input", "s3:/bucket/photos"), message, "write s3://bucket/photos")
    assert list(own.iterdir()) == []
    (own / "fruits.toml").write_text('output = "s3:/bucket/photos"\n')
    refused(command(own, HOME=str(own))("report"), message, "write s3://bucket/photos")


@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)])
def test_own_weights_are_checked_before_spark_starts(own, dry_run):
    (own / "photos").mkdir()
    hint = "check the path, or omit --weights to use the official file"

    for weights, message in {"nope.h5": f"there are no weights at `{own}/nope.h5`", "photos": f"`{own}/photos` is a folder"}.items():
        done = command(own, HOME=str(own))("run", "photos", "out", "--local", "--weights", weights, *dry_run)
        refused(done, message, hint)
    assert not (own / "out").exists()


@as_another_user
def test_a_folder_of_root_as_output_is_one_error(own, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir()

    run, hint = runs(own), "make it writable, or choose another OUTPUT"
    for dry_run in ((), ("--dry-run",)):
        refused(run(closed / "out", *dry_run), f"cannot write `{closed}/out`: Permission denied", hint)
        refused(run(closed / "a" / "b", *dry_run), f"cannot write `{closed}/a`: Permission denied", hint)
    (closed / "out" / "runs").mkdir(parents=True)
    (closed / "out").chmod(0o777)
    refused(run(closed / "out", "--dry-run"), f"cannot write `{closed}/out/runs`: Permission denied", hint)


@as_another_user
def test_a_read_only_disk_as_output_is_one_error(own):
    run = command(own, HOME=str(own))
    (own / "photos" / "Apple").mkdir(parents=True)
    (own / "disk").mkdir()
    disk = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o ro tmpfs "{own}/disk" && exec "$@"', "sh"]

    done = run("run", "photos", "disk/out", "--local", "--model", "mean_colour", before=disk)

    refused(done, f"cannot write `{own}/disk/out`: Read-only file system", "make it writable, or choose another OUTPUT")


def test_a_full_disk_behind_stdout_is_one_error(own):
    with open("/dev/full", "w") as full:
        done = command(own, HOME=str(own))("doctor", "--json", capture_output=False, stdout=full, stderr=subprocess.PIPE)

    refused(done, "no space left on the disk", "free space on its disk")


@as_another_user
@pytest.mark.parametrize("command_line", ["run s3://fruits/photos s3://fruits/out --compose", "notebook --compose"])
@pytest.mark.skipif(not shutil.which("docker"), reason="needs the docker program")
def test_a_user_without_rights_to_docker_is_told_so_before_compose_starts(own, tmp_path, command_line):
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(tmp_path / "docker.sock"))
        (tmp_path / "docker.sock").chmod(0o600)
        engine.listen()
        (own / "docker-compose.yml").write_text("services: {}\n")

        done = command(own, NOBODY, HOME=str(own), DOCKER_HOST=f"unix://{tmp_path}/docker.sock")(*command_line.split())

    assert done.returncode == 2
    assert done.stderr.startswith("error: no permission to use the Docker engine: permission denied")
    assert done.stderr.endswith("\n\nhint: run `sudo usermod -aG docker $USER`, then log in again\n")
    assert len(done.stderr.splitlines()) == 3


def test_a_working_directory_that_was_deleted_is_one_error(own):
    (own / "gone").mkdir()
    gone = ["sh", "-c", f'cd "{own}/gone" && rmdir "{own}/gone" && exec "$@"', "sh"]

    done = command(own, HOME=str(own))("run", "a", "b", "--local", before=gone)

    refused(done, "the working directory no longer exists", "change to another folder")


def test_an_unexpected_error_is_one_line_and_a_traceback_for_its_user_alone(own):
    script = "import os; os.umask(0); from cli.commands import app as main; main.app = lambda: {}['photo']; main.main()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(own)}

    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)

    (log,) = own.glob("fruitsctl-error-*.log")
    refused(done, "unexpected KeyError: 'photo'", f"report it with the traceback in {log}", code=1)
    assert "Traceback" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("variable", "error", "message", "hint"),
    [
        ("FRUITS_CACHE", PermissionError(13, "Permission denied"), "no permission for `{}`: Permission denied", "set FRUITS_CACHE to"),
        ("FRUITS_STATE", OSError(28, "No space left on device"), "no space left for `{}`", "set FRUITS_STATE to"),
        ("FRUITS_STATE", NotADirectoryError(20, "Not a directory"), "cannot use `{}`: Not a directory", "set FRUITS_STATE to"),
        ("NONE", OSError(30, "Read-only file system"), "no permission for `{}`: Read-only file system", "make it writable, or choose"),
        ("NONE", IsADirectoryError(21, "Is a directory"), "cannot use `{}`: Is a directory", "choose another place"),
    ],
)
def test_an_error_of_the_system_names_the_path_and_the_variable_that_moves_it(own, monkeypatch, variable, error, message, hint):
    monkeypatch.setenv(variable, str(own))
    monkeypatch.setenv("TMPDIR", "/dev/shm")
    monkeypatch.setattr("tempfile.tempdir", None)
    error.filename = str(own / "file")

    ended = explain(error)

    assert isinstance(ended, UsageError)
    assert str(ended) == message.format(own / "file")
    assert ended.hint.startswith(hint)


def test_a_machine_without_a_folder_for_temporary_files_is_told_how_to_get_one():
    ended = explain(FileNotFoundError(2, "No usable temporary directory found in ['/tmp']"))

    assert (str(ended), ended.hint) == ("no folder for temporary files is writable", "set TMPDIR to a writable folder with free space")


def test_a_connection_that_fails_is_no_error_of_a_file(own, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(own))

    assert str(explain(ConnectionResetError(104, "Connection reset by peer"))).startswith("unexpected ConnectionResetError")


@pytest.mark.parametrize(
    ("words", "link"),
    [
        (("run", "photos", "link", "--local"), "link"),
        (("run", "photos", "link/out", "--local", "--dry-run"), "link"),
        (("run", "photos", "out", "--local"), "out/features"),
        (("run", "photos", "loop", "--local"), "loop"),
        (("sample", "link", "--generated"), "link"),
        (("demo", "link/demo", "--dry-run"), "link"),
        (("notebook", "link", "--dry-run"), "link"),
    ],
)
def test_a_link_that_leads_nowhere_is_one_error(own, words, link):
    (own / "photos" / "Apple").mkdir(parents=True)
    (own / "out").mkdir()
    for name, target in {"link": "gone", "loop": "loop", "out/features": "gone"}.items():
        (own / name).symlink_to(target)

    done = command(own, HOME=str(own), FRUITS_ASSETS=str(own / "no-weights"))(*words)

    message = f"`{link}` is a symbolic link to `{(own / link).readlink()}`, which cannot be found"
    refused(done, message, "create the folder that the link names, or choose another")


def test_doctor_and_input_name_a_link_that_leads_nowhere(own):
    (own / "link").symlink_to("gone")
    run = command(own, HOME=str(own))

    checks = {check["name"]: check for check in json.loads(run("doctor", "link", "--json").stdout)["checks"]}
    assert (checks["output"]["ok"], checks["disk"]["ok"]) == (False, True)
    assert checks["output"]["found"] == f"`{own}/link` is a symbolic link to `gone`, which cannot be found"
    refused(
        run("run", "link", "out", "--local"),
        f"`{own}/link` is a symbolic link to `gone`, which cannot be found",
        "fix the link, or give another folder",
    )


def test_a_policy_is_printed_without_credentials_by_the_account_that_the_hint_asks_for(own):
    run = command(own, HOME=str(own), AWS_EC2_METADATA_DISABLED="true", AWS_REGION="eu-west-3")

    hint = "add --account NUMBER, or set AWS_PROFILE, or run `aws configure`"
    refused(run("infra", "policy", "operator"), "no AWS credentials found", hint)
    assert run("infra", "policy", "operator", "--account", "111122223333").returncode == 0
    refused(
        run("infra", "policy", "operator", "--account", "1111-2222-3333"),
        "`1111-2222-3333` is not the number of an account",
        "give its 12 digits, for example --account 111122223333",
    )
