"""
Read settings: flag, then environment, then `fruits.toml`, then default. The CLI reads them here only.

`fruits.toml` is in the working directory, or where FRUITS_CONFIG says. docs/reference/configuration.md is the page about it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cli.errors import UsageError
from cli.settings.folders import local
from cli.settings.user import expand_home
from job.contract.uris import FOREIGN

FILE = "fruits.toml"
KEYS_OF_THE_ENVIRONMENT = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID")  # which a profile of the file must not override


@dataclass(frozen=True)
class Setting:
    """A line of `fruits.toml`. A relative path there starts at the file's own folder."""

    name: str
    variable: str  # of the environment
    help: str
    example: str
    default: str | None = None
    path: bool = False


SETTINGS = (
    Setting(
        "input",
        "FRUITS_INPUT",
        "Photos: a folder or s3://bucket/prefix with one sub-folder per label.",
        "s3://my-bucket/photos",
        None,
        True,
    ),
    Setting(
        "output", "FRUITS_OUTPUT", "Destination of features and runs: a folder or s3://bucket/prefix.", "s3://my-bucket/out", None, True
    ),
    Setting(
        "region", "AWS_REGION", "AWS Region in the European Union. Defaults to the Region of your profile, then eu-west-3.", "eu-west-3"
    ),
    Setting("profile", "AWS_PROFILE", "Profile of your AWS configuration. Keys in the environment take precedence.", "fruits"),
    Setting("project", "FRUITS_PROJECT", "Name of the stacks, repository, application and tags in AWS.", "fruitsctl", "fruitsctl"),
    Setting("assets", "FRUITS_ASSETS", "Folder with weights/ and fruits-360-sample/, used instead of downloads.", "../data", None, True),
    Setting("cache", "FRUITS_CACHE", "Folder for downloads and the converted model.", "~/.cache/fruitsctl", "~/.cache/fruitsctl", True),
    Setting(
        "state",
        "FRUITS_STATE",
        "Folder for saved state, such as the last pushed image.",
        "~/.local/state/fruitsctl",
        "~/.local/state/fruitsctl",
        True,
    ),
    Setting("target", "FRUITS_TARGET", "Target of runs without a flag, such as local or serverless.", "local"),
    Setting("driver_memory", "FRUITS_DRIVER_MEMORY", "JVM heap of a local run, as a Spark size such as 2g.", "4g", "2g"),
)


@dataclass(frozen=True)
class Settings:
    """The settings of this process."""

    input: str | None
    output: str | None
    region: str | None
    project: str
    profile: str | None  # only where the environment has no credentials
    assets: Path | None
    cache: Path
    state: Path
    driver_memory: str
    java_home: str | None  # JAVA_HOME
    spark_home: str | None  # SPARK_HOME: whose spark-submit --submit uses
    jvm_options: str | None  # SPARK_SUBMIT_OPTS, for the JVM of a local Spark
    target: str | None = None  # of cli/targets/registry.py, where no flag names one
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # options of targets, checked by cli/targets/registry.py


def settings() -> Settings:
    """
    Return the settings of this process.

    Raises:
        UsageError: `fruits.toml` cannot be read, or has an unknown setting.
    """
    environ = os.environ
    file = Path(environ.get("FRUITS_CONFIG") or FILE)
    found: dict[str, Any] = {setting.name: setting.default for setting in SETTINGS}
    for name, folder in (("cache", environ.get("XDG_CACHE_HOME")), ("state", environ.get("XDG_STATE_HOME"))):
        if folder:
            found[name] = f"{folder}/fruitsctl"
    tables: dict[str, dict[str, Any]] = {}
    if "FRUITS_CONFIG" in environ or file.is_file():
        values, tables = read(file)
        found |= values
    if any(environ.get(name) for name in KEYS_OF_THE_ENVIRONMENT):
        found["profile"] = None
    found |= {
        setting.name: environ[setting.variable] for setting in SETTINGS if environ.get(setting.variable) and setting.name != "profile"
    }
    found |= {name: _path(name, found[name]) for name in ("assets", "cache", "state") if found[name]}
    others = {"java_home": "JAVA_HOME", "spark_home": "SPARK_HOME", "jvm_options": "SPARK_SUBMIT_OPTS"}
    found |= {name: environ.get(variable) for name, variable in others.items()}
    return Settings(**found, tables=tables)


def read(file: Path) -> tuple[dict[str, str | None], dict[str, dict[str, Any]]]:
    """
    Return the settings in `file`, with absolute paths, and its tables: options of targets, by name.

    Raises:
        UsageError: it cannot be read, is not TOML, or has an unknown setting.
    """
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read `{file}`: {error.strerror}", "check FRUITS_CONFIG, or run `fruitsctl init`") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"`{file}` is not valid TOML: {error}", 'write each line as NAME = "value"; `fruitsctl init` creates an example'
        ) from error
    names = {setting.name: setting for setting in SETTINGS}
    tables = {name: table.pop(name) for name in list(table) if isinstance(table[name], dict) and name not in names}
    for name, value in table.items():
        if name not in names:
            near = get_close_matches(name, names, 1) or [", ".join(names)]
            raise UsageError(f"unknown setting `{name}` in `{file}`", f"did you mean `{near[0]}`?")
        if not isinstance(value, str) or not value:
            raise UsageError(
                f"value of `{name}` in `{file}` is not a string: `{value}`", f'write it as a string: {name} = "{names[name].example}"'
            )
    folder = file.resolve().parent
    values = {
        name: str(folder / expand_home(value)) if names[name].path and not FOREIGN.match(value) else value for name, value in table.items()
    }
    return values, tables


def example(given: Mapping[str, str | None]) -> str:
    """Return a `fruits.toml` that explains every setting, with those of `given` set and the others commented out."""
    lines = ["# Settings of fruitsctl. Options and environment variables take precedence. Every line is optional."]
    for setting in SETTINGS:
        value = given.get(setting.name)
        quoted = (value or setting.example).replace("\\", "\\\\").replace('"', '\\"')
        lines += ["", f"# {setting.help} [environment: {setting.variable}]", f'{"" if value else "# "}{setting.name} = "{quoted}"']
    return "\n".join(lines) + "\n"


def environment() -> dict[str, str]:
    """Return the environment for a child process."""
    return dict(os.environ)


def _path(name: str, text: str) -> Path:
    variable = next(setting.variable for setting in SETTINGS if setting.name == name)
    return Path(os.path.realpath(local(text, f"set {variable} to a local folder")))
