"""spark-submit starts here: argv to Params to `attempt`; the outcome on stdout, an exit code."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress

from job.params import Params
from job.session import launch_jvm


def main(argv: list[str]) -> int:
    params = Params.from_argv(argv)
    # A plain SIGTERM, as schedulers send it, ends the run as Ctrl-C does: lease released, outcome written.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    launch_jvm()
    from job.attempt import attempt  # a second of imports, while the JVM starts
    from job.progress import send

    outcome = attempt(params)
    with suppress(BrokenPipeError):  # whoever started the job is gone; the outcome is in OUTPUT
        send(outcome)
    return outcome.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
