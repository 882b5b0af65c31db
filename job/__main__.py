"""spark-submit starts here: argv to Params to `attempt`; the outcome on stdout, an exit code."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress

from job.params import Params
from job.records import Outcome, to_line
from job.session import launch_jvm


def main(argv: list[str]) -> int:
    # A plain SIGTERM, as schedulers send it, ends the run as Ctrl-C does: lease released, outcome written.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        params = Params.from_argv(argv)
    except ValueError as error:
        from job.attempt import refuse

        return told(refuse(argv, error))
    try:
        launch_jvm()
        from job.attempt import attempt  # most of a second of imports, while the JVM starts

        outcome = attempt(params)
    except KeyboardInterrupt:
        outcome = Outcome(params.run_id, 130, "Interrupted", "interrupted", "run the same command again")
    return told(outcome)


def told(outcome: Outcome) -> int:
    """Print the outcome and return its exit code."""
    with suppress(BrokenPipeError):  # the parent process is gone; the outcome is in OUTPUT
        print(to_line(outcome), flush=True)  # noqa: T201 - as job.progress, which has imports of its own
    return outcome.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
