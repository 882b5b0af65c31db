"""How often commands ask the services about a run, and for how long."""

POLL_SECONDS = 5.0  # GetJobRun takes 10 requests a second, of everybody in the account: docs of the service's quotas
LATE_SECONDS = 20.0  # after the end, for lines of the log that are still on their way
FOLLOW_SECONDS = 8 * 24 * 3600.0  # a day more than the longest run
CANCEL_SECONDS = 1800.0  # until the workers of a cancelled run have stopped; it takes a minute or two
