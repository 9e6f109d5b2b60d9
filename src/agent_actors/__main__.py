"""`python -m agent_actors` is `agent-actors`."""

import sys


def main() -> None:
    """Runs the command; Ctrl-C prints no traceback, not even while Python is importing it."""
    try:
        from agent_actors.cli import main as commands

        commands()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        sys.exit(130)  # `INTERRUPTED`, which would have to be imported.


if __name__ == "__main__":
    main()
