#!/bin/sh
# Entrypoint of the simulated EMR base: runs its arguments. The entrypoint of EMR starts a worker of the service.
exec "$@"
