#!/bin/sh
# The stand-in's entrypoint: runs what it is given. EMR's own starts the worker that its service asks for.
exec "$@"
