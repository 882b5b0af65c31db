"""The entry point of `fruitsctl` and of `python -m cli`. It refuses native Windows before it imports what Windows does not have."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command. Ctrl-C ends it with exit code 130 also while its modules are imported, which is why they are imported here."""
    try:
        _main()
    except KeyboardInterrupt:
        sys.exit(130)


def _main() -> None:
    if sys.platform == "win32":  # no fcntl, which locks files
        from cli.ui.output import say_error

        say_error("fruitsctl does not run on native Windows", "use WSL2 (https://learn.microsoft.com/windows/wsl/install), Linux or macOS")
        sys.exit(2)
    from cli.commands.app import main as command

    command()


if __name__ == "__main__":
    main()
