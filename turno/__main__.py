"""`python -m turno`: refuses an unfit Python in one sentence, before anything that would trip over it is imported."""

import sys


def main() -> None:
    """Hands over to the command line."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 12):
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit("turno: Python 3.11 or 3.12 is needed; this is " + found + ".")
    from turno.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
