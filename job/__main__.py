"""Entry point of spark-submit: parse the arguments, run one attempt, print the outcome, return an exit code."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress

from job.contract.params import Params
from job.contract.records import Outcome, to_line
from job.storage.outcomes import failure, interrupted, invalid_arguments, unexpected_error, write_outcome


def main(argv: list[str]) -> int:
    # Schedulers send SIGTERM. It ends the run as Ctrl-C does: the lease is released and the outcome written.
    """Run one attempt from the command line and return its exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        params = Params.from_argv(argv)
    except ValueError as error:
        return print_outcome(invalid_arguments(argv, error))
    try:
        return print_outcome(run_attempt(params))
    except KeyboardInterrupt:
        return print_outcome(write_outcome(params.output, interrupted(params.run_id)))
    except Exception as error:  # noqa: BLE001 - an import that fails: the run owes its outcome all the same
        return print_outcome(write_outcome(params.output, failure(params.run_id, unexpected_error(error))))


def run_attempt(params: Params) -> Outcome:
    """Launch the JVM, then import and run the attempt: the imports take most of a second while the JVM starts."""
    from job.spark.session import launch_jvm

    launch_jvm()
    from job.attempt import attempt  # most of a second of imports, while the JVM starts

    return attempt(params)


def print_outcome(outcome: Outcome) -> int:
    """Print the outcome and return its exit code."""
    with suppress(BrokenPipeError):  # the parent process is gone; the outcome is in OUTPUT
        print(to_line(outcome), flush=True)  # noqa: T201 - job.spark.progress does this too, but imports pyspark
    return outcome.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
