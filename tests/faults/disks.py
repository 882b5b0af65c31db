"""Small disks to fill, or to make read-only, while a job writes there: a tmpfs each, in a separate mount namespace. Needs root."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

BLOCK = bytes(4096)


class Disk(NamedTuple):
    path: Path  # for who lives in the namespace
    seen: Path  # the same from outside
    within: list[str]  # starts a command in the namespace

    def fill(self) -> None:
        """Not one byte more fits; `empty` makes room again."""
        with (self.seen / "filling").open("ab", buffering=0) as file, suppress(OSError):
            while file.write(BLOCK):
                pass
        assert shutil.disk_usage(self.seen).free < len(BLOCK)

    def empty(self) -> None:
        (self.seen / "filling").unlink()

    def copy(self, name: str, target: Path) -> Path:
        """Of what is there now: not every library finds its way through /proc."""
        return Path(shutil.copytree(self.seen / name, target))

    def remount(self, mode: str) -> None:
        """`ro` or `rw`. Read-only it becomes only in a moment when no file is open for writing, so it is tried until there is one."""
        command = [*self.within, "mount", "-o", f"remount,{mode}", str(self.path)]
        while subprocess.run(command, capture_output=True, check=False).returncode:
            time.sleep(0.002)


@contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[Disk]:
    path.mkdir()
    script = f'mount -t tmpfs -o size={megabytes}m,mode=0777 tmpfs "{path}" && echo ready && exec sleep infinity'
    with subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout
            assert holder.stdout.readline() == "ready\n", "no tmpfs could be mounted: these tests need root"
            seen = Path(f"/proc/{holder.pid}/root{path}")
            yield Disk(path, seen, ["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt"])
        finally:
            holder.kill()
