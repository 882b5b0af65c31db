"""Define what the job and the CLI share: arguments, records, addresses, errors. No other part of the job is known to the CLI."""
