"""spark-submit starts the job here: a file outside `job/`, whose own folder would otherwise come first on sys.path."""

import sys

from job.__main__ import main

sys.exit(main(sys.argv[1:]))
