"""A `docker` on PATH for runs in the local stack: containers are processes that follow a script. Its state is files in a folder."""

import os
import sys
from pathlib import Path

PROGRAM = """#!{python}
import json, os, shlex, signal, sys, time
from pathlib import Path

HERE = Path({folder!r})


def container(words):
    script = json.loads((HERE / "script.json").read_text())
    me = HERE / str(os.getpid())
    me.with_suffix(".log").write_text("the job begins\\n")
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    me.with_suffix(".running").write_text(shlex.join(words))
    try:
        time.sleep(script["seconds"])
        print(script["stdout"], flush=True)
        return script["code"]
    finally:
        me.with_suffix(".running").unlink()


def main(words):
    if words[0] == "compose" and words[1] == "run":
        return container(words[words.index("job") + 1 :])
    if words[0] == "ps":
        for file in HERE.glob("*.running"):
            print(file.stem, '"' + file.read_text() + '"')
    if words[0] == "kill":
        os.kill(int(words[-1]), signal.SIGINT)
    if words[0] == "logs":
        print((HERE / words[-1]).with_suffix(".log").read_text(), end="")
    return 0


sys.exit(main(sys.argv[1:]))
"""


def docker_standin(folder: Path) -> str:
    """Write the program into `folder`, and return the PATH that has it first."""
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "docker"
    program.write_text(PROGRAM.format(python=sys.executable, folder=str(folder)))
    program.chmod(0o755)
    (folder / "docker-compose.yml").write_text("services: {}\n")
    return os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
