"""The entry point of `fruitsctl` and of `python -m cli`. It refuses native Windows before it imports what Windows does not have."""

from __future__ import annotations

import sys

from cli.output import say_error


def main() -> None:
    if sys.platform == "win32":  # no fcntl, which locks files
        say_error("fruitsctl does not run on native Windows", "use WSL2 (https://learn.microsoft.com/windows/wsl/install), Linux or macOS")
        sys.exit(2)
    from cli.main import main as command

    command()


if __name__ == "__main__":
    main()
