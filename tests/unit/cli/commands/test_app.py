"""The command as a whole: quick to start, plain in what it says."""

import json
import shlex
import subprocess
import sys

import pytest
import typer.main

from cli.commands.app import app
from cli.commands.run.run import COMMON
from cli.targets.registry import TARGETS, taken_by
from cli.ui.examples import EXAMPLES
from cli.ui.given_options import refuse_foreign
from tests.terminal import on_a_terminal

HEAVY = {"boto3", "botocore", "numpy", "pyspark", "requests", "rich", "tensorflow"}


def fruitsctl(*words, **options):
    return subprocess.run([sys.executable, "-m", "cli", *words], capture_output=True, text=True, check=False, **options)


def test_help_imports_nothing_heavy():
    script = f"import sys, cli.commands.app; print(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_help_names_every_command_in_a_whole_sentence():
    said = fruitsctl("--help").stdout

    for line in ("run       Embed the photos that are new, fit a PCA, publish the matrix.", "doctor    Check this machine"):
        assert line in said
    assert "..." not in said.partition("Work:")[2]
    heads = ["Work:", "Results:", "AWS:", "Setup:"]
    assert [line for line in said.splitlines() if line in heads] == heads


def test_a_run_needs_a_target():
    done = fruitsctl("run", "in", "out")

    assert done.returncode == 2
    assert done.stderr == "error: no target given\n\nhint: add --local, --compose, --serverless or --eks\n"


def test_doctor_lists_what_it_found_as_json(tmp_path):
    done = fruitsctl("doctor", str(tmp_path / "out"), "--json")

    assert done.returncode == 0
    assert [check["name"] for check in json.loads(done.stdout)["checks"]] == [
        "python",
        "packages",
        "java",
        "user",
        "environment",
        "memory",
        "disk",
        "weights",
        "output",
        "cache",
        "temporary",
    ]


def test_doctor_names_what_is_missing_and_how_to_fix_it(tmp_path):
    (tmp_path / "file").write_text("")

    done = fruitsctl("doctor", str(tmp_path / "file" / "out"))

    assert done.returncode == 1
    assert f"FAILED   output       cannot write to {tmp_path}/file" in done.stdout
    assert "fix: choose another OUTPUT, and check it with `fruitsctl doctor OTHER_OUTPUT`" in done.stdout
    assert "error: missing: output" in done.stderr
    assert f"hint: run the commands after `fix:`, then `fruitsctl doctor {tmp_path}/file/out` again\n" in done.stderr


def commands(command=None, name=()):
    """Every command that is not a group, with its words."""
    command = command or typer.main.get_command(app)
    for word, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*name, word))
    if not hasattr(command, "commands"):
        yield name, command


COMMANDS = dict(commands())


def test_every_command_has_two_examples():
    assert set(EXAMPLES) == {" ".join(name) for name in COMMANDS}


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_an_example_is_a_command_line_that_the_command_takes_and_that_its_help_shows(line):
    program, *words = shlex.split(line.partition(" > ")[0])
    name = next(name for name in COMMANDS if tuple(words[: len(name)]) == name)
    command = COMMANDS[name]
    context = command.make_context(" ".join(name), words[len(name) :])

    assert program == "fruitsctl"
    assert context.params
    assert f"    {line}\n" in f"{command.get_help(command.context_class(command))}\n"
    if name == ("run",):
        flags = {f"--{target.name}" for target in TARGETS}
        refuse_foreign(context, next(word for word in words if word in flags), taken_by(("input", "output", *COMMON)))


@pytest.mark.parametrize("words", [(), ("run",), ("infra",), ("infra", "up")])
def test_h_is_short_for_help(words):
    assert fruitsctl(*words, "-h").stdout == fruitsctl(*words, "--help").stdout != ""


@pytest.mark.parametrize(
    ("words", "choices"),
    [
        (("run", "a", "b", "--local", "--model", "x"), ("mobilenet_v2", "mean_colour")),
        (("run", "a", "b", "--local", "--engine", "x"), ("litert", "tensorflow")),
        (("image", "build", "--target", "x"), ("serverless", "eks")),
        (("image", "build", "--architecture", "x"), ("amd64", "arm64")),
        (("image", "check", "--architecture", "x"), ("amd64", "arm64")),
        (("infra", "up", "--architecture", "x"), ("amd64", "arm64")),
        (("infra", "plan", "--architecture", "x"), ("amd64", "arm64")),
    ],
)
def test_a_value_that_is_not_a_choice_is_refused_with_the_choices(words, choices):
    done = fruitsctl(*words)

    assert done.returncode == 2
    assert all(f"'{choice}'" in done.stderr for choice in choices)


def test_native_windows_is_refused_in_one_sentence():
    """As there: without fcntl, by the name that Python gives the platform."""
    script = "import sys; sys.platform = 'win32'; sys.modules['fcntl'] = None; from cli.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: fruitsctl does not run on native Windows\n\n"
        "hint: use WSL2 (https://learn.microsoft.com/windows/wsl/install), Linux or macOS\n"
    )


@pytest.mark.parametrize("module", ["cli.ui.output", "cli.commands.app", "cli.ui.boundary", "typer"])
def test_ctrl_c_while_modules_are_imported_ends_with_130_and_no_word(module):
    script = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
from cli.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("--variance", "5"), "variance is a share above 0 and up to 1, not `5.0`", "for example --variance 0.9"),
        (("--variance", "0"), "variance is a share above 0 and up to 1, not `0.0`", "for example --variance 0.9"),
        (("--max-reject-ratio", "5"), "max-reject-ratio is between 0 and 1, not `5.0`", "for example --max-reject-ratio 0.05"),
        (("--components", "5", "--variance", "0.9"), "give components or variance, not both", "remove --components or --variance"),
    ],
)
def test_a_value_out_of_range_is_refused_with_one_that_is_taken(words, message, hint):
    assert fruitsctl("run", "a", "b", "--local", *words).stderr == f"error: {message}\n\nhint: {hint}\n"


@pytest.mark.parametrize("words", [("run", "s3://fruits/photos", "s3://fruits/out", "--compose"), ("notebook", "--compose")])
def test_a_dry_run_in_the_stack_needs_its_file_as_the_run_does(words, tmp_path):
    done = fruitsctl(*words, "--dry-run", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: there is no docker-compose.yml in `{tmp_path}`\n\nhint: run the command in the checkout\n"


def test_error_and_hint_are_coloured_on_a_terminal_only():
    shown = on_a_terminal("run", "a", "b").terminal

    assert shown.startswith("\x1b[1;31merror:\x1b[0m no target given")
    assert "\x1b[1;36mhint:\x1b[0m add --local" in shown
    assert "\x1b" not in fruitsctl("run", "a", "b").stderr


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_there_is_no_colour_where_none_is_wanted(variables):
    assert on_a_terminal("run", "a", "b", **variables).terminal.startswith("error: no target given")


def test_a_terminal_shows_a_bar_and_a_pipe_shows_lines(tmp_path):
    words = ("sample", "--generated", "--images", "12", "--classes", "3")
    shown, piped = on_a_terminal(*words, str(tmp_path / "a")), fruitsctl(*words, str(tmp_path / "b"))

    assert (shown.returncode, piped.returncode) == (0, 0)
    assert "12/12 images" in shown.terminal
    assert "\x1b[" not in shown.stdout
    assert "12 of 12 images" in piped.stderr
    assert "\x1b[" not in piped.stderr
