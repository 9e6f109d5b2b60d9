"""`python -m agent_actors` is `agent-actors`."""

import sys


def main() -> None:
    """Runs the command line; Ctrl-C leaves no trace while that is still imported, either."""
    try:
        from agent_actors.cli import main as commands

        commands()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        sys.exit(130)  # `INTERRUPTED`, which would have to be imported.


if __name__ == "__main__":
    main()
