"""What the figures were measured on: processor, memory, system, versions. Out: a dictionary of strings."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

from cli.targets.local.java import find_java_home

PACKAGES = ("pyspark", "tensorflow-cpu", "keras", "ai-edge-litert", "numpy", "pandas", "pyarrow", "pillow", "deltalake")


def describe_machine() -> dict[str, str]:
    cores, threads = psutil.cpu_count(logical=False), psutil.cpu_count()
    versions = {name: version(name) for name in PACKAGES if _installed(name)}
    return {
        "processor": processor(_read("/proc/cpuinfo")) or platform.processor() or platform.machine(),
        "cores": f"{cores} cores, {threads} threads",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": _system(),
        "load before": f"{psutil.getloadavg()[0]:.2f}",
        "python": platform.python_version(),
        "java": _java(),
        **versions,
    }


def processor(cpuinfo: str) -> str:
    """Model and widest vector extension, from the text of /proc/cpuinfo; empty if it names no model."""
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in cpuinfo.splitlines())}
    flags = fields.get("flags", "").split()
    widest = next((name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2"), ("avx", "AVX")) if flag in flags), "")
    return ", ".join(part for part in (fields.get("model name", ""), widest) if part)


def _read(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.platform()


def _java() -> str:
    found = find_java_home(os.environ.get("JAVA_HOME"))
    return f"{found[1]}, from {found[2]}" if found else "none"


def _installed(name: str) -> bool:
    try:
        version(name)
    except ImportError:  # PackageNotFoundError
        return False
    return True
