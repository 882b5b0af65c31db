"""
`python -m tests.aws.standin --image fruitsctl:serverless`: AWS on this machine, to rehearse on; until Ctrl-C.

stdout is for a shell to read, everything else goes to stderr. docs/how-to/rehearsal.md is the page about it.
"""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import signal
import sys
import tempfile
import threading
from pathlib import Path

from moto.server import ThreadedMotoServer

from cli.container.docker import inspect_image
from cli.container.pushed import PushedImage, save_pushed
from tests.aws import moto_repairs
from tests.aws.standin.image_runner import ImageRunner
from tests.aws.standin.knobs import Durations
from tests.aws.standin.server import ACCOUNT, REGION, Standin
from tests.s3.server import versitygw

# As slow as to be seen, far from as slow as the service.
SEEN = Durations(creating=1, starting=3, stopping=2, submitted=1, pending=1, scheduled=2, cancelling=1, log=0.5, stack=1)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("python -m tests.aws.standin", description="AWS on this machine, to rehearse on.")
    parser.add_argument("--image", required=True, help="local name of the job's image; every job run is a `docker run` of it")
    wanted = parser.parse_args(arguments)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # moto would print a line for each request
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    url = "http://{}:{}".format(*moto.get_host_and_port())
    with tempfile.TemporaryDirectory() as folder, versitygw(Path(folder)) as s3:
        # versitygw takes a user's access key for the owner of a bucket: here it is the account.
        secret = secrets.token_hex(16)
        s3.create_user(ACCOUNT, secret)
        runner = ImageRunner(wanted.image, s3.endpoint, ACCOUNT, secret)
        with Standin(url, runner, s3=s3.client(ACCOUNT, secret), durations=SEEN) as standin:
            standin.emr.image_facts = runner.facts
            # Nothing can be pushed to a registry that is not there: the local image's own id stands for its digest.
            digest = moto_repairs.PUSHED["fruitsctl"] = inspect_image(wanted.image)["Id"]
            uri = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/fruitsctl"
            save_pushed(Path(folder) / "state", PushedImage(f"{uri}@{digest}", digest, "rehearsal", uri))
            exports = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": REGION}
            exports["FRUITS_STATE"] = f"{folder}/state"
            exports |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
            for name, value in {**exports, **standin.environment()}.items():
                sys.stdout.write(f"export {name}={value}\n")
            sys.stdout.flush()
            sys.stderr.write("the rehearsal is ready; Ctrl-C ends it, and nothing of it is left\n")
            over.wait()
    moto.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
