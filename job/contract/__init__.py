"""Define what the job and the CLI share: arguments, records, addresses, errors. The CLI imports no other part of the job."""
