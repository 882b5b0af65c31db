"""`python -m cli` is `fruitsctl`."""

from cli.main import main

main()
